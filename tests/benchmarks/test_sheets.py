"""The sheets of the documentation, drawn on tiny inputs: every column has a header."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import rdc_jax
from benchmarks import details, failures, region_detectors
from rdc_jax import demo
from rdc_jax.evaluation import baselines
from rdc_jax.importance import detectors
from rdc_jax.importance.detectors import Found


class StandInCodec:
    """JPEG."""

    module = SimpleNamespace(identity="none")

    def encode(self, pixels, quality=30.0, target_bytes=None, importance=None):
        if target_bytes is not None:
            return baselines.size_matched("jpeg", pixels, target_bytes)[0]
        return baselines.encode("jpeg", pixels, quality)

    def decode(self, data, tau=0.0):
        return baselines.decode("jpeg", data)


@pytest.fixture
def photo(monkeypatch, tmp_path, rng):
    monkeypatch.setattr(rdc_jax, "load", lambda *names: StandInCodec(), raising=False)
    monkeypatch.setattr(region_detectors.compilation_cache, "enable", lambda: None)

    def find(pixels, detector="auto"):
        return Found(np.ones(pixels.shape[:2], np.float32), f"{detector} found it")

    monkeypatch.setattr(detectors, "find", find)
    folder = tmp_path / "photos"
    folder.mkdir()
    blocks = Image.fromarray(rng.integers(0, 256, (8, 12, 3), np.uint8))
    blocks.resize((240, 160)).save(folder / "photo.png")
    return folder / "photo.png"


@pytest.fixture
def drawn(monkeypatch):
    """(captions by row, headers) of each sheet that a benchmark draws."""
    seen = []

    def draw(rows, font_size=18, columns=()):
        sheet = demo.draw_sheet(rows, font_size, columns)
        seen.append(([[text for text, _ in row] for row in rows], list(columns)))
        return sheet

    for script in (details, failures, region_detectors):
        monkeypatch.setattr(script, "draw_sheet", draw)
    return seen


def test_headers_stand_above_the_first_row():
    panel = np.full((demo.PANEL, demo.PANEL, 3), 200, np.uint8)
    plain = demo.draw_sheet([[("a", panel), ("b", panel)]])
    headed = demo.draw_sheet([[("a", panel), ("b", panel)]], columns=("one", "two"))
    added = headed.shape[0] - plain.shape[0]
    assert added > 18 and headed.shape[1] == plain.shape[1]
    np.testing.assert_array_equal(headed[added + demo.MARGIN :], plain[demo.MARGIN :])
    header = headed[demo.MARGIN : added]
    for half in (header[:, : demo.PANEL], header[:, demo.PANEL :]):
        columns = np.flatnonzero((half < 100).any((0, 2)))
        assert abs(columns.mean() - half.shape[1] / 2) < 20  # in the middle of its column


def test_the_sheet_of_failures(photo, drawn, tmp_path, capsys):
    out = tmp_path / "failures.jpg"
    assert failures.main(["--photo", f"tiny={photo}@10,10", "--out", str(out)]) == 0
    captions, columns = drawn[0]
    assert columns == ["original", "rdc, quality 15", "WebP", "rdc, quality 50"]
    assert [row[0] for row in captions] == ["text", "chart", "screenshot", "tiny"]
    assert all("bpp" in text and "dB" in text for row in captions for text in row[1:])
    with Image.open(out) as sheet:
        assert sheet.width > 4 * demo.PANEL // 2


def test_the_sheet_of_region_detectors(photo, drawn, tmp_path, capsys):
    out = tmp_path / "regions.jpg"
    assert region_detectors.main(["--data", str(photo.parent), "--out", str(out)]) == 0
    captions, columns = drawn[0]
    assert columns == ["image", "--roi contrast", "--roi auto"]
    assert captions == [["", "", "auto found it"]]
    assert out.exists()


def test_the_sheet_of_details(photo, drawn, tmp_path, capsys):
    out = tmp_path / "details.jpg"
    assert details.main(["--photo", f"fur={photo}@0,0", "--out", str(out)]) == 0
    captions, columns = drawn[0]
    assert columns == ["original", "tau 0", "tau 1", "AVIF"]
    assert captions == [["fur", "", "", ""]]
    assert out.exists()
