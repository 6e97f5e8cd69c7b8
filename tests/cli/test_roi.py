"""`rdc roi`, and the regions that `rdc encode` takes besides a mask file."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli.main import main


@pytest.fixture(autouse=True)
def no_cache_in_this_process(monkeypatch):
    monkeypatch.setattr("rdc_jax.codec.compilation_cache.enable", lambda: None)


@pytest.fixture
def photo(tmp_path, rng):
    """A dark square on a bright ground, 96 x 80 pixels."""
    pixels = rng.normal(200, 4, (80, 96, 3))
    pixels[24:56, 40:72] = rng.normal(40, 4, (32, 32, 3))
    path = tmp_path / "photo.png"
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return path


def levels_of(path, capsys):
    capsys.readouterr()
    assert main(["info", "--json", str(path)]) == 0
    return np.array(json.loads(capsys.readouterr().out)["map"]["levels"])


def test_the_map_that_is_shown_is_the_map_that_is_coded(photo, smoke_model, capsys, tmp_path):
    model = ["--model", str(smoke_model)]
    shown = tmp_path / "map.png"
    made = ["roi", str(photo), "-o", str(shown), "--json", "--roi", "contrast"]
    assert main([*made, *model]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 0.2 < report["important_share"] < 0.3 and report["map_bytes"] > 2
    with Image.open(shown) as picture:
        assert picture.size == (96, 80) and picture.mode == "L"
        seen = np.asarray(picture)[::16, ::16] / 255.0
    assert seen[1:4, 2:5].mean() > 0.7 > 0.3 > seen[[0, -1]].mean()
    coded = []
    for name, roi in (("a", "contrast"), ("b", str(shown))):
        out = tmp_path / f"{name}.rdc"
        assert main(["encode", str(photo), "-o", str(out), "--roi", roi, *model]) == 0
        coded.append(levels_of(out, capsys))
    np.testing.assert_array_equal(*coded)
    np.testing.assert_allclose(coded[0] / 7, seen, atol=0.01)


def test_a_map_has_the_format_of_its_name(photo, smoke_model, capsys, tmp_path):
    seen = {}
    for name in ("m.png", "m.webp", "m.TIF", "m.bmp", "bare"):
        out = tmp_path / name
        command = ["roi", str(photo), "--roi", "contrast", "-o", str(out)]
        assert main([*command, "--model", str(smoke_model)]) == 0
        with Image.open(out) as picture:
            seen[name] = picture.format
            pixels = np.asarray(picture.convert("L"))
        with Image.open(tmp_path / "m.png") as picture:
            np.testing.assert_array_equal(pixels, np.asarray(picture))
    assert list(seen.values()) == ["PNG", "WEBP", "TIFF", "BMP", "PNG"]
    capsys.readouterr()
    for name, said in (("m.jpg", ".png"), ("m.avif", ".png"), ("m.xyz", "cannot tell")):
        out = tmp_path / name
        assert main(["roi", str(photo), "-o", str(out), "--model", str(smoke_model)]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1 and not out.exists()


@pytest.mark.parametrize("piped", [False, True])
def test_standard_output_has_the_map_alone(photo, smoke_model, capfdbinary, monkeypatch, piped):
    given = SimpleNamespace(buffer=io.BytesIO(photo.read_bytes()))
    monkeypatch.setattr("sys.stdin", given)
    names = ["-"] if piped else [str(photo), "-o", "-"]
    assert main(["roi", *names, "--roi", "contrast", "--model", str(smoke_model)]) == 0
    output, error = capfdbinary.readouterr()
    assert output.endswith(b"IEND\xaeB`\x82") and b"importance 0.5 or more" in error


def test_regions_join(photo, smoke_model, capsys, tmp_path):
    out = tmp_path / "a.rdc"
    regions = ["--roi-polygon", "0,0,15,0,15,15,0,15", "--roi-ellipse", "64,32,32,32",
               "--fovea", "8,72,4"]  # fmt: skip
    command = ["encode", str(photo), "-o", str(out), "--model", str(smoke_model), *regions]
    assert main(command) == 0
    levels = levels_of(out, capsys)
    assert levels[0, 0] == 7 and levels[0, 1:].max() == 0
    assert levels[2:4, 4:6].min() >= 5
    assert 1 <= levels[4, 0] <= 4  # the mean over the cell of a narrow peak


def test_center_is_a_region(photo, smoke_model, capsys, tmp_path):
    out = tmp_path / "a.rdc"
    model = ["--model", str(smoke_model)]
    assert main(["encode", str(photo), "-o", str(out), "--roi", "center", *model]) == 0
    levels = levels_of(out, capsys)
    assert levels[2, 2:4].min() == 7 and levels[0].max() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--roi-ellipse", "1,2,3"], "cannot read ellipse"),
        (["--roi-polygon", "1,2,3,4"], "three corners"),
        (["--fovea", "500,1"], "outside the image of 96 x 80"),
        (["--roi", "nowhere.png"], "nowhere.png"),
    ],
)
def test_what_is_no_region_is_refused(photo, smoke_model, capsys, tmp_path, options, said):
    for command in ("roi", "encode"):
        out = tmp_path / "out"
        arguments = [command, str(photo), "-o", str(out), "--model", str(smoke_model), *options]
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1 and not out.exists()


def test_a_folder_or_a_coded_file_is_no_image(photo, smoke_model, capsys, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.rdc").write_bytes(b"\x9dRDC and so on")
    for name, said in (("folder", "it is a folder; name a file"), ("a.rdc", "with `rdc decode`")):
        for first, roi in ((tmp_path / name, "center"), (photo, tmp_path / name)):
            command = ["roi", first, "--roi", roi, "-o", tmp_path / "map.png"]
            assert main([*map(str, command), "--model", str(smoke_model)]) == 2
            error = capsys.readouterr().err
            assert said in error and f"{name}'" in error and error.count("\n") == 1
    assert not (tmp_path / "map.png").exists()


def test_roi_overwrites_nothing(photo, smoke_model, capsys, monkeypatch):
    monkeypatch.chdir(photo.parent)
    command = ["roi", "photo.png", "--roi", "contrast", "--model", str(smoke_model)]
    assert main(command) == 0 and (photo.parent / "photo_roi.png").exists()
    assert main(command) == 2 and "exists; give -f" in capsys.readouterr().err
    assert main([*command, "-f"]) == 0
    assert main([*command, "-f", "-o", "photo.png"]) == 2
    assert "is the input itself" in capsys.readouterr().err
