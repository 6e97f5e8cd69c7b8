"""Writing of every format: what each keeps, and notes on what it cannot store."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rdc_jax.images import (
    LoadedImage,
    colour_profiles,
    formats,
    image_bytes,
    read_image,
    transparency,
)
from tests.images.files import AVIF, GREY, HEIF, JXL, P3, RAMP, RGB, SRGB, XMP, exif, grey3


@pytest.mark.parametrize(
    "extension",
    [
        *(".jpg", ".png", ".webp", ".tif", ".bmp", ".ppm"),
        pytest.param(".avif", marks=AVIF),
        pytest.param(".jxl", marks=JXL),
        pytest.param(".heic", marks=HEIF),
    ],
)
@pytest.mark.parametrize("grey", [False, True])
def test_written_files_read_back(extension, grey):
    how = formats.FORMATS[extension]
    colours = grey3(GREY) if grey else RGB
    image = LoadedImage(colours, grey=grey, alpha=RAMP, icc=SRGB, exif=exif(1), xmp=XMP % 1)
    file, notes = image_bytes(image, extension)
    again = read_image(io.BytesIO(file), keep_alpha=True)
    expected = colours if how.alpha else transparency.laid_on(colours, RAMP)
    lossy = how.name in ("JPEG", "AVIF", "HEIF")
    seen = RAMP > 64 if lossy and how.alpha else RAMP > 0
    error = np.abs(again.pixels.astype(int) - expected)[seen]
    assert error.max() <= (40 if lossy else 1) and error.mean() < 4
    assert (again.alpha is not None) == how.alpha
    if how.alpha:
        assert np.abs(again.alpha.astype(int) - RAMP).max() <= (3 if lossy else 0)
    assert ("no transparency" in " ".join(notes)) == (not how.alpha)
    for kind in formats.ALL_METADATA:
        if how.name == "JXL" and kind == "xmp":
            continue  # the plugin writes it but does not read it
        if kind not in how.metadata:
            assert kind in " ".join(notes)
        elif kind == "exif" and how.name in ("TIFF", "AVIF"):  # rebuilt by Pillow
            tags = Image.Exif()
            tags.load(again.exif)
            assert tags[0x010F] == "A camera"
            assert tags.get_ifd(0x8769)[0x9003] == "2026:11:21 10:00:00"
        else:
            assert getattr(again, kind) == getattr(image, kind)


def test_formats_without_profiles_get_srgb():
    image = LoadedImage(np.full((4, 4, 3), (255, 0, 0), np.uint8), icc=P3)
    file, notes = image_bytes(image, ".bmp")
    there = read_image(io.BytesIO(file)).pixels[0, 0]
    wide = colour_profiles.to_srgb(Image.new("RGB", (1, 1), (200, 90, 90)), P3).getpixel((0, 0))
    assert there[0] == 255 and wide[0] > 205 and "sRGB" in notes[0]
