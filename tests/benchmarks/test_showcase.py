"""The image of the README, drawn with a stand-in codec that is JPEG inside."""

import numpy as np
import pytest
from PIL import Image

import rdc_jax
from benchmarks import showcase
from rdc_jax.evaluation import baselines, timing
from rdc_jax.importance import detectors
from rdc_jax.importance.detectors import Found

DETECTED = np.zeros((300, 200), np.float32)
DETECTED[40:100, 60:120] = 1.0


class StandInCodec:
    """JPEG in the requested size; with a map, everything outside is grey."""

    def encode(self, pixels, target_bytes, importance=None):
        if importance is not None:
            pixels = np.where(importance[..., None] > 0, pixels, 128).astype(np.uint8)
        return baselines.size_matched("jpeg", pixels, target_bytes)[0]

    def decode(self, data):
        return baselines.decode("jpeg", data)


@pytest.fixture
def photo(monkeypatch, tmp_path):
    monkeypatch.setattr(rdc_jax, "load", lambda model: StandInCodec(), raising=False)
    monkeypatch.setattr(showcase.compilation_cache, "enable", lambda: None)
    monkeypatch.setattr(
        detectors, "find", lambda pixels, detector="auto": Found(DETECTED, detector)
    )
    path = tmp_path / "photo.png"
    Image.fromarray(timing.synthetic_image(300, 200)).save(path)
    return path


def test_rdc_files_are_never_larger_than_the_avif_file(photo, tmp_path, capsys):
    out = tmp_path / "sheet.jpg"
    command = [str(photo), "--detail", "40", "30", "--bpp", "1.5", "--out", str(out)]
    assert showcase.main(command) == 0
    lines = capsys.readouterr().out.splitlines()[2:5]
    found = {line[:14].strip(): [float(v) for v in line[14:].split()] for line in lines}
    assert list(found) == ["rdc, no map", "rdc --roi auto", "AVIF"]
    assert 8 * found["AVIF"][0] <= 1.5 * 300 * 200
    assert all(row[0] <= found["AVIF"][0] for row in found.values())
    even, mapped = found["rdc, no map"], found["rdc --roi auto"]
    assert mapped[2] > even[2] and mapped[3] < even[3]  # PSNR of the face, and of the whole image
    with Image.open(out) as sheet:
        assert sheet.width == 4 * 432 + 12
        assert sheet.height == 630 + 420 + 2 * 36 + 3 * 12  # the upper row keeps the photo's shape


@pytest.mark.parametrize("corner", [("-1", "0"), ("61", "0"), ("0", "161")])
def test_a_detail_outside_the_image_is_an_error(photo, corner, capsys):
    assert showcase.main([str(photo), "--detail", *corner]) == 2
    assert "no detail of 140 x 140 pixels" in capsys.readouterr().err
