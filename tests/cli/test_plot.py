"""`rdc plot tau` in process, with a perceptual distance that needs no weights."""

import sys

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli.commands import plot
from rdc_jax.cli.main import main
from rdc_jax.codec import codec
from rdc_jax.evaluation import tradeoff
from rdc_jax.models import lpips, lpips_weights


@pytest.fixture
def photo(tmp_path, rng):
    path = tmp_path / "photo.png"
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(small).resize((64, 48)).save(path)
    return path


@pytest.fixture
def mean_difference(monkeypatch):
    monkeypatch.setattr(lpips_weights, "load", lambda backbone: None)
    monkeypatch.setattr(
        lpips, "measure_lpips", lambda _, a, b: float(np.abs(a.astype(float) - b).mean())
    )


def test_the_trade_off_is_drawn(photo, mean_difference, smoke_model, tmp_path, capsys):
    output = tmp_path / "curve.png"
    command = ["plot", "tau", str(photo), "-o", str(output), "--steps", "2"]
    command += ["--model", str(smoke_model)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert printed.count("PSNR") == len(plot.TAUS) and str(output) in printed
    with Image.open(output) as picture:
        assert picture.width > 1000 and picture.height > 500
    assert main(command) == 2
    assert "exists; give -f" in capsys.readouterr().err
    assert main([*command, "-f"]) == 0


@pytest.mark.parametrize("file_format", ["svg", "pdf"])
def test_the_trade_off_in_formats_for_papers(rng, file_format):
    original = rng.integers(0, 256, (40, 50, 3), np.uint8)
    points = [tradeoff.Point(t, 30 - t, 0.3 - 0.1 * t, original) for t in plot.TAUS]
    drawn = plot.draw(original, points, "photo", file_format)
    assert {"svg": b"<svg", "pdf": b"%PDF"}[file_format] in drawn[:1000]


def test_an_unknown_format_is_refused_at_once(photo, capsys, monkeypatch):
    monkeypatch.setattr(codec, "Codec", None)
    assert main(["plot", "tau", str(photo), "-o", "curve.bmp"]) == 2
    assert "end its name in one of .png .svg .pdf" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["tau", "curves", "training"])
@pytest.mark.parametrize("name", ["curve.bmp", "curve", "curve.", "png"])
def test_the_ending_names_the_format(tmp_path, capsys, kind, name):
    assert main(["plot", kind, "no file", "-o", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert f"{name}'; end its name in one of .png .svg .pdf" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ('{"bpp": [0.1], "psnr-rgb": [NaN]}', [], "no curve has a finite value of 'psnr-rgb'"),
        ('{"bpp": [0.1], "psnr-rgb": [30]}', ["--metrics", "lpips"], "there are psnr-rgb"),
        ('{"bpp": [0.1], "psnr-rgb": [30]}', ["--metrics", ","], "',' names nothing"),
    ],
)
def test_why_no_curve_is_drawn(tmp_path, capsys, text, options, said):
    (tmp_path / "a.json").write_text(text)
    drawn = tmp_path / "a.png"
    assert main(["plot", "curves", str(tmp_path / "a.json"), "-o", str(drawn), *options]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not drawn.exists()


def test_another_file_is_no_log_of_a_run(tmp_path, photo, capsys):
    assert main(["plot", "training", str(photo), "-o", str(tmp_path / "a.png")]) == 2
    assert f"'{photo}' is no metrics.jsonl" in capsys.readouterr().err


def test_without_matplotlib_the_extra_is_named(photo, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["plot", "tau", str(photo)]) == 2
    assert "pip install matplotlib" in capsys.readouterr().err
