"""The `rdc` command: wrong arguments, help, and short commands."""

from __future__ import annotations

import hashlib
import json

import pytest

from rdc_jax.cli.flags.shared import size_in_bytes
from rdc_jax.cli.main import main
from rdc_jax.codec.codec import DEFAULT_ROI_GAIN
from rdc_jax.model_folder import codec_model
from tests.cli.runs import fails

pytestmark = pytest.mark.usefixtures("no_cache_in_this_process")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["encoed"], "invalid choice"),
        (["encode"], "INPUT"),
        (["encode", "PHOTO", "-q", "101"], "not in the range 0 to 100"),
        (["encode", "PHOTO", "-q", "nan"], "'nan' is not a number"),
        (["eval", "--qualities", "50,nan"], "'nan' is not a number"),
        (["eval", "--codecs", ","], "',' names nothing"),
        (["eval", "--metrics", ""], "names nothing"),
        (["encode", "PHOTO", "-q", "good"], "'good' is not a number"),
        (["encode", "PHOTO", "-q", "5", "--target-bpp", "1"], "not allowed with"),
        (["encode", "PHOTO", "--target-bpp", "-1"], "0 or more"),
        (["encode", "PHOTO", "--target-size", "80q"], "'80q' is not a size"),
        (["encode", "PHOTO", "--target-size", "0.4"], "less than one byte"),
        (["encode", "PHOTO", "--target-size", "80k", "--target-bpp", "1"], "not allowed with"),
        (["encode", "PHOTO", "--target-quality", "psnr"], "no quality target"),
        (["encode", "PHOTO", "--target-quality", "ms-ssim=1"], "below 1"),
        (["encode", "PHOTO", "--best-effort"], "--best-effort needs a target"),
        (["encode", "PHOTO", "--seed", "4294967296"], "range 0 to 4294967295"),
        (["encode", "PHOTO", "--steps", "0"], "range 1 to 255"),
        (["encode", "PHOTO", "--roi-gain", "9"], "--roi-gain needs a region"),
        (["encode", "PHOTO", "--roi-only"], "--roi-only needs a region"),
        (["encode", "PHOTO", "--roi-only", "--roi", "auto", "--roi-gain", "9"], "exclude"),
        (["encode", "PHOTO", "--roi-box", "1,2,3"], "cannot read box"),
        (["encode", "PHOTO", "--roi-box", "900,0,5,5"], "outside the image"),
        (["encode", "missing.png"], "no such image"),
        (["encode", "PHOTO", "-", "-o", "x"], "one image"),
        (["encode", "PHOTO", "PHOTO", "-o", "PHOTO"], "is a file"),
        (["encode", "EMPTY"], "no files ending in"),
        (["decode", "PHOTO", "-o", "x.png"], "not an rdc file"),
        (["decode", "PHOTO", "-o", "x.xyz"], "cannot tell the image format"),
        (["decode", "missing.rdc"], "No such file"),
        (["info", "missing.rdc"], "No such file"),
    ],
)
def test_wrong_arguments(models, photo, capsys, monkeypatch, arguments, words):
    monkeypatch.setattr(codec_model, "SHIPPED", models)
    monkeypatch.setattr(codec_model, "DEFAULT_MODEL", "first")
    empty = photo.parent / "empty"
    empty.mkdir()
    names = {"PHOTO": photo, "EMPTY": empty}
    assert words in fails(capsys, photo.parent, *(names.get(a, a) for a in arguments))


@pytest.mark.parametrize("command", ["encode", "eval"])
def test_help_says_the_default_of_the_gain(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"important parts, 0 to 1000; default: {DEFAULT_ROI_GAIN:g}" in said


@pytest.mark.parametrize(
    ("text", "size"),
    [("80000", 80000), ("80k", 80000), ("80kB", 80000), ("1.2M", 1200000), ("0.29k", 290),
     ("64KiB", 65536), ("64ki", 65536), ("1.5MiB", 1572864), ("7B", 7)],
)  # fmt: skip
def test_sizes_in_words(text, size):
    assert size_in_bytes(text) == size


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("rdc 0.")


def test_models(models, capsys, monkeypatch):
    monkeypatch.setattr(codec_model, "SHIPPED", models)
    monkeypatch.setattr(codec_model, "DEFAULT_MODEL", "second")
    assert main(["models", "--json"]) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["name"], r["default"]) for r in reports] == [("first", False), ("second", True)]
    manifest = (models / "first" / "manifest.json").read_bytes()
    assert reports[0]["model_id"] == hashlib.sha256(manifest).hexdigest()[:16]
    assert main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("MB  default")


def test_demo_is_told_where(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("rdc_jax.demo.run", lambda out, overwrite: seen.append((out, overwrite)))
    assert main(["demo", "-o", str(tmp_path)]) == 0
    assert main(["demo", "-o", str(tmp_path), "-f"]) == 0
    assert seen == [(str(tmp_path), False), (str(tmp_path), True)]


def test_demo_replaces_nothing_unasked(monkeypatch, tmp_path, capsys):
    class Started(Exception):
        pass

    def load():
        raise Started

    def starts(*arguments):
        with pytest.raises(Started):
            main(["demo", "-o", str(tmp_path), *arguments])
        capsys.readouterr()

    monkeypatch.setattr("rdc_jax.codec.codec.load", load)
    (tmp_path / "notes.txt").write_text("no demo's")
    starts()
    for name in ("demo.png", "flower_uniform.rdc"):
        (tmp_path / name).write_text("of an earlier demo")
        error = fails(capsys, tmp_path, "demo", "-o", tmp_path)
        assert f"{name}' exists; give -f to replace it" in error
        starts("-f")
        (tmp_path / name).unlink()
    assert "cannot make the folder" in fails(capsys, tmp_path, "demo", "-o", tmp_path / "notes.txt")
