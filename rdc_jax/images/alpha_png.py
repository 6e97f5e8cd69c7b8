"""An alpha plane as a small 8-bit grey PNG file, and back. Any PNG reader can open the file.

Pillow chooses a filter for each row by a rule that suits photographs. Alpha planes consist of ramps
and flat areas. For those, a single filter for all rows often gives a much smaller file, so this
module uses the best of the five.
"""

import struct
import zlib

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError

_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_GREY_8 = (8, 0, 0, 0, 0)  # bit depth, colour type, compression, filter, not interlaced
_ANCILLARY = 0x20  # bit of the first letter of a chunk's name; PNG readers ignore such chunks
_HEADER = struct.Struct(">IIBBBBB")
_TRIED_PIXELS = 2**20  # the filter is chosen on the middle rows, about this many pixels


def encode(plane: np.ndarray) -> bytes:
    """Returns the PNG file of an alpha plane uint8 [H,W]."""
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
    """Returns the alpha plane of an 8-bit grey PNG file.

    Size and PNG type are checked before anything is decompressed.

    Args:
        data: The PNG file.
        height: Height that the plane must have, in pixels.
        width: Width that the plane must have, in pixels.

    Returns:
        uint8 [height, width].

    Raises:
        RdcError: the file is damaged, has another size, or is not an 8-bit grey PNG.
    """
    start = len(_START)
    if len(data) < start + _HEADER.size or data[:start] != _START:
        raise RdcError("the alpha plane is not a PNG file; the file is damaged")
    found = _HEADER.unpack_from(data, start)
    if found[:2] != (width, height):
        raise RdcError(
            f"the alpha plane has {found[0]} x {found[1]} pixels, the image {width} x {height}; "
            "the file is damaged"
        )
    if found[2:] != _GREY_8:
        raise RdcError("the alpha plane is not an 8-bit grey PNG; the file is damaged")
    coded = _image_data(data)
    kinds = _rows(coded, height * (width + 1))[:: width + 1]
    if max(kinds) > 4:
        raise _damaged(f"filter {next(kind for kind in kinds if kind > 4)}")
    # Pillow undoes the filters. It gets no chunks: it reads many kinds, each with its own errors.
    return np.array(Image.frombytes("L", (width, height), coded, "zip", "L"))


def _image_data(data: bytes) -> bytes:
    """Returns the zlib stream in the first run of IDAT chunks. Nothing behind it is read."""
    parts: list[bytes] = []
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if name == b"IEND" or (parts and name != b"IDAT"):
            break
        if end + 4 > len(data):
            raise _damaged("it ends early")
        if zlib.crc32(data[at + 4 : end]).to_bytes(4, "big") != data[end : end + 4]:
            raise _damaged("CRC-32 mismatch")
        if name == b"IHDR" and at > 8:
            raise _damaged("it has two headers")
        if name not in (b"IHDR", b"IDAT") and not name[0] & _ANCILLARY:
            raise _damaged("it has an unknown critical chunk")
        if name == b"IDAT":
            parts.append(data[at + 8 : end])
        at = end + 4
    return b"".join(parts)


def _rows(coded: bytes, size: int) -> bytes:
    """Decompresses the rows, which must take `size` bytes."""
    unpacker = zlib.decompressobj()
    try:
        rows = unpacker.decompress(coded, size + 1)
    except zlib.error as error:
        raise _damaged("it does not decompress") from error
    if len(rows) > size:
        raise _damaged("it is longer than the image")
    if not unpacker.eof or unpacker.unused_data:
        raise _damaged("it does not decompress")
    if len(rows) < size:
        raise _damaged("it ends early")
    return rows


def _damaged(reason: str) -> RdcError:
    return RdcError(f"the alpha plane is damaged: {reason}")


def _filtered(plane: np.ndarray, kind: int) -> bytes:
    """Filters all rows with one PNG filter: 0 none, 1 left, 2 up, 3 mean of both, 4 Paeth."""
    values = plane.astype(np.int16)
    left, up, corner = (np.zeros_like(values) for _ in range(3))
    left[:, 1:], up[1:], corner[1:, 1:] = values[:, :-1], values[:-1], values[:-1, :-1]
    guess: int | np.ndarray
    if kind == 4:
        to_left, to_up = abs(up - corner), abs(left - corner)
        to_corner = abs(left + up - 2 * corner)
        guess = np.where(to_up <= to_corner, up, corner)
        guess = np.where((to_left <= to_up) & (to_left <= to_corner), left, guess)
    else:
        guess = (0, left, up, (left + up) // 2)[kind]
    return np.insert((values - guess).astype(np.uint8), 0, kind, axis=1).tobytes()


def _compressed(rows: bytes) -> bytes:
    """Returns the smaller of two zlib streams: all matches, or runs only (good for hard edges)."""
    packed = []
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE):
        packer = zlib.compressobj(9, strategy=strategy, memLevel=9)
        packed.append(packer.compress(rows) + packer.flush())
    return min(packed, key=len)


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
