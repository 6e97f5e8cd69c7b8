"""A plane of 8-bit greys as a small PNG file, and back; any PNG reader opens it.

Pillow takes a filter for each row by a rule that is made for photographs. Planes of transparency
are ramps and flat parts, where one filter for all rows is often much smaller: the best of the five.
"""

import io
import struct
import warnings
import zlib

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError

_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_GREY_8 = (8, 0, 0, 0, 0)  # bit depth, colour type, compression, filter, not interlaced
_HEADER = struct.Struct(">IIBBBBB")
_TRIED_PIXELS = 2**20  # on which the filter is chosen


def encode(plane: np.ndarray) -> bytes:
    """PNG file of a plane uint8 [H,W]."""
    height, width = plane.shape
    rows = max(1, min(height, _TRIED_PIXELS // width))
    middle = plane[(height - rows) // 2 :][:rows]
    best = min(range(5), key=lambda kind: len(zlib.compress(_filtered(middle, kind), 6)))
    return (
        _START[:8]
        + _chunk(b"IHDR", _HEADER.pack(width, height, *_GREY_8))
        + _chunk(b"IDAT", _compressed(_filtered(plane, best)))
        + _chunk(b"IEND", b"")
    )


def decode(data: bytes, height: int, width: int) -> np.ndarray:
    """The plane uint8 [H,W] of an 8-bit grey PNG file that has to have this size.

    Size and kind are looked at before anything is decompressed. Raises RdcError for another size
    or kind, and for a damaged file.
    """
    start = len(_START)
    if len(data) < start + _HEADER.size or data[:start] != _START:
        raise RdcError("the alpha plane is not a PNG file; the file is damaged")
    found = _HEADER.unpack_from(data, start)
    if found[:2] != (width, height):
        raise RdcError(
            f"the alpha plane has {found[0]} x {found[1]} pixels, the picture {width} x {height}; "
            "the file is damaged"
        )
    if found[2:] != _GREY_8:
        raise RdcError("the alpha plane is not an 8-bit grey PNG; the file is damaged")
    try:
        with warnings.catch_warnings():  # of its size, within the limit, and of odd chunks
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=["PNG"]) as plane:
                if plane.size != (width, height) or plane.mode != "L":
                    raise ValueError("it has two headers")  # and Pillow takes the last
                return np.array(plane)
    except Exception as error:  # a decoder may raise anything on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RdcError(f"the alpha plane is damaged: {reason}") from error


def _filtered(plane: np.ndarray, kind: int) -> bytes:
    """The rows with one of PNG's filters: 0 none, 1 left, 2 up, 3 their mean, 4 Paeth."""
    values = plane.astype(np.int16)
    left, up, corner = (np.zeros_like(values) for _ in range(3))
    left[:, 1:], up[1:], corner[1:, 1:] = values[:, :-1], values[:-1], values[:-1, :-1]
    if kind == 4:
        to_left, to_up = abs(up - corner), abs(left - corner)
        to_corner = abs(left + up - 2 * corner)
        guess = np.where(to_up <= to_corner, up, corner)
        guess = np.where((to_left <= to_up) & (to_left <= to_corner), left, guess)
    else:
        guess = (0, left, up, (left + up) // 2)[kind]
    return np.insert((values - guess).astype(np.uint8), 0, kind, axis=1).tobytes()


def _compressed(rows: bytes) -> bytes:
    """The smaller of two: with matches anywhere, or runs alone, which suits hard edges."""
    packed = []
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE):
        packer = zlib.compressobj(9, strategy=strategy, memLevel=9)
        packed.append(packer.compress(rows) + packer.flush())
    return min(packed, key=len)


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
