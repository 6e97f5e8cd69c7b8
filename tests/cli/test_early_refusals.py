"""What cannot work is refused before the work: no model is loaded and no other file is written."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from rdc_jax.cli import output_folder, outputs
from rdc_jax.cli.main import main
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model
from tests.cli.runs import fails, picture

NOWHERE = "/proc"  # a folder in which not even root can make a file
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def no_model(monkeypatch):
    def load(*_):
        pytest.fail("the model was loaded")

    monkeypatch.setattr(codec_model, "load", load)


@pytest.fixture
def photos(tmp_path, rng):
    """A folder of two images, 83 x 61 and 40 x 30 pixels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    picture(folder / "a.png", rng, 83, 61)
    picture(folder / "b.png", rng, 40, 30)
    return folder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--roi-box", "50,0,9,9"], "b.png': box 50,0,9,9 lies outside the image of 40 x 30"),
        (["--roi-ellipse", "0,40,9,9"], "b.png': ellipse 0,40,9,9 lies outside"),
        (["--roi-polygon", "50,0,60,0,60,9"], "b.png': polygon 50,0,60,0,60,9 lies outside"),
        (["--fovea", "39,30"], "b.png': fovea 39,30 lies outside"),
        (["--roi", "MASK"], "is 83 x 61 pixels but the image is 40 x 30"),
        (
            ["--roi", "nowhere.png"],
            "no mask 'nowhere.png'; give a mask of the image's size, or one of",
        ),
        (["--target-quality", "psnr=100"], "it must be below 100"),
        (["--target-quality", "lpips=2"], "it must be below 1"),
        (["--target-quality", "psnr=-3"], "is no quality target"),
    ],
)
def test_wishes_that_do_not_fit_the_second_of_two_images(no_model, photos, capsys, options, words):
    mask = Image.new("L", (83, 61), 255)
    mask.save(photos.parent / "mask.png")
    options = [str(photos.parent / "mask.png") if text == "MASK" else text for text in options]
    assert words in fails(capsys, photos.parent, "encode", photos, *options)


def test_images_that_are_done_or_damaged_are_not_in_the_way(models, photos, capsys):
    box = ["--roi-box", "50,0,9,9", "--model", str(models / "first"), "--quiet"]
    assert main(["encode", str(photos / "a.png"), *box]) == 0
    (photos / "c.png").write_text("no image")
    (photos / "b.rdc").write_bytes((photos / "a.rdc").read_bytes())  # as from an earlier run
    assert main(["encode", str(photos), "--resume", *box]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "c.png" in error and "not an image" in error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tau", "1.5"], "--tau 1.5 must be between 0 (faithful) and 1"),
        (["--tau", "MAP"], "the tau map is 40 x 30 pixels but the image is 83 x 61"),
        (["--crop", "80,0,9,9"], "does not lie in the image of 83 x 61 pixels"),
        (["--crop", "0,0,0,9"], "does not lie in the image"),
    ],
)
def test_what_decode_is_asked_for(coded, no_model, tmp_path, rng, capsys, options, words):
    small = picture(tmp_path / "small.png", rng, 40, 30)
    options = [str(small) if text == "MAP" else text for text in options]
    error = fails(capsys, tmp_path, "decode", coded, "-o", tmp_path / "x.png", *options)
    assert words in error


@on_linux
@pytest.mark.parametrize(
    "command",
    [
        ["encode", "PHOTO", "-o", f"{NOWHERE}/x.rdc"],
        ["encode", "PHOTO", "PHOTO", "-o", NOWHERE],
        ["encode", "PHOTO", "PHOTO", "-o", f"{NOWHERE}/new"],
        ["decode", "CODED", "-o", f"{NOWHERE}/x.png"],
        ["roi", "PHOTO", "-o", f"{NOWHERE}/x.png"],
        ["inpaint", "PHOTO", "--mask", "PHOTO", "-o", f"{NOWHERE}/x.png"],
        ["plot", "tau", "PHOTO", "-o", f"{NOWHERE}/x.png"],
        ["plot", "curves", "PHOTO", "-o", f"{NOWHERE}/x.png"],
        ["plot", "training", "PHOTO", "-o", f"{NOWHERE}/x.png"],
    ],
)
def test_outputs_where_no_file_can_be_made(coded, no_model, photo, tmp_path, capsys, command):
    names = {"PHOTO": str(photo), "CODED": str(coded)}
    error = fails(capsys, tmp_path, *(names.get(word, word) for word in command))
    assert f"cannot write '{NOWHERE}" in error and "no file can be made in '/proc'" in error


@on_linux
@pytest.mark.parametrize("folder", [NOWHERE, f"{NOWHERE}/new/deep"])
def test_output_folders_where_no_file_can_be_made(folder):
    with pytest.raises(RdcError, match="no file can be made in '/proc'"):
        output_folder.check(Path(folder), is_older=True, force=True)


@pytest.mark.parametrize("command", ["roi", "inpaint"])
def test_an_output_in_a_missing_folder(no_model, photo, tmp_path, capsys, command):
    mask = ["--mask", photo] if command == "inpaint" else []
    output = tmp_path / "nowhere" / "x.png"
    error = fails(capsys, tmp_path, command, photo, *mask, "-o", output)
    assert "does not exist; create it first" in error


@pytest.mark.parametrize("command", ["roi", "decode"])
def test_an_output_below_a_file(coded, no_model, photo, tmp_path, capsys, command):
    source = {"roi": photo, "decode": coded}[command]
    error = fails(capsys, tmp_path, command, source, "-o", photo / "x.png")
    assert f"'{photo}' is a file, not a folder" in error


def test_other_files_are_no_weights(no_model, photo, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    cases = ((photo, "not a file of tensors"), (tmp_path / "folder", "it is a folder; name a file"))
    for path, words in cases:
        command = ["import", "--from", "compressai", path, tmp_path / "new"]
        assert words in fails(capsys, tmp_path, *command)


def test_the_check_leaves_no_trace(tmp_path):
    outputs.check_target(outputs.Job("-", str(tmp_path / "x.png")), False, may_make_folder=False)
    assert list(tmp_path.iterdir()) == []


def test_no_map_on_a_terminal(photo, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "terminal" in fails(capsys, photo.parent, "roi", photo, "-o", "-")


@pytest.mark.parametrize(
    "command",
    [
        ["encode", ""],
        ["encode", "PHOTO", "-o", ""],
        ["encode", "PHOTO", "--model", ""],
        ["encode", "PHOTO", "--roi", ""],
        ["decode", "CODED", "--fusion", ""],
        ["roi", ""],
        ["inpaint", "", "--mask", "PHOTO"],
        ["inpaint", "PHOTO", "--mask", ""],
        ["info", ""],
        ["eval", "--data", ""],  # not the images of the current folder
        ["plot", "training", ""],
    ],
)
def test_empty_arguments(coded, no_model, photo, tmp_path, capsys, command):
    names = {"PHOTO": str(photo), "CODED": str(coded)}
    error = fails(capsys, tmp_path, *(names.get(word, word) for word in command))
    assert "an argument is empty; is a shell variable not set?" in error


@pytest.mark.parametrize("command", [["roi", "."], ["inpaint", ".", "--mask", "x.png"]])
def test_the_current_folder_is_no_image(no_model, photo, tmp_path, capsys, command):
    assert "'.' is a folder; name a file" in fails(capsys, tmp_path, *command)
