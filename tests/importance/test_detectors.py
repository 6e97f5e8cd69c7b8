"""Choice of detectors, with small graphs in place of the networks of other packages."""

from pathlib import Path

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.importance import detector_files, detector_networks, detectors, faces, objects
from tests.importance.small_networks import (
    HEIGHT,
    OBJECT,
    WIDTH,
    image,
    write_faces,
    write_objects,
)

pytestmark = pytest.mark.usefixtures("packages")


def test_without_networks_auto_finds_nothing_and_a_note_says_what_to_do():
    assert detectors.find(image(with_object=True)) == (None, "no detectors installed")
    assert detectors.installed() == ""
    said = detectors.note()
    assert "so images are coded without a map" in said and "\n" not in said
    assert "`rdc detectors --install` installs detectors of faces and objects (12 MB)" in said
    assert detectors.find(image(with_object=True), "contrast").mask.max() == 1


@pytest.mark.parametrize("detector", ["objects", "faces"])
def test_a_missing_detector_is_an_error_with_the_install_command(detector):
    expected = f"no detector of {detector} is installed; `rdc detectors --install`"
    with pytest.raises(RdcError, match=expected):
        detectors.find(image(), detector)


def test_an_object_is_outlined(install):
    install("objects")
    for detector in ("auto", "objects"):
        mask, by = detectors.find(image(with_object=True), detector)
        assert by == "objects (u2netp)" and mask.dtype == np.float32
        assert mask.shape == (HEIGHT, WIDTH)
        assert mask[OBJECT][2:-2, 2:-2].min() > 0.9 and mask[:, 64:].max() < 0.1
    assert detectors.find(image(with_object=True)[..., 0], "contrast").mask.shape == mask.shape
    assert detectors.note() == (
        "no detector of faces is installed, so no faces are found; `rdc detectors --install` "
        "installs one"
    )


def test_faces_count_more_than_objects(install):
    install("objects"), install("faces")
    mask, by = detectors.find(image(with_object=True, with_face=True))
    assert by == "1 face (centerface) and objects (u2netp)"
    assert mask[42, 102] == 1 and mask[42, 110] == 1 and mask[42, 126] < 0.01
    assert mask[45, 30] == pytest.approx(detectors.BESIDE_FACES, abs=0.02)
    assert detectors.installed() == "centerface, u2netp" and detectors.note() == ""
    small, by = detectors.find(image(with_face=True))
    assert by == "1 face (centerface); no objects found" and small[45, 30] == 0
    only, by = detectors.find(image(with_object=True, with_face=True), "faces")
    assert by == "1 face (centerface)" and only[45, 30] == 0 and only[42, 102] == 1


def test_auto_uses_faces_alone_without_an_object_network(install):
    install("faces")
    mask, by = detectors.find(image(with_object=True, with_face=True))
    assert by == "1 face (centerface)" and mask[42, 102] == 1 and mask[45, 30] == 0
    assert detectors.find(image(with_object=True)) == (None, "no faces found")
    assert "no detector of objects is installed, so no objects are found" in detectors.note()


def test_if_nothing_is_detected_only_auto_goes_without_a_mask(install):
    install("objects"), install("faces")
    nothing = (None, "no faces found, no objects found")
    assert detectors.find(image()) == nothing and detectors.note() == ""
    everything = np.broadcast_to(np.uint8([230, 20, 90]), (HEIGHT, WIDTH, 3))
    assert detectors.find(everything) == nothing  # an object must not fill the whole image
    for detector in ("objects", "faces"):
        with pytest.raises(RdcError, match=f"no {detector} were found"):
            detectors.find(image(), detector)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (33, 65), (1200, 40)])
def test_images_of_any_size(install, size):
    install("objects"), install("faces")
    pixels = np.full((*size, 3), 250, np.uint8)
    for one in (pixels, pixels[..., 0], pixels * np.uint8([1, 0, 1])):
        mask = detectors.find(one).mask
        if mask is not None:
            assert mask.shape == size and 0 <= mask.min() and mask.max() <= 1
    boxes = faces.find(pixels * np.uint8([0, 0, 1]), faces.candidates()[0])
    assert len(boxes) > 0 if min(size) >= faces.STRIDE else len(boxes) == 0


def test_a_damaged_network_is_an_error_of_one_line(install):
    path = install("objects")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RdcError, match=r"cannot be used .*; `rdc detectors --install`") as caught:
        detectors.find(image(), "objects")
    assert "\n" not in str(caught.value)
    assert detectors.find(image()) == (None, "no detectors installed")
    assert str(path) in detectors.note() and "without a map" in detectors.note()


@pytest.mark.parametrize("damage", ["cut off", "empty", "another network"])
def test_a_bad_network_does_not_hide_a_good_one(install, packages, damage):
    good = install("objects")
    better = packages / "cache" / "u2net.onnx"
    better.parent.mkdir()
    if damage == "another network":
        write_faces(better)
    else:
        better.write_bytes(good.read_bytes()[: 200 if damage == "cut off" else 0])
    assert objects.candidates() == [better, good]
    for detector in ("auto", "objects"):
        assert detectors.find(image(with_object=True), detector).by == "objects (u2netp)"
    assert detectors.choose("objects").weights == good and detectors.installed() == "u2netp"
    install("faces")
    said = detectors.note()
    assert str(better) in said and said.endswith("so another one is used") and "\n" not in said
    write_objects(better)  # downloaded again, while this process goes on
    assert detectors.find(image(with_object=True)).by.startswith("objects (u2net)")
    assert detectors.note() == ""


def test_networks_in_the_data_folder_are_used(install, packages, monkeypatch):
    monkeypatch.setenv("RDC_DATA_DIR", str(packages / "data"))
    kept = {name: source.path for name, source in detector_files.SOURCES.items()}
    assert {path.parent for path in kept.values()} == {packages / "data" / "detectors"}
    kept["faces"].parent.mkdir(parents=True)
    for kind, path in kept.items():
        install(kind).rename(path)
        assert detectors.choose(kind).weights == path
    assert detectors.find(image(with_object=True, with_face=True)).by.startswith("1 face")
    monkeypatch.delenv("RDC_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(packages / "xdg"))
    assert detector_files.folder() == packages / "xdg" / "rdc_jax" / "detectors"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(packages))
    assert detector_files.folder() == packages / ".local" / "share" / "rdc_jax" / "detectors"


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
    assert objects.candidates() == [path]
    assert detectors.find(image(with_object=True), "objects").by == "objects (u2net)"


def test_auto_needs_no_home_folder(monkeypatch):
    def no_home(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(Path, "is_file", lambda path: (_ for _ in ()).throw(PermissionError(13)))
    assert objects.candidates() == [] and detectors.find(image()).mask is None


def test_a_missing_library_is_named(install, monkeypatch):
    install("objects"), install("faces")
    monkeypatch.setattr(detector_networks, "LIBRARIES", {"onnx": "", "rdc_no_such_library": ""})
    assert detectors.find(image(with_object=True)) == (None, "no detectors installed")
    missing = "rdc_no_such_library is not installed"
    assert detectors.installed() == "" and detectors.note().startswith(missing)
    with pytest.raises(RdcError, match=f"{missing}; `rdc detectors --install`"):
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
