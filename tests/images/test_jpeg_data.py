"""JPEG files whose data do not fit their pixels; intact files are never suspected."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.images import jpeg_data, read_image
from tests.images.files import pixels, saved

WAYS = {
    "plain": {},
    "fine": {"quality": 95, "subsampling": 0},
    "4:2:0": {"quality": 80, "subsampling": 2},
    "progressive": {"progressive": True},
    "restarts by blocks": {"restart_marker_blocks": 7},
    "restarts by rows": {"restart_marker_rows": 1},
}


def photo() -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 20, (240, 320, 3))
    return np.clip(pixels(240, 320) + noise, 0, 255).astype(np.uint8)


def scan_of(file: bytes) -> int:
    return file.index(b"\xff\xda") + 14


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_intact_files(way, grey):
    colour = photo()
    for image in (colour, np.full_like(colour, 128), np.full_like(colour, 127), colour[:5, :3]):
        shown = Image.fromarray(image).convert("L") if grey else image
        image = read_image(io.BytesIO(saved(shown, "JPEG", **WAYS[way])))
        assert image.notes == ()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("share", "length"), [(0.2, 400), (0.5, 3000)])
def test_removed_data_are_missed(way, share, length):
    file = saved(photo(), "JPEG", **WAYS[way])
    if way == "progressive":
        share /= 20  # in the first scan, of all blocks' means
        length = 300
    place = scan_of(file) + int(share * (len(file) - scan_of(file)))
    damaged = file[:place] + file[place + length :]
    with pytest.raises(RdcError, match="is a damaged image: part of its data is missing"):
        read_image(io.BytesIO(damaged))


def test_data_that_were_overwritten():
    """Depending on the bytes, the decoder runs out of data or has some left."""
    file = saved(photo(), "JPEG", **WAYS["fine"])
    found = []
    for share in np.linspace(0.1, 0.8, 8):
        place = scan_of(file) + int(share * (len(file) - scan_of(file)))
        damaged = file[:place] + bytes(500) + file[place + 500 :]
        with Image.open(io.BytesIO(damaged)) as image:
            found.append(jpeg_data.damage(damaged, np.asarray(image)))
        if found[-1] == jpeg_data.LEFT_OVER:
            assert "may be damaged" in read_image(io.BytesIO(damaged)).notes[0]
    assert found.count(None) <= 2


def test_a_few_bytes_of_padding_are_harmless():
    file = saved(photo(), "JPEG")
    assert read_image(io.BytesIO(file[:-2] + bytes(16) + file[-2:])).notes == ()
    assert read_image(io.BytesIO(file + b"\xff\xd8 a second image")).notes == ()


def test_cut_and_damaged_files_raise_nothing_else():
    file = saved(photo(), "JPEG", restart_marker_rows=1)
    for cut in range(2, len(file), 997):
        assert jpeg_data.damage(file[:cut], photo()) in (None, jpeg_data.MISSING)
