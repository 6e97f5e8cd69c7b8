"""`rdc encode`: targets, regions, folders, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli.main import main
from rdc_jax.model_folder import codec_model
from tests.cli.runs import fails, opened, picture

pytestmark = pytest.mark.usefixtures("no_cache_in_this_process")


def test_folders(models, tmp_path, rng, capsys):
    source, coded, decoded = (tmp_path / name for name in ("in", "coded", "decoded"))
    source.mkdir()
    for name, mode in (("a.png", "RGB"), ("b.bmp", "L"), ("c.tif", "RGB")):
        picture(source / name, rng, 40, 24, mode)
    (source / "notes.txt").write_text("not a picture")
    (source / "d.png").write_text("not a picture either")
    model = ["--model", str(models / "first"), "--json"]

    assert main(["compress", str(source), "-o", str(coded), *model]) == 2
    output, error = capsys.readouterr()
    reports = [json.loads(line) for line in output.splitlines()]
    assert [Path(r["input"]).name for r in reports] == ["a.png", "b.bmp", "c.tif", "d.png"]
    assert "error" in reports[3] and "error" not in reports[2]
    assert error == f"rdc: error: '{source}/d.png' is not an image in a known format\n"
    assert sorted(p.name for p in coded.iterdir()) == ["a.rdc", "b.rdc", "c.rdc"]

    assert main(["decode", str(coded), "-o", str(decoded), *model]) == 0
    capsys.readouterr()
    modes = {p.name: opened(p).mode for p in decoded.iterdir()}
    assert modes == {"a.png": "RGB", "b.png": "L", "c.png": "RGB"}

    again = fails(capsys, tmp_path, "decode", coded, "-o", decoded, *model)
    assert "a.png' exists; give -f" in again
    assert main(["decode", str(coded / "a.rdc"), "-o", str(decoded), "-f", *model]) == 0


def test_folders_in_a_folder_are_left_out_with_a_note(models, photo, capsys):
    folder = photo.parent
    command = ["encode", str(folder), "-o", str(folder / "out"), "-f", "--model"]
    command += [str(models / "first")]
    for name, said in (("out", ""), ("a", "1 folder, which is"), ("b", "2 folders, which are")):
        (folder / name).mkdir()
        assert main([*command]) == 0
        notes = [line for line in capsys.readouterr().err.splitlines() if "ignored" in line]
        said = f"rdc: note: '{folder}' contains {said} ignored; --recursive takes them too"
        assert notes == ([] if name == "out" else [said])
    assert main([*command, "--quiet"]) == 0 and capsys.readouterr().err == ""


def test_two_inputs_of_one_output(models, photo, capsys):
    other = photo.parent / "other"
    other.mkdir()
    shutil.copy(photo, other)
    arguments = ["encode", photo, other / photo.name, "-o", other, "--model", models / "first"]
    error = fails(capsys, photo.parent, *arguments)
    assert "would both become" in error and "name files instead of a folder" in error


def test_mask_joins_boxes(models, photo, capsys):
    mask = np.zeros((61, 83), np.uint8)
    mask[:16, :16] = 255
    Image.fromarray(mask).save(photo.with_name("mask.png"))
    arguments = ["--roi", str(photo.with_name("mask.png")), "--roi-box", "64,32,16,16"]
    assert main(["encode", str(photo), "--model", str(models / "first"), *arguments]) == 0
    assert main(["info", "--json", str(photo.with_suffix(".rdc"))]) == 0
    content = json.loads(capsys.readouterr().out.splitlines()[-1])
    expected = np.zeros((4, 6), int)
    expected[0, 0] = expected[2, 4] = 7
    assert content["map"]["levels"] == expected.tolist()


def test_mask_of_another_size(models, photo, rng, capsys):
    mask = picture(photo.with_name("mask.png"), rng, 61, 83)
    arguments = ["encode", photo, "--model", models / "first", "--roi"]
    error = fails(capsys, photo.parent, *arguments, mask)
    assert "61 x 83" in error and "83 x 61" in error
    assert "no mask" in fails(capsys, photo.parent, *arguments, photo.with_name("no.png"))


def test_target_size(models, photo, capsys):
    model = ["--model", str(models / "first"), "--json", "-f"]
    assert main(["encode", str(photo), "-q", "40", *model]) == 0
    size = json.loads(capsys.readouterr().out)["bytes"]
    assert main(["encode", str(photo), "--target-size", str(size), *model]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 0.97 * size <= report["bytes"] <= size
    assert report["bytes"] == photo.with_suffix(".rdc").stat().st_size
    assert main(["encode", str(photo), "--target-bpp", str(8 * size / 83 / 61), *model]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == report["bytes"]
    assert main(["encode", str(photo), "--target-size", "1M", *model]) == 0
    output, error = capsys.readouterr()
    assert json.loads(output)["quality"] == 100 and "% below: quality 100" in error


@pytest.mark.parametrize("target", [["--target-size", "9"], ["--target-bpp", "0.0001"]])
def test_a_size_that_cannot_be_reached(models, photo, capsys, target):
    model = ["--model", str(models / "first")]
    error = fails(capsys, photo.parent, "encode", photo, *target, *model)
    assert "the smallest file this model makes of this image is" in error
    assert main(["encode", str(photo), *target, "--best-effort", *model]) == 0
    output, error = capsys.readouterr()
    assert "even at quality 0" in error
    size = photo.with_suffix(".rdc").stat().st_size
    assert f"{size} bytes even" in error and f"{size} bytes" in output


def test_a_quality_that_cannot_be_reached(models, photo, capsys):
    model = ["--model", str(models / "first")]
    wish = ["--target-quality", "psnr=90"]
    error = fails(capsys, photo.parent, "encode", photo, *wish, *model)
    assert "at quality 100 psnr is" in error
    assert main(["encode", str(photo), *wish, "--best-effort", "--json", *model]) == 0
    output, error = capsys.readouterr()
    assert json.loads(output)["reached"]["psnr"] < 90
    assert "the best of this model, short of 90" in error


def test_existing_output_is_kept(models, photo, coded, capsys):
    model = ["--model", models / "first"]
    assert "give -f" in fails(capsys, photo.parent, "encode", photo, *model)
    assert "give -f" in fails(capsys, photo.parent, "decode", coded, *model)
    before = coded.read_bytes()
    assert main(["encode", str(photo), "-f", "-q", "10", "--quiet", *map(str, model)]) == 0
    assert coded.read_bytes() != before


def test_an_input_is_never_its_own_output(models, photo, capsys):
    arguments = ["encode", photo, "-o", photo, "-f", "--model", models / "first"]
    assert "is the input itself" in fails(capsys, photo.parent, *arguments)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("nowhere/x.rdc", "does not exist"),
        ("photo.png/x.rdc", "is a file, not a folder"),
        ("nowhere/at/all/", "does not exist"),
    ],
)
def test_output_that_cannot_be_written(models, photo, capsys, monkeypatch, output, words):
    monkeypatch.chdir(photo.parent)
    arguments = ["encode", photo, "-o", output, "--model", models / "first"]
    assert words in fails(capsys, photo.parent, *arguments)


def test_a_full_disk_leaves_nothing(models, photo, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    error = fails(capsys, photo.parent, "encode", photo, "--model", models / "first")
    assert "No space left on device" in error


def test_no_binary_on_a_terminal(photo, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "terminal" in fails(capsys, photo.parent, "encode", photo, "-o", "-")


def test_model_missing_wrong_or_damaged(models, photo, coded, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(codec_model, "SHIPPED", models)
    error = fails(capsys, photo.parent, "encode", photo, "--model", "nobody", "-f")
    assert "no model 'nobody'" in error
    assert error.endswith("the name of a model that comes with the package: first, second\n")
    error = fails(capsys, photo.parent, "decode", coded, "--model", models / "second", "-f")
    assert "needs model" in error and "--model" in error and str(coded) in error
    broken = shutil.copytree(models / "first", tmp_path / "broken")
    weights = broken / "unet.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    error = fails(capsys, photo.parent, "encode", photo, "--model", broken, "-f")
    assert "unet.safetensors does not match" in error
    weights.unlink()
    error = fails(capsys, photo.parent, "encode", photo, "--model", broken, "-f")
    assert "unet.safetensors" in error
