"""PNG files of every layout, written by the specification alone."""

from __future__ import annotations

import struct
import zlib

import numpy as np

PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
PASSES = [*PASSES, (1, 0, 2, 1)]  # of Adam7: first row and column, steps down and across


def chunk(kind: bytes, content: bytes, damaged: bool = False) -> bytes:
    checksum = zlib.crc32(kind + content) ^ damaged
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def packed(samples: np.ndarray, depth: int) -> bytes:
    """The rows of samples [H,W,C], each with filter type 0."""
    rows = b""
    for row in samples.reshape(len(samples), -1):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        else:
            ones = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
            data = np.packbits(ones.ravel()).tobytes()
        rows += b"\0" + data
    return rows


def written(samples: np.ndarray, depth: int, colour: int, interlaced: bool, *chunks) -> bytes:
    height, width = samples.shape[:2]
    rows = packed(samples, depth)
    if interlaced:
        parts = [samples[top::down, left::across] for top, left, down, across in PASSES]
        rows = b"".join(packed(part, depth) for part in parts if part.size)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    body = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)
