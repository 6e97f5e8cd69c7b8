"""Odd picture files through the codec and back: each behaves as docs/pictures.md says.

The files are made here: by Pillow, and by small writers of 16-bit PNG, ICC profiles and EXIF.
"""

from __future__ import annotations

import importlib.util
import io
import json
import re
import struct
import sys
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from rdc_jax import codec as codecs
from rdc_jax import picture_sections
from rdc_jax.cli import main
from rdc_jax.entropy import bitstream
from rdc_jax.entropy.sections import MAX_METADATA_BYTES, WHOLE_LATENT, SectionType
from rdc_jax.errors import RdcError
from rdc_jax.image_io import Picture, picture_bytes, read_image
from rdc_jax.pictures import colour_profiles, formats, grey_png, orientation, transparency

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="%d" a="\xc3\xa9"/></x:xmpmeta>'


def pixels(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """A smooth picture uint8 [h,w,channels], [h,w] for one channel."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 3, channels), np.uint8)
    planes = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)
        for plane in np.moveaxis(coarse, -1, 0)
    ]
    smooth = np.stack([np.asarray(plane) for plane in planes], -1)
    return smooth[..., 0] if channels == 1 else smooth


def saved(picture: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    """A picture file of Pillow's format `kind`."""
    file = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(file, kind, **options)
    return file.getvalue()


def animation(kind: str, **options) -> bytes:
    """Two frames of 9 x 12 pixels, grey 10 and 200."""
    frames = [Image.new("RGB", (12, 9), (grey,) * 3) for grey in (10, 200)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)


def exif(orientation: int, order: str = ">") -> bytes:
    """An EXIF block as cameras write it, with a directory of its own and junk behind it."""
    camera, date = b"A camera\0", b"2026:11:21 10:00:00\0"
    start, mark = (b"MM\0*", "big") if order == ">" else (b"II*\0", "little")
    entries = [
        struct.pack(f"{order}HHII", 0x010F, 2, len(camera), 62),
        struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0),
        struct.pack(f"{order}HHII", 0x8769, 4, 1, 72),
    ]
    inner = [struct.pack(f"{order}HHII", 0x9003, 2, len(date), 92)]
    head = start + struct.pack(f"{order}I", 8)
    first = struct.pack(f"{order}H", 3) + b"".join(entries) + bytes(4)
    block = (head + first).ljust(62, b"\0") + camera
    block = block.ljust(72, b"\0") + struct.pack(f"{order}H", 1) + b"".join(inner) + bytes(4)
    return block.ljust(92, b"\0") + date + f"left over, {mark}".encode()


