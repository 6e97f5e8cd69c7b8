"""Squares of files that are not decoded yet, against squares of the pixels of `read_image`."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from rdc_jax.errors import RdcError
from rdc_jax.images import EncodedImage, array_square, encoded_image, read_image

SQUARES = [(0, 0, 90, 64), (7, 11, 64, 64), (30, 3, 40, 64), (3, 40, 100, 64), (0, 0, 120, 24)]
"""(top, left, side, size) within 120 x 150 pixels."""


def picture(mode="RGB", width=150, height=120):
    """Smooth colours with some noise, so that rows, columns and channels differ."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 3))
    planes = np.stack([x + y, 200 - x, 60 + y], -1) * 0.7 + noise
    return Image.fromarray(planes.clip(0, 255).astype(np.uint8)).convert(mode)


def encoded(image, file_format="JPEG", **options):
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def turned(value):
    exif = Image.Exif()
    exif[0x0112] = value
    width, height = (120, 150) if value >= 5 else (150, 120)
    return encoded(picture(width=width, height=height), exif=exif)


def with_profile(name):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()
    return encoded(picture(), icc_profile=profile)


FILES = {
    "jpeg": lambda: encoded(picture()),
    "grey": lambda: encoded(picture("L")),
    "progressive": lambda: encoded(picture(), progressive=True),
    "cmyk": lambda: encoded(picture("CMYK")),
    "webp": lambda: encoded(picture(), "WEBP"),
    "webp with alpha": lambda: encoded(picture("RGBA"), "WEBP", lossless=True),
    "png": lambda: encoded(picture(), "PNG"),
    "palette": lambda: encoded(picture().quantize(32), "PNG"),
    "srgb profile": lambda: with_profile("sRGB"),
    **{f"orientation {value}": (lambda value=value: turned(value)) for value in range(1, 9)},
}

PLAIN = ("jpeg", "grey", "progressive", "webp", "srgb profile")


@pytest.mark.parametrize("name", FILES)
def test_squares_are_those_of_the_whole_image(name):
    data = FILES[name]()
    whole = read_image(io.BytesIO(data)).pixels
    image = EncodedImage(data, name, draft=False)
    assert image.shape == whole.shape == (120, 150, 3)
    np.testing.assert_array_equal(image.pixels(), whole)
    for square in SQUARES:
        found = np.asarray(image.square(*square))
        assert found.shape == (square[3], square[3], 3) and found.dtype == np.uint8
        np.testing.assert_array_equal(found, array_square(whole, *square))


@pytest.mark.parametrize("name", [name for name in FILES if name in PLAIN or "orient" in name])
def test_only_the_squares_pixels_leave_pillow(name, monkeypatch):
    data = FILES[name]()
    monkeypatch.setattr(encoded_image, "read_image", None)
    assert EncodedImage(data, name).square(7, 11, 64, 64).size == (64, 64)


def psnr(a, b):
    return -10 * np.log10(np.mean((a.astype(float) - b) ** 2) / 255**2 + 1e-12)


@pytest.mark.parametrize("value", range(1, 9))
def test_a_draft_is_close_to_the_whole_image(value):
    exif = Image.Exif()
    exif[0x0112] = value
    width, height = (901, 1203) if value >= 5 else (1203, 901)
    data = encoded(picture(width=width, height=height), exif=exif, quality=95)
    whole = read_image(io.BytesIO(data)).pixels
    draft, exact = (EncodedImage(data, "a", draft=allowed) for allowed in (True, False))
    for square in ((0, 0, 901, 128), (0, 302, 901, 112), (101, 77, 640, 64)):
        expected = np.asarray(array_square(whole, *square))
        np.testing.assert_array_equal(exact.square(*square), expected)
        found = np.asarray(draft.square(*square))
        assert (found != expected).any()  # a draft was decoded
        assert psnr(found, expected) > 45
    moderate = (5, 6, 300, 128)  # a draft would have fewer than twice the pixels
    np.testing.assert_array_equal(draft.square(*moderate), array_square(whole, *moderate))


def test_errors_are_those_of_read_image():
    data = FILES["jpeg"]()
    for damaged in (b"no image", data[: len(data) // 2], data[:40]):
        with pytest.raises(RdcError) as expected:
            file = io.BytesIO(damaged)
            file.name = "a.jpg"
            read_image(file)
        with pytest.raises(RdcError) as found:
            EncodedImage(damaged, "a.jpg").square(0, 0, 64, 64)
        assert str(found.value) == str(expected.value)
