"""Transparency: what is behind it, the colours below it, and its plane as a PNG file."""

import io
import struct

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError

WHITE = 255
_STEP = 17  # of the 16 greys of a lossy plane
_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_GREY_8 = (8, 0, 0, 0, 0)  # bit depth, colour type, compression, filter, not interlaced


def laid_on(pixels: np.ndarray, alpha: np.ndarray, background: int = WHITE) -> np.ndarray:
    """uint8 [H,W,3] of a picture in front of a grey, 0 to 255; alpha uint8 [H,W]."""
    picture = Image.fromarray(np.dstack([pixels, alpha]))
    behind = Image.new("RGBA", picture.size, (background,) * 3 + (255,))
    return np.array(Image.alpha_composite(behind, picture).convert("RGB"))


def filled(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """uint8 [H,W,3] with new colours where alpha [H,W] is 0: smooth ones, which cost few bits.

    Means of visible colours over squares of 2, 4, 8, .. pixels, from the smallest square that has
    any; white where nothing is visible at all.
    """
    visible = Image.fromarray(np.where(alpha > 0, 255, 0).astype(np.uint8))
    if visible.getextrema() == (255, 255):
        return pixels
    if visible.getextrema() == (0, 0):
        return np.full_like(pixels, WHITE)
    level = Image.fromarray(pixels)
    level.putalpha(visible)
    pyramid = [level]
    while level.getextrema()[3][0] < 255:
        level = level.reduce(2)  # Pillow weighs colours by alpha
        level.putalpha(level.getchannel("A").point(lambda share: 255 if share else 0))
        pyramid.append(level)
    below = pyramid.pop().convert("RGB")
    for level in reversed(pyramid):
        box = (0, 0, level.width / 2, level.height / 2)
        below = below.resize(level.size, Image.Resampling.BILINEAR, box=box)
        below.paste(level, mask=level.getchannel("A"))
    return np.array(below)


def to_png(alpha: np.ndarray, lossy: bool = False) -> bytes:
    """A plane uint8 [H,W] as an 8-bit grey PNG file.

    lossy: values between 0 and 255 may be rounded to 14 greys, if that makes the file smaller; 0
    and 255 never change, nor is anything rounded to them.
    """
    exact = _png(alpha)
    if not lossy:
        return exact
    rounded = np.clip((alpha.astype(np.int16) + _STEP // 2) // _STEP, 1, 14) * _STEP
    partly = (alpha > 0) & (alpha < 255)
    return min(exact, _png(np.where(partly, rounded, alpha).astype(np.uint8)), key=len)


def from_png(data: bytes, height: int, width: int) -> np.ndarray:
    """The plane uint8 [H,W] of such a file, whose size is known.

    Size and kind are looked at before anything is decompressed. Raises RdcError for another size
    or kind, and for a damaged file.
    """
    start = len(_PNG_START)
    if len(data) < start + 13 or data[:start] != _PNG_START:
        raise RdcError("the alpha plane is not a PNG file; the file is damaged")
    found = struct.unpack_from(">IIBBBBB", data, start)
    if found[:2] != (width, height):
        raise RdcError(
            f"the alpha plane has {found[0]} x {found[1]} pixels, the picture {width} x {height}; "
            "the file is damaged"
        )
    if found[2:] != _GREY_8:
        raise RdcError("the alpha plane is not an 8-bit grey PNG; the file is damaged")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as plane:
            return np.array(plane)
    except Exception as error:  # a decoder may raise anything on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RdcError(f"the alpha plane is damaged: {reason}") from error


def _png(alpha: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(alpha).save(encoded, "PNG", optimize=True)
    return encoded.getvalue()
