"""What the commands say about detectors."""

import io
import json
from types import SimpleNamespace

import pytest
from PIL import Image

import rdc_jax
from rdc_jax.cli import main
from rdc_jax.importance import detector_files, detector_networks
from tests.importance.small_networks import FACE, HEIGHT, WIDTH, image

pytestmark = pytest.mark.usefixtures("packages")


def test_the_command_line_says_which_detector_was_used(install, packages, capsys, monkeypatch):
    install("objects")
    monkeypatch.chdir(packages)
    Image.fromarray(image(with_object=True)).save("photo.png")
    assert main.main(["roi", "photo.png"]) == 0
    said, warned = capsys.readouterr()
    assert "(objects (u2netp))" in said and "no detector of faces is installed" in warned
    assert main.main(["encode", "photo.png", "--roi", "auto", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["roi_found"] == "objects (u2netp)"
    assert main.main(["encode", "photo.png", "-f", "--roi", "faces"]) == 2
    assert "`rdc detectors --install`" in capsys.readouterr().err
    assert main.main(["encode", "photo.png", "-f", "--roi", "face"]) == 2
    assert "no mask 'face'" in capsys.readouterr().err
    assert main.main(["encode", "photo.png", "-f", "--roi", 300 * "a"]) == 2
    assert "no mask" in capsys.readouterr().err
    mask = io.BytesIO()
    Image.new("L", (WIDTH, HEIGHT), 255).save(mask, "PNG")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(mask.getvalue())))
    assert main.main(["encode", "photo.png", "-f", "--roi", "-"]) == 0


@pytest.fixture
def folder(packages, monkeypatch):
    """A folder `in` with two photos."""
    monkeypatch.chdir(packages)
    (packages / "in").mkdir()
    for name in ("a", "b"):
        Image.fromarray(image(with_object=True)).save(f"in/{name}.png")


def test_a_folder_is_coded_without_a_map_and_one_note(folder, capsys):
    assert main.main(["encode", "in", "-o", "out", "--roi", "auto", "--json"]) == 0
    said, warned = capsys.readouterr()
    reports = [json.loads(line) for line in said.splitlines()]
    assert [report["map_levels"] for report in reports] == [1, 1]
    assert {report["roi_found"] for report in reports} == {"no detectors installed"}
    assert warned.count("no detectors are installed") == 1
    assert warned.count("`rdc detectors --install`") == 1
    assert main.main(["encode", "in/a.png", "-o", "plain.rdc"]) == 0
    with open("plain.rdc", "rb") as plain, open("out/a.rdc", "rb") as auto:
        assert plain.read() == auto.read()
    capsys.readouterr()
    assert main.main(["encode", "in", "-o", "out", "-f", "--roi", "auto", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert main.main(["encode", "in", "-o", "out", "-f", "--roi", "contrast", "--json"]) == 0
    said, warned = capsys.readouterr()
    assert "detectors" not in warned and json.loads(said.splitlines()[0])["map_levels"] > 1


def test_what_needs_a_region_says_why_there_is_none(folder, install, capsys):
    assert main.main(["encode", "in/a.png", "--roi", "auto", "--roi-only"]) == 2
    assert "nothing is important" in capsys.readouterr().err
    for command in (["roi", "in/a.png"], ["eval", "--data", "in", "--masks", "auto"]):
        assert main.main(command) == 2
        error = capsys.readouterr().err.splitlines()
        assert len(error) == 1 and "`rdc detectors --install`" in error[0]
    install("faces")
    assert main.main(["roi", "in/a.png"]) == 2
    assert "no faces found in 'in/a.png', so it is coded without a map" in capsys.readouterr().err


def test_in_python_auto_warns_that_no_detector_is_installed(install):
    with pytest.warns(UserWarning, match="`rdc detectors --install`"):
        data = rdc_jax.encode(image(with_object=True), importance="auto")
    assert data == rdc_jax.encode(image(with_object=True))
    install("faces")
    assert data == rdc_jax.encode(image(with_object=True), importance="auto")  # has no face
    with_face = image(with_object=True, with_face=True)
    assert with_face[FACE].any()
    assert rdc_jax.encode(with_face, importance="auto") != rdc_jax.encode(with_face)


def test_the_list_of_detectors(install, packages, monkeypatch, capsys):
    assert main.main(["detectors"]) == 0
    said, warned = capsys.readouterr()
    assert said.count("not installed") == 2 and "Apache-2.0" in said and "MIT" in said
    assert "contrast" in said and "onnxruntime" in said and "--install" in warned
    monkeypatch.setenv("RDC_DATA_DIR", str(packages / "data"))
    good = install("faces")
    cut_off = detector_files.SOURCES["faces"].path
    cut_off.parent.mkdir(parents=True)
    cut_off.write_bytes(good.read_bytes()[:99])
    assert main.main(["detectors"]) == 0
    said, warned = capsys.readouterr()
    assert f"{good}: CenterFace, unknown version, MIT" in said
    assert f"not used: the network '{cut_off}' cannot be used" in said
    assert main.main(["detectors", "--json"]) == 0
    faces, objects, contrast = map(json.loads, capsys.readouterr().out.splitlines())
    assert (faces["path"], faces["version"], faces["licence"]) == (str(good), None, "MIT")
    assert faces["ready"] and [str(cut_off)] == list(faces["unusable"])
    assert not objects["ready"] and objects["path"] is None
    assert contrast["ready"] and contrast["finds"]


def test_the_list_says_which_library_is_missing(install, monkeypatch, capsys):
    install("faces")
    monkeypatch.setattr(detector_networks, "LIBRARIES", {"json": "", "rdc_no_such_library": ""})
    assert main.main(["detectors"]) == 0
    said, warned = capsys.readouterr()
    assert "json of unknown version, rdc_no_such_library missing" in said
    assert "not used: rdc_no_such_library is not installed" in said
    assert warned.startswith("rdc: note: rdc_no_such_library is not installed, so")