def png(samples: np.ndarray, *chunks: tuple[bytes, bytes], size=None) -> bytes:
    """PNG of uint16 [h,w] or [h,w,channels]; size: what the header says, if it is to lie."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", *(size or (width, height)), 16, colour, 0, 0, 0)
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = ((b"IHDR", head), *chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in body
    )


def tiff(samples: np.ndarray, order: str) -> bytes:
    """TIFF of uint16 [h,w,3] or [h,w,4], in the byte order "<" or ">"."""
    height, width, channels = samples.shape
    data = samples.astype(f"{order}u2").tobytes()
    shorts = {259: 1, 262: 2, 277: channels} | ({338: 2} if channels == 4 else {})
    bits = 8 + 2 + 12 * (6 + len(shorts)) + 4  # where the numbers of bits are
    longs = {256: width, 257: height, 273: bits + 2 * channels, 278: height, 279: len(data)}
    entries = {258: struct.pack(f"{order}HII", 3, channels, bits)}
    entries |= {tag: struct.pack(f"{order}HIHH", 3, 1, value, 0) for tag, value in shorts.items()}
    entries |= {tag: struct.pack(f"{order}HII", 4, 1, value) for tag, value in longs.items()}
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = b"".join(struct.pack(f"{order}H", tag) + entries[tag] for tag in sorted(entries))
    head = mark + struct.pack(f"{order}IH", 8, len(entries)) + directory + bytes(4)
    return head + struct.pack(f"{order}{channels}H", *[16] * channels) + data


def rgb_profile(gamma: float, name: str = "Display P3, nearly") -> bytes:
    """A matrix profile with the primaries of Display P3 and one gamma."""
    columns = {
        b"wtpt": (0.9642, 1.0, 0.8249),
        b"rXYZ": (0.5151, 0.2412, -0.0011),
        b"gXYZ": (0.2920, 0.6922, 0.0419),
        b"bXYZ": (0.1571, 0.0666, 0.7841),
    }
    tags = {tag: b"XYZ \0\0\0\0" + _fixed(*values) for tag, values in columns.items()}
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(256 * gamma))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags, name)


def cmyk_profile() -> bytes:
    """White paper; cyan ink alone is a middle red, and any other mixture black."""
    corners = np.zeros((2, 2, 2, 2, 3), np.uint8)
    corners[...] = 0, 128, 128
    corners[0, 0, 0, 0] = 255, 128, 128
    corners[1, 0, 0, 0] = 128, 188, 168
    ramp = bytes(range(256))
    table = b"mft1" + struct.pack(">IBBBB", 0, 4, 3, 2, 0) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += 4 * ramp + corners.tobytes() + 3 * ramp
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table}, "Red for cyan")


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(65536 * value)) for value in values)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict, name: str) -> bytes:
    text = name.encode() + b"\0"
    description = b"desc" + struct.pack(">II", 0, len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)
    tags = tags | {b"desc": description, b"cprt": b"text\0\0\0\0none\0"}
    place, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", place + len(body), len(data))
        body += data
    head = struct.pack(">II", place + len(body), 0) + b"\x02\x40\0\0" + kind + space + connection
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + _fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + body


# The files, and what is read of them


RGB, GREY = pixels(13, 17), pixels(13, 17, 1)
RAMP = np.linspace(0, 255, 13 * 17).round().reshape(13, 17).astype(np.uint8)
WIDE = np.random.default_rng(1).integers(0, 65536, (7, 13, 4), np.uint16)
WIDE[0, :2] = [[0, 128, 129, 65535], [65535, 65407, 65406, 0]]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
P3 = rgb_profile(2.2)
HELD = {"icc": P3, "exif": exif(1), "xmp": XMP % 1}
AS_SAVED = {"icc_profile": P3, "exif": b"Exif\0\0" + exif(6), "xmp": XMP % 6}


def eight(wide: np.ndarray) -> np.ndarray:
    """Rounded to 8 bits, as fractions: the slow way."""
    return np.rint(wide.astype(np.float64) / 257).astype(np.uint8)


def grey3(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane[..., None], 3, -1)


def with_alpha(colour: np.ndarray, alpha: Any) -> np.ndarray:
    plane = np.broadcast_to(np.asarray(alpha, np.uint8), colour.shape[:2])
    return np.dstack([colour, plane])


def itxt(xmp: bytes) -> tuple[bytes, bytes]:
    return b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp


def palette(transparency: Any = None) -> bytes:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    return saved(image, **({} if transparency is None else {"transparency": transparency}))


def needs(module: str) -> Any:
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"needs {module}")


JXL, HEIF = (needs(plugin[0]) for plugin in (formats.JXL_PLUGIN, formats.HEIF_PLUGIN))
AVIF = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")


def by_plugin(plugin: tuple[str, str], *arguments, **options) -> bytes:
    assert formats.register(plugin)
    return saved(*arguments, **options)


class Case(NamedTuple):
    """A file and what is read of it.

    colours: [H,W,3], compared where alpha is above 0; within: the largest difference.
    """

    make: Callable[[], bytes]
    colours: np.ndarray
    grey: bool = False
    alpha: np.ndarray | None = None
    held: dict[str, bytes] = {}  # noqa: RUF012  never changed
    within: int = 0


def size(height: int, width: int) -> Case:
    return Case(lambda: saved(pixels(height, width)), pixels(height, width))


def of_all(kind: str, within: int = 0, **options) -> Case:
    """A file of a format with all metadata, turned."""
    turned = RGB.swapaxes(0, 1)[:, ::-1]
    return Case(lambda: saved(RGB, kind, **AS_SAVED, **options), turned, held=HELD, within=within)


def orientations() -> dict[str, Case]:
    turned = {
        **{1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1]},
        5: RGB.swapaxes(0, 1),
        6: RGB.swapaxes(0, 1)[:, ::-1],
        7: RGB[::-1, ::-1].swapaxes(0, 1),
        8: RGB.swapaxes(0, 1)[::-1],
    }
    cases = {}
    for value, colours in turned.items():
        for order in "<>":
            held = {"exif": exif(1, order)}
            make = lambda v=value, o=order: saved(RGB, exif=exif(v, o))  # noqa: E731
            cases[f"orientation {value}{order}"] = Case(make, colours, held=held)
        make = lambda v=value: saved(RGB, "TIFF", tiffinfo={0x0112: v})  # noqa: E731
        cases[f"orientation {value} of TIFF"] = Case(make, colours)
    return cases


HALF = np.full((13, 17), 128, np.uint8)
HOLE = np.where(np.hypot(*np.mgrid[-6:7, -8:9]) < 4, 0, 255).astype(np.uint8)
CASES = {
    "1 x 1": size(1, 1),
    "2 x 2": size(2, 2),
    "7 x 13": size(7, 13),
    "8 x 8": size(8, 8),
    "97 x 101": size(97, 101),
    "one row": size(1, 4000),
    "one column": size(4000, 1),
    "1 bit": Case(
        lambda: saved(Image.fromarray(RAMP).convert("1", dither=0)),
        grey3(np.where(RAMP > 127, 255, 0).astype(np.uint8)),
        grey=True,
    ),
    "grey": Case(lambda: saved(GREY), grey3(GREY), grey=True),
    "grey, 16 bits": Case(lambda: png(WIDE[..., 0]), grey3(eight(WIDE[..., 0])), grey=True),
    "grey TIFF, 16 bits": Case(
        lambda: saved(WIDE[..., 0], "TIFF"), grey3(eight(WIDE[..., 0])), grey=True
    ),
    "grey, 16 bits, key": Case(
        lambda: png(WIDE[..., 0], (b"tRNS", int(WIDE[3, 3, 0]).to_bytes(2))),
        grey3(eight(WIDE[..., 0])),
        grey=True,
        alpha=np.where(WIDE[..., 0] == WIDE[3, 3, 0], 0, 255).astype(np.uint8),
    ),
    "grey and alpha, 16 bits": Case(
        lambda: png(WIDE[..., 2:]),
        grey3(eight(WIDE[..., 2])),
        grey=True,
        alpha=eight(WIDE[..., 3]),
    ),
    "RGB, 16 bits": Case(lambda: png(WIDE[..., :3]), eight(WIDE[..., :3])),
    "RGBA, 16 bits": Case(lambda: png(WIDE), eight(WIDE[..., :3]), alpha=eight(WIDE[..., 3])),
    "RGB, 16 bits, key": Case(
        lambda: png(WIDE[..., :3], (b"tRNS", WIDE[5, 2, :3].astype(">u2").tobytes())),
        eight(WIDE[..., :3]),
        alpha=np.where((WIDE[..., :3] == WIDE[5, 2, :3]).all(-1), 0, 255).astype(np.uint8),
    ),
    "RGB TIFF, 16 bits": Case(lambda: tiff(WIDE[..., :3], "<"), eight(WIDE[..., :3])),
    "RGBA TIFF, 16 bits, big-endian": Case(
        lambda: tiff(WIDE, ">"), eight(WIDE[..., :3]), alpha=eight(WIDE[..., 3])
    ),
    "float TIFF": Case(
        lambda: saved((RAMP / np.float32(255)).astype(np.float32), "TIFF"), grey3(RAMP), grey=True
    ),
    "grey and alpha": Case(
        lambda: saved(with_alpha(GREY, RAMP)), grey3(GREY), grey=True, alpha=RAMP
    ),
    "RGBA, half": Case(lambda: saved(with_alpha(RGB, 128)), RGB, alpha=HALF),
    "RGBA, a hole": Case(lambda: saved(with_alpha(RGB, HOLE)), RGB, alpha=HOLE),
    "RGBA, opaque": Case(lambda: saved(with_alpha(RGB, 255)), RGB),
    "RGBA, empty": Case(lambda: saved(with_alpha(RGB, 0)), RGB, alpha=np.zeros_like(HALF)),
    "RGBA WebP": Case(
        lambda: saved(with_alpha(RGB, RAMP), "WEBP", lossless=True, exact=True), RGB, alpha=RAMP
    ),
    "palette": Case(palette, np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)),
    "palette, a colour transparent": Case(
        lambda: palette(0),
        np.array([[[0, 0, 0], [40, 50, 60]]], np.uint8),
        alpha=np.array([[0, 255]], np.uint8),
    ),
    "palette with alpha": Case(
        lambda: palette(b"\x40\xff"),
        np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8),
        alpha=np.array([[64, 255]], np.uint8),
    ),
    "palette of greys": Case(
        lambda: saved(Image.fromarray(GREY).convert("P")), grey3(GREY), grey=True
    ),
    "key colour": Case(
        lambda: saved(RGB, transparency=tuple(RGB[0, 0].tolist())),
        RGB,
        alpha=np.where((RGB == RGB[0, 0]).all(-1), 0, 255).astype(np.uint8),
    ),
    "animated GIF": Case(lambda: animation("GIF"), np.full((9, 12, 3), 10, np.uint8), grey=True),
    "animated PNG": Case(lambda: animation("PNG"), np.full((9, 12, 3), 10, np.uint8)),
    "animated WebP": Case(
        lambda: animation("WEBP", lossless=True), np.full((9, 12, 3), 10, np.uint8)
    ),
    "pages of TIFF": Case(
        lambda: saved(
            Image.fromarray(RGB), "TIFF", save_all=True, append_images=[Image.new("RGB", (40, 50))]
        ),
        RGB,
    ),
    "MPO": Case(
        lambda: saved(
            Image.fromarray(RGB),
            "MPO",
            quality=100,
            subsampling=0,
            save_all=True,
            append_images=[Image.new("RGB", (17, 13))],
        ),
        RGB,
        within=6,
    ),
    "progressive JPEG": Case(
        lambda: saved(RGB, "JPEG", progressive=True, quality=100, subsampling=0), RGB, within=6
    ),
    "grey JPEG": Case(lambda: saved(GREY, "JPEG", quality=100), grey3(GREY), True, within=3),
    "CMYK JPEG": Case(
        lambda: saved(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG", quality=100),
        np.full((8, 8, 3), (0, 255, 255), np.uint8),
        within=3,
    ),
    "CMYK JPEG with its profile": Case(
        lambda: saved(
            Image.new("CMYK", (8, 8), (255, 0, 0, 0)),
            "JPEG",
            quality=100,
            icc_profile=cmyk_profile(),
        ),
        np.full((8, 8, 3), (214, 61, 56), np.uint8),
        within=6,
    ),
    "CMYK JPEG, damaged profile": Case(
        lambda: saved(Image.new("CMYK", (8, 8)), "JPEG", icc_profile=b"cmyk"),
        np.full((8, 8, 3), 255, np.uint8),
    ),
    "Lab TIFF": Case(
        lambda: saved(Image.new("LAB", (4, 4), (137, 128, 128)), "TIFF"),
        np.full((4, 4, 3), 128, np.uint8),
        within=2,
    ),
    "Display P3": Case(lambda: saved(RGB, icc_profile=P3), RGB, held={"icc": P3}),
    "grey with a profile of colours": Case(
        lambda: saved(GREY, icc_profile=SRGB), grey3(GREY), True, held={"icc": SRGB}
    ),
    "linear light": Case(
        lambda: saved(np.full((4, 4, 3), 55, np.uint8), icc_profile=rgb_profile(1.0)),
        np.full((4, 4, 3), 128, np.uint8),
        within=1,
    ),
    "a damaged profile": Case(
        lambda: saved(RGB, icc_profile=b"profile"), RGB, held={"icc": b"profile"}
    ),
    "damaged EXIF": Case(lambda: saved(RGB, exif=b"MM\0*junk"), RGB, held={"exif": b"MM\0*junk"}),
    "all metadata, PNG": Case(
        lambda: png(
            257 * RGB.astype(np.uint16),
            (b"iCCP", b"p\0\0" + zlib.compress(P3)),
            (b"eXIf", exif(6)),
            itxt(XMP % 6),
        ),
        RGB.swapaxes(0, 1)[:, ::-1],
        held=HELD,
    ),
    "orientation in XMP alone": Case(
        lambda: png(257 * RGB.astype(np.uint16), itxt(XMP % 3)),
        RGB[::-1, ::-1],
        held={"xmp": XMP % 1},
    ),
    "all metadata, JPEG": of_all("JPEG", within=6, quality=100, subsampling=0),
    "all metadata, WebP": of_all("WEBP", lossless=True),
    **orientations(),
}
PLUGIN_CASES = {
    "AVIF": (AVIF, lambda: saved(RGB, "AVIF", quality=100, subsampling="4:4:4", icc_profile=P3)),
    "JPEG XL": (JXL, lambda: by_plugin(formats.JXL_PLUGIN, RGB, "JXL", lossless=True)),
    "HEIC": (HEIF, lambda: by_plugin(
        formats.HEIF_PLUGIN, RGB, "HEIF", quality=100, chroma=444, icc_profile=P3)),
}  # fmt: skip


@pytest.fixture(scope="module")
def codec(smoke_model):
    return codecs.load(smoke_model)


@pytest.mark.parametrize("name", CASES)
def test_what_is_read(name):
    case = CASES[name]
    picture = read_image(io.BytesIO(case.make()), keep_alpha=True)
    assert picture.pixels.dtype == np.uint8 and picture.grey == case.grey
    assert picture.pixels.shape == case.colours.shape
    seen = np.ones(picture.pixels.shape[:2], bool) if case.alpha is None else case.alpha > 0
    difference = np.abs(picture.pixels.astype(int) - case.colours)[seen]
    assert difference.max(initial=0) <= case.within
    np.testing.assert_equal(picture.alpha, case.alpha)
    held = {kind: getattr(picture, kind) for kind in formats.ALL_METADATA}
    assert held == dict.fromkeys(formats.ALL_METADATA) | case.held


@pytest.mark.parametrize("name", [name for name in CASES if "orientation 2" not in name])
def test_what_comes_back(name, codec):
    """Through the codec, and through a PNG file of what it gave."""
    picture = read_image(io.BytesIO(CASES[name].make()), keep_alpha=True)
    extras = picture_sections.extras_of(picture)
    data = codec.encode(picture.pixels, quality=30, grey=picture.grey, extras=extras)
    back = codec.decode_picture(data)
    file, notes = picture_bytes(back, ".png")
    again = read_image(io.BytesIO(file), keep_alpha=True)
    assert notes == [] and again.pixels.shape == picture.pixels.shape
    for kind in ("alpha", *formats.ALL_METADATA):
        np.testing.assert_equal(getattr(back, kind), getattr(picture, kind))
        np.testing.assert_equal(getattr(again, kind), getattr(picture, kind))
    seen = slice(None) if back.alpha is None else back.alpha > 0
    np.testing.assert_array_equal(again.pixels[seen], back.pixels[seen])
    assert back.grey == picture.grey
    assert again.grey == picture.grey or back.icc  # a profile of colours wants three channels
    bare = codec.encode(picture.pixels, quality=30, grey=picture.grey)
    np.testing.assert_array_equal(codec.decode(bare), back.pixels)


@pytest.mark.parametrize(
    ("name", "make"),
    [pytest.param(name, make, marks=mark) for name, (mark, make) in PLUGIN_CASES.items()],
)
def test_formats_that_may_be_missing(name, make):
    picture = read_image(io.BytesIO(make()), keep_alpha=True)
    assert np.abs(picture.pixels.astype(int) - RGB).max() <= 6 and not picture.grey
    assert picture.icc == P3 or name == "JPEG XL"


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
def test_what_is_written(extension, grey):
    how = formats.FORMATS[extension]
    colours = grey3(GREY) if grey else RGB
    picture = Picture(colours, grey=grey, alpha=RAMP, icc=SRGB, exif=exif(1), xmp=XMP % 1)
    file, notes = picture_bytes(picture, extension)
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
            continue  # the plugin writes it, but does not read it
        if kind not in how.metadata:
            assert kind in " ".join(notes)
        elif kind == "exif" and how.name in ("TIFF", "AVIF"):  # made anew by Pillow
            tags = Image.Exif()
            tags.load(again.exif)
            assert tags[0x010F] == "A camera"
            assert tags.get_ifd(0x8769)[0x9003] == "2026:11:21 10:00:00"
        else:
            assert getattr(again, kind) == getattr(picture, kind)


def test_formats_without_profiles_get_srgb():
    picture = Picture(np.full((4, 4, 3), (255, 0, 0), np.uint8), icc=P3)
    file, notes = picture_bytes(picture, ".bmp")
    there = read_image(io.BytesIO(file)).pixels[0, 0]
    wide = colour_profiles.to_srgb(Image.new("RGB", (1, 1), (200, 90, 90)), P3).getpixel((0, 0))
    assert there[0] == 255 and wide[0] > 205 and "sRGB" in notes[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: saved(RGB, "JPEG")[:-60], "damaged"),
        (lambda: saved(pixels(90, 90))[:-200], "damaged"),
        (lambda: b"", "not an image"),
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
def test_what_is_refused(make, words, tmp_path, smoke_model, capsys):
    """One line, exit code 2, nothing left behind."""
    path = tmp_path / "odd picture.png"
    path.write_bytes(make())
    assert main(["encode", str(path), "--model", str(smoke_model)]) == 2
    output, error = capsys.readouterr()
    assert output == "" and error.startswith("rdc: error: ") and error.count("\n") == 1
    assert re.search(words, error) and str(path) in error
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("plugin", [formats.JXL_PLUGIN, formats.HEIF_PLUGIN])
def test_a_plugin_that_is_missing(plugin, monkeypatch):
    monkeypatch.setitem(sys.modules, plugin[0], None)
    jxl = plugin == formats.JXL_PLUGIN
    beginning = b"\xff\x0a" if jxl else b"\0\0\0\x18ftypheic"
    for work in (
        lambda: read_image(io.BytesIO(beginning + bytes(40))),
        lambda: picture_bytes(Picture(RGB), ".jxl" if jxl else ".heic"),
    ):
        with pytest.raises(RdcError, match=rf"needs {plugin[1]}: pip install 'rdc_jax\[formats\]'"):
            work()


def test_avif_needs_no_plugin_whatever_its_first_brand():
    assert formats.plugin_for(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") is None
    assert formats.plugin_for(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") == formats.HEIF_PLUGIN


# Transparency


def test_an_array_with_alpha_is_refused_with_advice(codec):
    with pytest.raises(RdcError, match="not 4; alpha goes into extras"):
        codec.encode(with_alpha(RGB, 128))


def test_fill_is_smooth_and_touches_nothing_visible(rng):
    noise = rng.integers(0, 256, (64, 80, 3), np.uint8)
    alpha = np.where(np.arange(80) < 20, 255, 0).astype(np.uint8) * np.ones((64, 1), np.uint8)
    alpha[5, 5] = 1
    filled = transparency.filled(noise, alpha)
    np.testing.assert_array_equal(filled[:, :20], noise[:, :20])
    steps = np.abs(np.diff(filled[:, 21:].astype(int), axis=1))
    assert steps.max() < 60 and steps[:, 30:].max() < 10  # noise has steps of 255
    assert np.abs(filled[:, 40:].mean((0, 1)) - noise[:, :20].mean((0, 1))).max() < 12
    assert (transparency.filled(noise, 0 * alpha) == 255).all()


def test_lossy_alpha_is_smaller_and_exact_at_the_ends(rng):
    alpha = np.clip(np.add.outer(np.arange(90), np.arange(90)) * 2 - 50, 0, 255).astype(np.uint8)
    alpha ^= (alpha % 255 > 0) * rng.integers(0, 4, alpha.shape, np.uint8)
    small = transparency.to_png(alpha, lossy=True)
    assert len(small) < 0.7 * len(transparency.to_png(alpha))
    back = grey_png.decode(small, 90, 90).astype(int)
    assert np.abs(back - alpha).max() <= 16
    np.testing.assert_array_equal(back[np.isin(alpha, (0, 255))], alpha[np.isin(alpha, (0, 255))])
    assert not np.isin(back[(alpha > 0) & (alpha < 255)], (0, 255)).any()
    hard = np.where(alpha > 99, 255, 0).astype(np.uint8)
    assert transparency.to_png(hard, lossy=True) == transparency.to_png(hard)


def header(height: int, width: int) -> bitstream.Header:
    return bitstream.Header(width, height, bytes(8), 1, 380, 380, 16, 0, 1, 255)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "not a PNG"),
        (saved(GREY, "JPEG"), "not a PNG"),
        (saved(GREY[:-1]), "has 17 x 12 pixels"),
        (saved(RGB), "8-bit grey"),
        (png(WIDE[..., 0], size=(17, 13)), "8-bit grey"),
        (saved(GREY)[:-30], "damaged"),
    ],
)
def test_a_damaged_alpha_section(payload, words):
    required = [(kind, b"") for kind in (SectionType.IMPORTANCE, *WHOLE_LATENT)]
    data = bitstream.pack(header(13, 17), [*required, (SectionType.ALPHA, payload)])
    with pytest.raises(RdcError, match=words):
        picture_sections.parts_of(data)


def test_sections_have_limits():
    required = [(kind, b"") for kind in (SectionType.IMPORTANCE, *WHOLE_LATENT)]
    many = bytes(MAX_METADATA_BYTES)
    for kind in (SectionType.ICC, SectionType.EXIF, SectionType.XMP):
        bitstream.unpack(bitstream.pack(header(1, 1), [*required, (kind, many)]))
        with pytest.raises(RdcError, match=f"section {kind.name} has 16777217 bytes"):
            bitstream.pack(header(1, 1), [*required, (kind, many + b"\0")])
    with pytest.raises(RdcError, match="section ALPHA has"):
        bitstream.pack(header(1, 1), [*required, (SectionType.ALPHA, bytes(70_000))])
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    bitstream.pack(header(300, 300), [*required, (SectionType.ALPHA, grey_png.encode(noise))])
    one = grey_png.encode(np.zeros((1, 1), np.uint8))
    twice = one[:33] + grey_png.encode(np.zeros((200, 200), np.uint8))[8:33] + one[33:]
    with pytest.raises(RdcError, match="two headers"):
        grey_png.decode(twice, 1, 1)
    with pytest.raises(RdcError, match=r"xmp has 16\.0 MiB.*--metadata icc,exif"):
        picture_sections.extras_of(Picture(RGB, xmp=many + b"\0"))


# The command


@pytest.fixture
def photo(tmp_path):
    """A PNG file with transparency and all metadata."""
    path = tmp_path / "photo.png"
    image = Picture(pixels(40, 56), alpha=pixels(40, 56, 1) // 2, **HELD)
    path.write_bytes(picture_bytes(image, ".png")[0])
    return path


def rdc(capsys, *arguments) -> Any:
    """The JSON of one command that must succeed."""
    assert main([str(argument) for argument in arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_commands_keep_it_all(photo, smoke_model, capsys):
    model = ("--json", "--model", smoke_model)
    report = rdc(capsys, "encode", photo, *model)
    assert report["alpha"] and report["section_bytes"]["icc"] == len(P3)
    coded, out = photo.with_suffix(".rdc"), photo.with_name("out.png")
    shown = {s["name"]: s for s in rdc(capsys, "info", coded, "--json")["sections"]}
    assert shown["icc"]["holds"] == "Display P3, nearly"
    assert shown["exif"]["payload_bytes"] == len(exif(1)) and "alpha" in shown
    assert main(["encode", str(photo), "-f", *map(str, model[1:])]) == 0
    assert "of them alpha, icc, exif, xmp), " in capsys.readouterr().out
    assert main(["info", str(coded)]) == 0
    assert "Display P3, nearly\n" in capsys.readouterr().out
    assert rdc(capsys, "decode", coded, "-o", out, *model)["alpha"]
    original, back = (read_image(path, keep_alpha=True) for path in (photo, out))
    np.testing.assert_array_equal(back.alpha, original.alpha)
    assert {kind: getattr(back, kind) for kind in HELD} == HELD

    assert (
        main(["decode", str(coded), "-o", str(photo.with_name("out.jpg")), *map(str, model)]) == 0
    )
    assert "laid on white" in capsys.readouterr().err
    back = read_image(photo.with_name("out.jpg"), keep_alpha=True)
    assert back.alpha is None and {kind: getattr(back, kind) for kind in HELD} == HELD

    rdc(capsys, "decode", coded, "-f", "-o", out, *model, "--metadata", "xmp")
    back = read_image(out, keep_alpha=True)
    assert (back.icc, back.exif, back.xmp) == (None, None, XMP % 1) and back.alpha is not None


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        (["--metadata", "none"], {"alpha"}),
        (["--metadata", "icc,xmp", "--alpha", "lossy"], {"alpha", "icc", "xmp"}),
        (["--alpha", "drop"], {"icc", "exif", "xmp"}),
    ],
)
def test_flags_of_encode(flags, kept, photo, smoke_model, capsys):
    report = rdc(capsys, "encode", photo, "--json", "--model", smoke_model, *flags)
    assert set(report["section_bytes"]) - {"importance", "hyper_latent", "latent"} == kept


def test_onnxruntime_keeps_it_all(photo, capsys):
    pytest.importorskip("onnxruntime")
    rdc(capsys, "encode", photo, "--json", "-q", "20")
    coded, out = photo.with_suffix(".rdc"), photo.with_name("out.webp")
    rdc(capsys, "decode", coded, "-o", out, "--json", "--backend", "onnxruntime", "--steps", "1")
    original, back = (read_image(path, keep_alpha=True) for path in (photo, out))
    np.testing.assert_array_equal(back.alpha, original.alpha)
    assert {kind: getattr(back, kind) for kind in HELD} == HELD


def test_standard_output_in_any_format(photo, smoke_model, capfdbinary):
    model = ["--model", str(smoke_model), "--quiet"]
    assert main(["encode", str(photo), *model]) == 0
    decode = ["decode", str(photo.with_suffix(".rdc")), "-o", "-", *model]
    for flags, kind in ([], "PNG"), (["--format", "webp"], "WEBP"), (["--format", "jpg"], "JPEG"):
        assert main(decode + flags) == 0
        with Image.open(io.BytesIO(capfdbinary.readouterr().out)) as image:
            assert image.format == kind and image.info["icc_profile"] == P3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["encode", "PHOTO", "--metadata", "iptc"], "'iptc' is not all, none, or a list"),
        (["encode", "PHOTO", "--alpha", "white"], "invalid choice"),
        (["decode", "x.rdc", "--format", "gif"], "invalid choice"),
        (["decode", "x.rdc", "--format", "jpg", "-o", "x.png"], "not the name of a jpg file"),
    ],
)
def test_wrong_flags(arguments, words, photo, capsys):
    assert main([str(photo) if word == "PHOTO" else word for word in arguments]) == 2
    assert words in capsys.readouterr().err


def test_what_is_transparent_is_not_important(photo, smoke_model, capsys):
    image = Image.open(photo)
    image.putalpha(Image.fromarray(np.where(np.arange(56) < 28, 0, 255).astype(np.uint8)
                                   * np.ones((40, 1), np.uint8)))  # fmt: skip
    image.save(photo)
    rdc(capsys, "encode", photo, "--json", "--model", smoke_model, "--roi-box", "0,0,56,40")
    grid = np.array(rdc(capsys, "info", photo.with_suffix(".rdc"), "--json")["map"]["levels"])
    assert (grid[:, 0] == 0).all() and (grid[:, -1] > 0).all()


def test_orientation_survives_odd_blocks():
    assert orientation.upright_exif(b"") == b""
    for cut in range(len(exif(6))):
        assert len(orientation.upright_exif(exif(6)[:cut])) == cut
    for text in (b"tiff:Orientation='8'", b"<tiff:Orientation>8</tiff:Orientation>"):
        assert orientation.upright_xmp(text) == text.replace(b"8", b"1")
