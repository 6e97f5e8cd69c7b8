"""Samples of more than 8 bits, rounded to 8 bits: 16-bit grey, 16-bit colour, and float.

Pillow opens 16-bit colour as 8 bits and keeps only the high bytes. To get the low bytes, this
module opens the file a second time and tells Pillow the opposite byte order.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from rdc_jax.errors import RdcError
from rdc_jax.images import transparency
from rdc_jax.images.tiff_layout import Layout

GREY_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_FULL = 65535
_FULL_OF_12_BITS = 4095
_TOLERANCE = 1e-6  # how far float samples may lie outside 0..1
_NATIVE = ";16L" if sys.byteorder == "little" else ";16B"
_OTHER_ORDER = {";16L": ";16B", ";16B": ";16L"}
_PAIRS = "LA;16B"  # PNG grey with alpha: the two bytes of both samples fit in four channels
_STRAIGHT = {"RGB": "RGB", "RGBX": "RGBX", "RGBA": "RGBA", "RGBa": "RGBA", "CMYK": "CMYK"}


def read(
    image: Image.Image, again: Callable[[], Image.Image], layout: Layout | None, name: str
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Reads the samples of a file with more than 8 bits and rounds them to 8.

    Args:
        image: Opened image. Its pixels must not be loaded yet; this function loads them.
        again: Opens the same file once more.
        layout: What a TIFF file declares about its samples; None for other files.
        name: Name of the file, for error messages.

    Returns:
        Samples uint8 [H,W,C], C = 1 for grey, 3 for RGB and 4 for CMYK, and alpha uint8 [H,W] or
        None. None instead of both for a file of 8 bits or fewer.

    Raises:
        RdcError: the samples are outside the range that maps to 0..255.
    """
    inverted = layout is not None and layout.white_is_zero
    if layout is not None and layout.bits == 32 and layout.compression > 1:
        _take_native_order(image)
    if image.mode == "F":
        samples = _of_float(np.asarray(image), name)
        return (255 - samples if inverted else samples), None
    raw = _raw_mode(image)
    full = _FULL_OF_12_BITS if "I;12" in raw else _FULL
    if image.mode in GREY_MODES:
        wide = np.asarray(image).astype(np.int64)[..., None]
        if wide.min() < 0 or wide.max() > full:
            raise RdcError(
                f"{name} holds whole numbers from {wide.min()} to {wide.max()}; scale them to "
                f"0..{full}, which 16 bits hold"
            )
        wide = full - wide if inverted else wide
    elif raw == _PAIRS and isinstance(image, ImageFile.ImageFile):
        (tile,) = image.tile
        image.tile = [tile._replace(args="RGBA")]
        octets = np.asarray(image).astype(np.int64)
        wide = 256 * octets[..., ::2] + octets[..., 1::2]
    elif (both := _wide_colour(image, again, raw, layout)) is not None:
        wide = both
    else:
        return None
    if wide.shape[-1] == 2 or (wide.shape[-1] == 4 and image.mode != "CMYK"):
        colour, alpha = wide[..., :-1], wide[..., -1]
        if layout is not None and layout.premultiplied:
            colour = transparency.unmultiplied(colour, alpha, full)
        return _rounded(colour, full), _rounded(alpha, full)
    key = image.info.get("transparency")
    if key is None or isinstance(key, bytes):
        return _rounded(wide, full), None
    alpha = np.where((wide == np.asarray(key)).all(-1), 0, 255).astype(np.uint8)
    return _rounded(wide, full), alpha


def _rounded(wide: np.ndarray, full: int) -> np.ndarray:
    return ((wide * 255 + full // 2) // full).astype(np.uint8)


def _of_float(values: np.ndarray, name: str) -> np.ndarray:
    """Rounds float [H,W], 0 = black and 1 = white, to uint8 [H,W,1]."""
    if not np.isfinite(values).all():
        raise RdcError(f"{name} holds float pixels that are not finite numbers; replace them first")
    least, most = float(values.min()), float(values.max())
    if least < -_TOLERANCE or most > 1 + _TOLERANCE:
        raise RdcError(
            f"{name} holds float pixels from {least:.4g} to {most:.4g}, but black to white must be "
            "0..1; scale or clip them to 0..1 first"
        )
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)[..., None]


def _wide_colour(
    image: Image.Image, again: Callable[[], Image.Image], raw: str, layout: Layout | None
) -> np.ndarray | None:
    """Reads the samples int64 [H,W,C] of 16-bit colour; None if the image is not that."""
    if not isinstance(image, ImageFile.ImageFile):
        return None
    if layout is not None and layout.bits == 16 and layout.in_planes and len(image.tile) > 1:
        order = ";16B" if layout.big_endian else ";16L"
        orders = order, _OTHER_ORDER[order]
    else:
        channels, order = _STRAIGHT.get(raw[:-4]), raw[-4:].replace(";16N", _NATIVE)
        if channels is None or order not in _OTHER_ORDER:
            return None
        orders = channels + order, channels + _OTHER_ORDER[order]
    octets = []
    for opened, wanted in zip((image, again()), orders, strict=True):
        assert isinstance(opened, ImageFile.ImageFile)  # as `image`
        opened.tile = [_with_raw_mode(tile, wanted) for tile in opened.tile]
        octets.append(np.asarray(opened).astype(np.int64))
    return 256 * octets[0] + octets[1]


def _take_native_order(image: Image.Image) -> None:
    """Makes Pillow read 32-bit samples as libtiff decompresses them, in the machine's order."""
    native = {"F": "F;32NF", "I": "I;32NS" if "S" in _raw_mode(image) else "I;32N"}
    if isinstance(image, ImageFile.ImageFile) and image.mode in native:
        image.tile = [_with_raw_mode(tile, native[image.mode]) for tile in image.tile]


def _raw_mode(image: Image.Image) -> str:
    """Returns Pillow's name of the file's sample layout, or "" if it is not known."""
    modes = {_raw_of(tile.args) for tile in getattr(image, "tile", ())}
    return modes.pop() if len(modes) == 1 else ""


def _raw_of(args: Any) -> str:
    first = args[0] if isinstance(args, tuple | list) and args else args
    return first if isinstance(first, str) else ""


def _with_raw_mode(tile: Any, raw: str) -> Any:
    """Returns a tile with another sample layout; of a plane, only what follows its letter."""
    if raw.startswith(";"):
        raw = _raw_of(tile.args) + raw
    args = raw if isinstance(tile.args, str) else type(tile.args)((raw, *tile.args[1:]))
    return tile._replace(args=args)
