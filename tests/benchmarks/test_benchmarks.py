"""Benchmarks with a stand-in codec that needs no network: JPEG."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import rdc_jax
from benchmarks import added_pattern, details, large_images, modules, speed
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.images.image_folder import image_files


class StandInCodec:
    """JPEG with a fusion module that changes nothing."""

    module = SimpleNamespace(identity="none")

    def encode(self, pixels, quality, importance=None, return_report=False):
        data = baselines.encode("jpeg", pixels, quality)
        return (data, SimpleNamespace(stage_seconds={"all": 0.1})) if return_report else data

    def decode(self, data, steps=1, tau=0.0):
        return baselines.decode("jpeg", data)


def test_speed_prints_ratios(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(rdc_jax, "load", lambda model: StandInCodec(), raising=False)
    out = tmp_path / "speed.json"
    assert speed.main(["--repeats", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "768x512" in printed and "encode: all 100 %" in printed and "rdc / it" in printed
    assert "fusion module" in printed and "tau 1, 8 steps" in printed
    results = json.loads(out.read_text())
    assert set(results["median_seconds"]) >= {"rdc", "jpeg"}
    assert set(results["module_seconds"]) > {"tau 0", "tau 1, 1 steps"}


def test_table_aligns():
    assert table(("name", "x"), [("a", "1.50"), ("bcdef", 2)]) == (
        "name      x\n-----  ----\na      1.50\nbcdef     2"
    )


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(RdcError, match="no such folder"):
        image_files(tmp_path / "none")
    with pytest.raises(RdcError, match="no PNG, JPEG or WebP"):
        image_files(tmp_path)


def test_a_mosaic_is_made_of_mirrored_photographs():
    from rdc_jax import demo, images

    path = demo.FOLDER / "flower.png"
    photo = images.read_image(path).pixels
    height, width = photo.shape[:2]
    mosaic = large_images.mosaic([path], 2.5 * width * height / 1e6)
    assert mosaic.dtype == np.uint8 and mosaic.shape[1] == round(1.5 * mosaic.shape[0])
    np.testing.assert_array_equal(mosaic[:height, :width], photo[::-1, ::-1])
    beside = mosaic[:height, width : 2 * width]
    np.testing.assert_array_equal(beside, photo[::-1][:, : beside.shape[1]])


class DottedCodec(StandInCodec):
    """JPEG with a fusion module that puts a dot on every eighth pixel, except at quality 70."""

    def encode(self, pixels, quality):
        return super().encode(pixels, quality) + (b"" if quality == 70 else b"dots")

    def decode(self, data, tau, steps):
        picture = np.minimum(super().decode(data), 200)
        if tau and data.endswith(b"dots"):
            picture[::8, ::8] += np.uint8(40)
        return picture


def test_the_added_pattern_of_files_is_printed(monkeypatch, tmp_path, capsys, rng):
    for name, size in (("a", (64, 96)), ("b", (80, 130)), ("small", (40, 70))):
        pixels = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
        Image.fromarray(pixels).resize(size[::-1]).save(tmp_path / f"{name}.png")
    loaded = []

    def load(*arguments, **named):
        loaded.append((arguments, named))
        return DottedCodec()

    monkeypatch.setattr(rdc_jax, "load", load, raising=False)
    out = tmp_path / "figures.json"
    command = ["--data", str(tmp_path), "--fusion", "other", "--out", str(out)]
    assert added_pattern.main(command) == 0
    assert loaded == [((None,), {"fusion": "other"})]
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[2:] for line in printed.splitlines() if line}
    assert rows["20"] == rows["45"] == ["100.0", "100.0"] and rows["70"] == ["0.0", "0.0"]
    assert "2 images, fusion module none" in printed and "chance: 1.5 %" in printed
    files = json.loads(out.read_text())["files"]
    assert len(files) == 6 and files[0]["energy"]["total"] > 0


def test_a_model_without_a_module_adds_no_pattern(monkeypatch, tmp_path, capsys):
    codec = SimpleNamespace(module=None)
    monkeypatch.setattr(rdc_jax, "load", lambda *_, **__: codec, raising=False)
    assert added_pattern.main(["--data", str(tmp_path)]) == 2
    assert "give --fusion FOLDER" in capsys.readouterr().err


def two_photographs(folder, rng):
    for name, size in (("a", (64, 96)), ("b", (80, 130))):
        pixels = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
        Image.fromarray(pixels).resize(size[::-1]).save(folder / f"{name}.png")


class Dotted(StandInCodec):
    """JPEG with a fusion module that puts dots of given strength on every eighth pixel."""

    model = SimpleNamespace(model_id=b"id")

    def __init__(self, strength):
        self.strength = strength
        self.module = SimpleNamespace(identity=f"dots of {strength}")

    def decode(self, data, tau=0.0):
        picture = np.minimum(super().decode(data), 200)
        if tau:
            picture[::8, ::8] += np.uint8(self.strength)
        return picture


@pytest.fixture
def dotted(monkeypatch):
    """Makes `rdc_jax.load` return a stand-in. The folder's name is the strength of its dots."""
    monkeypatch.setattr(rdc_jax, "load", lambda model, folder: Dotted(int(folder)), raising=False)
    monkeypatch.setattr(modules, "METRICS", ("psnr", "colour"))


