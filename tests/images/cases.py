"""Unusual image files, and the expected result of reading them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from rdc_jax.images import formats
from tests.images.files import (
    AS_SAVED,
    AVIF,
    GREY,
    HALF,
    HEIF,
    HELD,
    HOLE,
    JXL,
    P3,
    RAMP,
    RGB,
    SRGB,
    WIDE,
    XMP,
    animation,
    by_plugin,
    cmyk_profile,
    eight,
    exif,
    grey3,
    itxt,
    palette,
    pixels,
    png,
    rgb_profile,
    saved,
    tiff,
    with_alpha,
)


class Case(NamedTuple):
    """A file and the expected result of reading it.

    `colours` is [H,W,3] and compared where alpha is above 0. `within` is the largest difference.
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
    """A rotated file of one format with all metadata."""
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
