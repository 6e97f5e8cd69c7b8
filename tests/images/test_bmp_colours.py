"""Colours that a BMP file describes."""

from __future__ import annotations

import io
import struct

import numpy as np

from rdc_jax.images import read_image
from tests.images.colorimetry import ADOBE_XY, TONES, expected_srgb, shown
from tests.images.files import P3


def bmp(kind, ends=(0,) * 9, gamma=0, appended=b""):
    """A BMP file with the header of version 5."""
    rows = b"".join(TONES[0, x, ::-1].tobytes() for x in range(4))
    head = struct.pack("<IiiHHIIiiII", 124, 4, 1, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16)
    head += kind + struct.pack(
        "<9i3I", *(round(2**30 * v) for v in ends), *[round(65536 * gamma)] * 3
    )
    head += struct.pack("<4I", 4, 124 + len(rows), len(appended), 0)
    return (
        b"BM"
        + struct.pack("<IHHI", 14 + 124 + len(rows) + len(appended), 0, 0, 138)
        + head
        + rows
        + appended
    )


def test_bmp():
    ends = [0.5767, 0.2973, 0.0270, 0.1856, 0.6274, 0.0707, 0.1882, 0.0753, 0.9911]  # Adobe RGB
    image = read_image(io.BytesIO(bmp(bytes(4), ends, 2.2)), keep_alpha=True)
    expected = expected_srgb(TONES, ADOBE_XY, lambda x: x**2.2)
    assert np.abs(shown(image) - expected).max() <= 3 and image.icc is not None
    assert read_image(io.BytesIO(bmp(b"DEBM", appended=P3)), keep_alpha=True).icc == P3
    assert read_image(io.BytesIO(bmp(b"BGRs")), keep_alpha=True).icc is None
    assert read_image(io.BytesIO(bmp(bytes(4))), keep_alpha=True).icc is None