def test_modules_are_compared_on_the_same_files(dotted, tmp_path, capsys, rng, monkeypatch):
    two_photographs(tmp_path, rng)
    Image.new("RGB", (40, 70)).save(tmp_path / "small.png")  # left out
    out = tmp_path / "modules.json"
    command = ["--data", str(tmp_path), "--module", "weak=10", "--module", "strong=40",
               "--qualities", "30", "--out", str(out)]  # fmt: skip
    assert modules.main(command) == 0
    printed = capsys.readouterr().out
    rows = {line[:6].strip(): line[6:].split() for line in printed.splitlines()}
    assert float(rows["tau 0"][0]) > float(rows["weak"][0]) > float(rows["strong"][0])
    assert rows["weak"][2] == rows["strong"][2] == "1" and len(rows["tau 0"]) == 2
    results = json.loads(out.read_text())
    assert results["settings"]["modules"] == {"weak": "dots of 10", "strong": "dots of 40"}
    assert set(results["pictures"]) == {"a.png", "b.png"}
    # Known results are not measured again, unless the settings differ.
    monkeypatch.setattr(modules, "measure", None)
    assert modules.main(command) == 0 and capsys.readouterr().out == printed
    assert modules.main([*command, "--limit", "1"]) == 0
    assert capsys.readouterr().out.startswith("1 images")
    with pytest.raises(TypeError):
        modules.main([*command, "--avif"])


def test_details_are_shown_enlarged(dotted, tmp_path, capsys, rng):
    two_photographs(tmp_path, rng)
    out = tmp_path / "details.png"
    command = ["--photo", f"noise={tmp_path / 'b.png'}@200,0", "--out", str(out)]
    assert details.main([*command, "--module", "strong=40"]) == 0
    assert "noise" in capsys.readouterr().out
    with Image.open(out) as sheet:
        assert sheet.width > 4 * 288 and sheet.height > 288
    pixels = rng.integers(0, 256, (120, 130, 3), np.uint8)
    detail = details.enlarged(pixels, (200, 10))
    assert detail.shape == (288, 288, 3)
    np.testing.assert_array_equal(detail[::3, ::3], pixels[10:106, 34:130])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([], "at least one detail"),
        (["--photo", "x=y.png@0,0", "--module", "folder"], "--module takes NAME=FOLDER"),
    ],
)
def test_details_that_cannot_be_drawn_are_refused(command, message, capsys):
    assert details.main(command) == 2
    assert message in capsys.readouterr().err
