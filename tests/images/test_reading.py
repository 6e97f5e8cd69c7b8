"""Unusual image files are read, coded and restored as docs/images.md says, or are refused."""

from __future__ import annotations

import io
import re
import struct
import sys

import numpy as np
import pytest

from rdc_jax.cli.main import main
from rdc_jax.codec import metadata_sections
from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage, formats, image_bytes, orientation, read_image
from tests.images.cases import CASES, PLUGIN_CASES
from tests.images.files import HEIF, JXL, P3, RGB, WIDE, exif, pixels, png, saved


@pytest.mark.parametrize("name", CASES)
def test_files_are_read_as_expected(name):
    case = CASES[name]
    image = read_image(io.BytesIO(case.make()), keep_alpha=True)
    assert image.pixels.dtype == np.uint8 and image.grey == case.grey
    assert image.pixels.shape == case.colours.shape
    seen = np.ones(image.pixels.shape[:2], bool) if case.alpha is None else case.alpha > 0
    difference = np.abs(image.pixels.astype(int) - case.colours)[seen]
    assert difference.max(initial=0) <= case.within
    np.testing.assert_equal(image.alpha, case.alpha)
    held = {kind: getattr(image, kind) for kind in formats.ALL_METADATA}
    assert held == dict.fromkeys(formats.ALL_METADATA) | case.held


@pytest.mark.parametrize("name", [name for name in CASES if "orientation 2" not in name])
def test_files_survive_coding(name, codec):
    """Through the codec, and through a PNG file of the decoded image."""
    image = read_image(io.BytesIO(CASES[name].make()), keep_alpha=True)
    extras = metadata_sections.extras_of(image)
    data = codec.encode(image.pixels, quality=30, grey=image.grey, extras=extras)
    back = codec.decode_image(data)
    file, notes = image_bytes(back, ".png")
    again = read_image(io.BytesIO(file), keep_alpha=True)
    assert notes == [] and again.pixels.shape == image.pixels.shape
    for kind in ("alpha", *formats.ALL_METADATA):
        np.testing.assert_equal(getattr(back, kind), getattr(image, kind))
        np.testing.assert_equal(getattr(again, kind), getattr(image, kind))
    seen = slice(None) if back.alpha is None else back.alpha > 0
    np.testing.assert_array_equal(again.pixels[seen], back.pixels[seen])
    assert back.grey == image.grey
    assert again.grey == image.grey or back.icc  # a profile of colours wants three channels
    bare = codec.encode(image.pixels, quality=30, grey=image.grey)
    np.testing.assert_array_equal(codec.decode(bare), back.pixels)


@pytest.mark.parametrize(
    ("name", "make"),
    [pytest.param(name, make, marks=mark) for name, (mark, make) in PLUGIN_CASES.items()],
)
def test_formats_that_may_be_missing(name, make):
    image = read_image(io.BytesIO(make()), keep_alpha=True)
    assert np.abs(image.pixels.astype(int) - RGB).max() <= 6 and not image.grey
    assert image.icc == P3 or name == "JPEG XL"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: saved(RGB, "JPEG")[:-60], "damaged"),
        (lambda: saved(pixels(90, 90))[:-200], "damaged"),
        (lambda: b"", "is empty"),
        (lambda: b"Dear reader,", "not an image"),
        (lambda: saved(np.float32([[0, 1.5]]), "TIFF"), "from 0 to 1.5"),
        (lambda: saved(np.float32([[-1, 0.5]]), "TIFF"), "scale or clip"),
        (lambda: saved(np.float32([[np.nan, 0.5]]), "TIFF"), "not finite"),
        (lambda: saved(np.float32([[np.inf, 0.5]]), "TIFF"), "not finite"),
        (lambda: saved(np.int32([[-1, 70000]]), "TIFF"), "from -1 to 70000"),
        (lambda: png(WIDE, size=(100_000, 100_000)), "too many pixels"),
        (lambda: png(WIDE, size=(2**31 - 1, 2**31 - 1)), "too many pixels|damaged"),
        (lambda: b"II*\0" + struct.pack("<IHHHII", 8, 1, 258, 3, 1, 64) + bytes(8), "8 or 16 bits"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "EPS"),
        pytest.param(lambda: b"\xff\x0a" + bytes(90), "damaged|not an image", marks=JXL),
        pytest.param(lambda: b"\0\0\0\x18ftypheic" + bytes(90), "damaged|not an image", marks=HEIF),
    ],
)
def test_unsuitable_files_are_refused(make, words, tmp_path, smoke_model, capsys):
    """One line on stderr, exit code 2, and no output file."""
    path = tmp_path / "odd image.png"
    path.write_bytes(make())
    assert main(["encode", str(path), "--model", str(smoke_model)]) == 2
    output, error = capsys.readouterr()
    assert output == "" and error.startswith("rdc: error: ") and error.count("\n") == 1
    assert re.search(words, error) and str(path) in error
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("plugin", [formats.JXL_PLUGIN, formats.HEIF_PLUGIN])
def test_a_missing_plugin_is_named(plugin, monkeypatch):
    monkeypatch.setitem(sys.modules, plugin[0], None)
    jxl = plugin == formats.JXL_PLUGIN
    beginning = b"\xff\x0a" if jxl else b"\0\0\0\x18ftypheic"
    for work in (
        lambda: read_image(io.BytesIO(beginning + bytes(40))),
        lambda: image_bytes(LoadedImage(RGB), ".jxl" if jxl else ".heic"),
    ):
        with pytest.raises(RdcError, match=f"needs {plugin[1]}: pip install {plugin[1]}"):
            work()


def test_avif_needs_no_plugin_with_any_first_brand():
    assert formats.plugin_for(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") is None
    assert formats.plugin_for(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") == formats.HEIF_PLUGIN


def test_orientation_survives_odd_blocks():
    assert orientation.upright_exif(b"") == b""
    for cut in range(len(exif(6))):
        assert len(orientation.upright_exif(exif(6)[:cut])) == cut
    for text in (b"tiff:Orientation='8'", b"<tiff:Orientation>8</tiff:Orientation>"):
        assert orientation.upright_xmp(text) == text.replace(b"8", b"1")


def test_a_cut_avif_file_is_called_damaged():
    """By its first bytes alone, as for other formats."""
    cut = b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1A" + bytes(9)
    with pytest.raises(RdcError, match="is a damaged image: its header makes no sense"):
        read_image(io.BytesIO(cut))
