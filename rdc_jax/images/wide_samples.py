"""Samples of more than 8 bits, rounded to 8: 16-bit grey and colour, float.

Pillow opens 16-bit colour as 8 bits, the high bytes. The low bytes come from a second reading of
the file in which each pair of bytes is said to be the other way round.
"""

import sys
from collections.abc import Callable

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError

GREY_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_FULL = 65535
_FULL_OF_12_BITS = 4095
_TOLERANCE = 1e-6  # of float samples beyond 0..1
_NATIVE = ";16L" if sys.byteorder == "little" else ";16B"
_OTHER_ORDER = {";16L": ";16B", ";16B": ";16L"}
_PAIRS = "LA;16B"  # grey and alpha of PNG: both bytes of both samples fit in four channels


def read(
    picture: Image.Image, again: Callable[[], Image.Image], name: str
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Samples uint8 [H,W,C] of a file that has more bits, and its alpha uint8 [H,W] or None.

    None for a file of 8 bits. picture: opened, not yet loaded; it is loaded. again: opens the same
    file once more. Raises RdcError for values that 8 bits cannot stand for.
    """
    if picture.mode == "F":
        return _of_float(np.asarray(picture), name), None
    raw = _raw_mode(picture)
    if picture.mode in GREY_MODES:
        wide = np.asarray(picture).astype(np.int64)[..., None]
        full = _FULL_OF_12_BITS if "I;12" in raw else _FULL
        if wide.min() < 0 or wide.max() > full:
            raise RdcError(
                f"{name} holds whole numbers from {wide.min()} to {wide.max()}; scale them to "
                f"0..{full}, which 16 bits hold"
            )
    elif raw == _PAIRS:
        (tile,) = picture.tile
        picture.tile = [tile._replace(args="RGBA")]
        octets = np.asarray(picture).astype(np.int64)
        wide, full = 256 * octets[..., ::2] + octets[..., 1::2], _FULL
    elif swapped := _swapped(raw):
        other = again()
        other.tile = [tile._replace(args=_with_raw_mode(tile.args, swapped)) for tile in other.tile]
        low = np.asarray(other).astype(np.int64)
        wide, full = 256 * np.asarray(picture).astype(np.int64) + low, _FULL
    else:
        return None
    samples = ((wide * 255 + full // 2) // full).astype(np.uint8)
    if samples.shape[-1] in (2, 4):
        return samples[..., :-1], samples[..., -1]
    key = picture.info.get("transparency")
    if key is None or isinstance(key, bytes):
        return samples, None
    return samples, np.where((wide == np.asarray(key)).all(-1), 0, 255).astype(np.uint8)


def _of_float(values: np.ndarray, name: str) -> np.ndarray:
    """uint8 [H,W,1] of float [H,W]: 0..1 is black to white."""
    if not np.isfinite(values).all():
        raise RdcError(f"{name} holds float pixels that are not finite numbers; replace them first")
    least, most = float(values.min()), float(values.max())
    if least < -_TOLERANCE or most > 1 + _TOLERANCE:
        raise RdcError(
            f"{name} holds float pixels from {least:.4g} to {most:.4g}, and 0..1 is taken as black "
            "to white; scale or clip them to 0..1 first"
        )
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)[..., None]


def _raw_mode(picture: Image.Image) -> str:
    """How Pillow names the samples in the file, "" if that is not known."""
    modes = {_raw_of(tile.args) for tile in picture.tile}
    return modes.pop() if len(modes) == 1 else ""


def _raw_of(args) -> str:
    first = args[0] if isinstance(args, tuple | list) and args else args
    return first if isinstance(first, str) else ""


def _with_raw_mode(args, raw: str):
    return raw if isinstance(args, str) else type(args)((raw, *args[1:]))


def _swapped(raw: str) -> str | None:
    """The name of the same samples with the two bytes of each exchanged, None for other samples."""
    channels, order = raw[:-4], raw[-4:].replace(";16N", _NATIVE)
    if channels not in ("RGB", "RGBA") or order not in _OTHER_ORDER:
        return None
    return channels + _OTHER_ORDER[order]
