"""Colours that a file describes without an ICC profile are carried as one, or converted."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from rdc_jax.images import colour_profiles, image_bytes, isobmff, read_image
from rdc_jax.images.icc_writer import profile
from tests.images.colorimetry import (
    ADOBE_XY,
    P3_XY,
    SRGB_XY,
    TONES,
    bt709_curve,
    expected_srgb,
    pq_curve,
    shown,
    srgb_curve,
)
from tests.images.files import P3, RGB, rgb_profile, saved, tiff_file
from tests.images.png_files import chunk, written


def gama(value):
    return chunk(b"gAMA", struct.pack(">I", round(100_000 * value)))


def chrm(xy):
    corners = (xy[3], *xy[:3])
    return chunk(b"cHRM", struct.pack(">8I", *(round(100_000 * v) for p in corners for v in p)))


def cicp(primaries, transfer):
    return chunk(b"cICP", bytes([primaries, transfer, 0, 1]))


PNG = {
    "linear": ([gama(1.0)], SRGB_XY, lambda x: x, False),
    "gamma 1.8": ([gama(1 / 1.8)], SRGB_XY, lambda x: x**1.8, True),
    "Adobe RGB": ([gama(1 / 2.2), chrm(ADOBE_XY)], ADOBE_XY, lambda x: x**2.2, True),
    "primaries alone": ([chrm(P3_XY)], P3_XY, srgb_curve, True),
    "Display P3": ([cicp(12, 13)], P3_XY, srgb_curve, True),
    "BT.709": ([cicp(1, 1)], SRGB_XY, bt709_curve, True),
    "linear by cICP": ([cicp(1, 8)], SRGB_XY, lambda x: x, False),
    "linear P3": ([gama(1.0), chrm(P3_XY)], P3_XY, lambda x: x, False),
    "cICP before all others": (
        [gama(0.3), chunk(b"sRGB", b"\0"), cicp(12, 13)], P3_XY, srgb_curve, True),
    "sRGB before gAMA": (
        [gama(0.3), chrm(P3_XY), chunk(b"sRGB", b"\0")], SRGB_XY, srgb_curve, None),
    "sRGB as older programs say it": (
        [gama(0.45455), chrm(SRGB_XY)], SRGB_XY, srgb_curve, None),
    "gAMA alone of sRGB": ([gama(0.45455)], SRGB_XY, srgb_curve, None),
    "sRGB by cICP": ([cicp(1, 13)], SRGB_XY, srgb_curve, None),
    "HDR": ([cicp(1, 16)], SRGB_XY, pq_curve, False),
}  # fmt: skip


@pytest.mark.parametrize("name", PNG)
def test_png(name):
    """kept: True if the profile is carried, False if pixels are converted, None if it is sRGB."""
    chunks, primaries, curve, kept = PNG[name]
    image = read_image(io.BytesIO(written(TONES, 8, 2, False, *chunks)), keep_alpha=True)
    assert np.abs(shown(image) - expected_srgb(TONES, primaries, curve)).max() <= 3
    assert (image.icc is not None) == (kept is True)
    if kept is not False:
        np.testing.assert_array_equal(image.pixels, TONES)
    assert ("HDR" in " ".join(image.notes)) == (name == "HDR")
    for extension in (".png", ".webp", ".bmp"):  # the last has no profile
        again = read_image(io.BytesIO(image_bytes(image, extension)[0]), keep_alpha=True)
        assert np.abs(shown(again).astype(int) - shown(image)).max() <= 1


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
def test_grey_png(depth, interlaced):
    grey = np.linspace(20, 250, 8).round().astype(int).reshape(2, 4, 1)
    samples = grey * (257 if depth == 16 else 1)
    for gamma, kept in ((1.0, False), (1 / 1.8, True)):
        file = written(samples, depth, 0, interlaced, gama(gamma))
        image = read_image(io.BytesIO(file), keep_alpha=True)
        light = expected_srgb(np.repeat(grey, 3, -1), SRGB_XY, lambda x, g=gamma: x ** (1 / g))
        assert image.grey and np.abs(shown(image) - light).max() <= 2
        assert (image.icc is not None) == kept
        again = read_image(io.BytesIO(image_bytes(image, ".webp")[0]))  # as RGB
        assert np.abs(shown(again).astype(int) - shown(image)).max() <= 1


@pytest.mark.parametrize(
    ("chunks", "words"),
    [
        ([gama(0)], "gamma"),
        ([gama(40)], "gamma"),
        ([chrm(((0.3, 0.3), (0.3, 0.3), (0.3, 0.3), (0.3, 0.3)))], "on a line"),
        ([chrm((*P3_XY[:3], (0.9, 0.05)))], "white"),
        ([chrm((*P3_XY[:3], (0.3, 0.0)))], "out of range"),
        ([cicp(200, 13)], "200/13"),
        ([chunk(b"cICP", bytes([9, 16, 9, 1]))], "full-range RGB"),
        ([chunk(b"cHRM", b"12")], "damaged"),
    ],
)
def test_nonsense_is_ignored_with_a_note(chunks, words):
    image = read_image(io.BytesIO(written(TONES, 8, 2, False, *chunks)), keep_alpha=True)
    assert image.icc is None and len(image.notes) == 1 and words in image.notes[0]
    np.testing.assert_array_equal(image.pixels, TONES)


def camera(color_space, index, kind="JPEG", **tags):
    exif = Image.Exif()
    photo = exif.get_ifd(0x8769)
    exif[0x010F] = "a camera"
    if color_space is not None:
        photo[0xA001] = color_space
    if index is not None:
        photo[0xA005] = {1: index, 2: b"0100"}
    photo.update({int(tag[1:], 16): value for tag, value in tags.items()})
    return saved(np.full((8, 8, 3), (200, 90, 60), np.uint8), kind, exif=exif.tobytes())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("space", "index", "is_adobe"),
    [
        *((65535, "R03", True), (2, None, True), (None, "R03", True)),
        *((1, "R98", False), (65535, None, False), (1, "R03", False), (None, None, False)),
    ],
)
def test_cameras_set_to_adobe_rgb(space, index, is_adobe, kind):
    image = read_image(io.BytesIO(camera(space, index, kind)), keep_alpha=True)
    assert (image.icc is not None) == is_adobe
    if is_adobe:
        expected = expected_srgb(image.pixels, ADOBE_XY, lambda x: x ** (563 / 256))
        assert np.abs(shown(image) - expected).max() <= 2
        assert "Adobe RGB" in colour_profiles.description(image.icc)


def test_an_own_profile_comes_first():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2
    file = saved(RGB, "JPEG", exif=exif.tobytes(), icc_profile=P3)
    assert read_image(io.BytesIO(file)).icc == P3


@pytest.mark.parametrize("mode", ["CMYK", "RGB"])
def test_exif_of_converted_pixels_says_srgb(mode):
    """A reader would otherwise convert a second time."""
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA001: 65535, 0xA005: {1: "R03"}})
    options = {"exif": exif.tobytes()}
    if mode == "RGB":
        options["icc_profile"] = rgb_profile(1.0)
    file = saved(Image.new(mode, (8, 8), (10, 20, 30, 0)[: len(mode)]), "JPEG", **options)
    back = read_image(io.BytesIO(file), keep_alpha=True)
    again = read_image(io.BytesIO(image_bytes(back, ".png")[0]), keep_alpha=True)
    assert back.icc is None and again.icc is None
    np.testing.assert_array_equal(again.pixels, back.pixels)


def test_a_grey_profile_does_not_get_into_a_file_of_rgb():
    grey = np.linspace(20, 250, 8).round().astype(np.uint8).reshape(2, 4, 1)
    image = read_image(io.BytesIO(written(grey, 8, 0, False, gama(1 / 1.8))), keep_alpha=True)
    assert colour_profiles.pixel_mode(image.icc) == "L"
    again = read_image(io.BytesIO(image_bytes(image, ".webp")[0]), keep_alpha=True)
    assert again.icc is None and np.abs(again.pixels.astype(int) - shown(image)).max() <= 1


def avif(primaries, transfer, **options):
    """An AVIF file whose nclx is overwritten."""
    data = saved(np.full((16, 16, 3), (200, 90, 60), np.uint8), "AVIF", quality=100,
                 subsampling="4:4:4", **options)  # fmt: skip
    place = data.index(b"colrnclx") + 8
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


@pytest.mark.parametrize(
    ("points", "xy", "curve", "kept"),
    [
        ((12, 13), P3_XY, srgb_curve, True),
        ((1, 1), SRGB_XY, bt709_curve, True),
        ((1, 8), SRGB_XY, lambda x: x, False),
        ((1, 13), SRGB_XY, srgb_curve, None),
        ((2, 2), SRGB_XY, srgb_curve, None),
        ((12, 2), P3_XY, srgb_curve, True),
        ((1, 16), SRGB_XY, pq_curve, False),
    ],
)
def test_avif(points, xy, curve, kept):
    pytest.importorskip("PIL._avif")
    data = avif(*points)
    assert isobmff.code_points(data) == points
    image = read_image(io.BytesIO(data), keep_alpha=True)
    assert (image.icc is not None) == (kept is True)
    with Image.open(io.BytesIO(data)) as raw:
        values = np.asarray(raw)[8, 8]
    assert np.abs(shown(image)[8, 8] - expected_srgb(values, xy, curve)).max() <= 3


def test_damaged_avif_boxes_are_no_code_points():
    pytest.importorskip("PIL._avif")
    data = avif(12, 13)
    for cut in range(0, 400, 3):
        assert isobmff.code_points(data[:cut]) in (None, (12, 13))


def test_tiff_tags():
    fractions = {318: (0.3127, 0.3290), 319: tuple(v for xy in ADOBE_XY[:3] for v in xy)}
    file = saved(TONES, "TIFF", tiffinfo=fractions)
    image = read_image(io.BytesIO(file), keep_alpha=True)
    expected = expected_srgb(TONES, ADOBE_XY, lambda x: x**2.2)
    assert np.abs(shown(image) - expected).max() <= 2 and image.icc is not None
    for exponent, kept in ((1.8, True), (1.0, False), (2.2, None)):
        table = np.rint(65535 * np.linspace(0, 1, 256) ** exponent).astype(int).tolist()
        tags = {258: [8, 8, 8], 259: 1, 262: 2, 277: 3, 301: table}
        for repeated in (1, 3):
            tags[301] = table * repeated
            file = tiff_file(4, 1, tags, TONES.tobytes())
            image = read_image(io.BytesIO(file), keep_alpha=True)
            curve = srgb_curve if kept is None else lambda x, e=exponent: x**e
            assert np.abs(shown(image) - expected_srgb(TONES, SRGB_XY, curve)).max() <= 3
            assert (image.icc is not None) == (kept is True)


def test_the_flag_of_qoi_is_not_believed():
    """QOI calls it informative only, and Pillow sets it to linear for everything."""
    image = read_image(io.BytesIO(saved(TONES, "QOI")), keep_alpha=True)
    assert (image.pixels == TONES).all() and image.icc is None


def test_ycbcr_keeps_its_profile():
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    ycbcr = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
    tifffile.imwrite(file, ycbcr, photometric=6, iccprofile=P3, metadata=None)
    image = read_image(io.BytesIO(file.getvalue()))
    assert image.icc == P3 and np.abs(image.pixels.astype(int) - RGB).max() <= 3


def test_profiles_are_small_and_sound():
    from rdc_jax.images.declared_colours import ADOBE_RGB

    for grey, most in ((False, 600), (True, 420)):
        data = profile(ADOBE_RGB, grey)
        assert len(data) < most and data == profile(ADOBE_RGB, grey)
        opened = ImageCms.getOpenProfile(io.BytesIO(data)).profile
        assert opened.xcolor_space.strip() == ("GRAY" if grey else "RGB")
        assert opened.version == pytest.approx(4.4)
