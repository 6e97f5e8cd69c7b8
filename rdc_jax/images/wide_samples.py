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

GREY_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_FULL = 65535
_FULL_OF_12_BITS = 4095
_TOLERANCE = 1e-6  # how far float samples may lie outside 0..1
_NATIVE = ";16L" if sys.byteorder == "little" else ";16B"
_OTHER_ORDER = {";16L": ";16B", ";16B": ";16L"}
_PAIRS = "LA;16B"  # PNG grey with alpha: the two bytes of both samples fit in four channels


def read(
    image: Image.Image, again: Callable[[], Image.Image], name: str
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Reads the samples of a file with more than 8 bits and rounds them to 8.

    Args:
        image: opened image. Its pixels must not be loaded yet; this function loads them.
        again: opens the same file once more.
        name: name of the file, for error messages.

    Returns:
        Samples uint8 [H,W,C] and alpha uint8 [H,W] or None. None instead of both for a file of 8
        bits or fewer.

    Raises:
        RdcError: the samples are outside the range that maps to 0..255.
    """
    if image.mode == "F":
        return _of_float(np.asarray(image), name), None
    raw = _raw_mode(image)
    if image.mode in GREY_MODES:
        wide = np.asarray(image).astype(np.int64)[..., None]
        full = _FULL_OF_12_BITS if "I;12" in raw else _FULL
        if wide.min() < 0 or wide.max() > full:
            raise RdcError(
                f"{name} holds whole numbers from {wide.min()} to {wide.max()}; scale them to "
                f"0..{full}, which 16 bits hold"
            )
    elif raw == _PAIRS and isinstance(image, ImageFile.ImageFile):
        (tile,) = image.tile
        image.tile = [tile._replace(args="RGBA")]
        octets = np.asarray(image).astype(np.int64)
        wide, full = 256 * octets[..., ::2] + octets[..., 1::2], _FULL
    elif swapped := _swapped(raw):
        other = again()
        assert isinstance(other, ImageFile.ImageFile)  # as `image`, whose tiles gave `raw`
        other.tile = [tile._replace(args=_with_raw_mode(tile.args, swapped)) for tile in other.tile]
        low = np.asarray(other).astype(np.int64)
        wide, full = 256 * np.asarray(image).astype(np.int64) + low, _FULL
    else:
        return None
    samples = ((wide * 255 + full // 2) // full).astype(np.uint8)
    if samples.shape[-1] in (2, 4):
        return samples[..., :-1], samples[..., -1]
    key = image.info.get("transparency")
    if key is None or isinstance(key, bytes):
        return samples, None
    return samples, np.where((wide == np.asarray(key)).all(-1), 0, 255).astype(np.uint8)


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


def _raw_mode(image: Image.Image) -> str:
    """Returns Pillow's name of the file's sample layout, or "" if it is not known."""
    modes = {_raw_of(tile.args) for tile in getattr(image, "tile", ())}
    return modes.pop() if len(modes) == 1 else ""


def _raw_of(args: Any) -> str:
    first = args[0] if isinstance(args, tuple | list) and args else args
    return first if isinstance(first, str) else ""


def _with_raw_mode(args: Any, raw: str) -> Any:
    return raw if isinstance(args, str) else type(args)((raw, *args[1:]))


def _swapped(raw: str) -> str | None:
    """Returns the name of the 16-bit layout with swapped bytes, or None for other layouts."""
    channels, order = raw[:-4], raw[-4:].replace(";16N", _NATIVE)
    if channels not in ("RGB", "RGBA") or order not in _OTHER_ORDER:
        return None
    return channels + _OTHER_ORDER[order]
