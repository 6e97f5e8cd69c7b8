"""The payload of section TILES: a grid of tiles, each with its own two streams and its own CRC.

    side, lengths of all streams, CRC-32 of these         the index
    hyper-latent, latent, CRC-32 of these                 for each tile, in raster order

A reader of the index can go to any tile and needs no other. docs/bitstream.md has the bytes.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from rdc_jax.bitstream.framing import (
    CRC_BYTES,
    MAX_VARINT_BYTES,
    BitstreamError,
    crc,
    damaged,
    read_varint,
    varint,
)
from rdc_jax.errors import RdcError

MIN_SIDE, MAX_SIDE = 1 << 5, 1 << 10  # of a tile, in latent pixels
MIN_PIXELS, MAX_PIXELS = 1 << 8, 1 << 13  # and in picture pixels
DEFAULT_TILE_PIXELS = 1024
LARGE_PICTURE = 1 << 22  # picture pixels; larger ones are cut into tiles unless told otherwise
RESILIENT_TILE_PIXELS = 256

_INDEX = "the index of section TILES"

Read = Callable[[int, int], bytes]
"""(offset, length) -> that many of a file's bytes, fewer at its end."""


class Window(NamedTuple):
    """A rectangle of the latent; rows top..bottom - 1, columns left..right - 1."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, origin: "Window") -> tuple[slice, slice]:
        """Where it lies in an array of the window `origin`."""
        rows = slice(self.top - origin.top, self.bottom - origin.top)
        return rows, slice(self.left - origin.left, self.right - origin.left)

    def grown(self, margin: int) -> "Window":
        """Larger by a margin on all sides."""
        return Window(
            self.top - margin, self.bottom + margin, self.left - margin, self.right + margin
        )

    def common(self, other: "Window") -> "Window":
        """What lies in both of two windows that overlap."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Window(top, min(self.bottom, other.bottom), left, min(self.right, other.right))


class Grid(NamedTuple):
    """Tiles of `side` x `side` pixels over a picture, or its latent, of height x width; the last
    ones end with it."""

    height: int
    width: int
    side: int

    @property
    def rows(self) -> int:
        return -(-self.height // self.side)

    @property
    def columns(self) -> int:
        return -(-self.width // self.side)

    def window(self, number: int) -> Window:
        """Where a tile lies; tiles are numbered from 0, row by row."""
        top, left = (place * self.side for place in divmod(number, self.columns))
        bottom, right = top + self.side, left + self.side
        return Window(top, min(bottom, self.height), left, min(right, self.width))

    def covering(self, window: Window) -> list[int]:
        """Numbers of the tiles that have a part in a window."""
        rows = range(window.top // self.side, -(-window.bottom // self.side))
        columns = range(window.left // self.side, -(-window.right // self.side))
        return [row * self.columns + column for row in rows for column in columns]


@dataclasses.dataclass(frozen=True)
class Index:
    """Where the tiles are: offsets int64 [n] in the file; lengths int64 [n,2], bytes of the
    hyper-latent's and the latent's stream. grid: in picture pixels as `read_index` gives it, in
    those of the latent after `on_latent`."""

    grid: Grid
    offsets: np.ndarray
    lengths: np.ndarray

    def tile_bytes(self) -> np.ndarray:
        """Bytes of each tile, CRC included, int64 [n]."""
        return self.lengths.sum(1) + CRC_BYTES

    def on_latent(self, downsampling: int) -> "Index":
        """The same with the grid of a latent of so many picture pixels per pixel; BitstreamError
        if its tiles are too small or too large."""
        height, width, side = (-(-size // downsampling) for size in self.grid)
        if not MIN_SIDE <= side <= MAX_SIDE:
            raise damaged(_INDEX, f"tiles of {self.grid.side} pixels do not fit its model")
        return dataclasses.replace(self, grid=Grid(height, width, side))


def chosen_side(
    height: int, width: int, downsampling: int, tile: int | None = None, resilient: bool = False
) -> int | None:
    """Side of the tiles of a picture in its pixels, or None for a picture without tiles.

    downsampling: picture pixels per latent pixel. tile: the side asked for, 0 for no tiles; None:
    DEFAULT_TILE_PIXELS for large pictures. resilient: small tiles,
    RESILIENT_TILE_PIXELS where the latent allows it. Raises RdcError for a side that is no power
    of two or out of range.
    """
    least = max(MIN_SIDE * downsampling, MIN_PIXELS)
    most = min(MAX_SIDE * downsampling, MAX_PIXELS)
    if tile is None and resilient:
        tile = max(RESILIENT_TILE_PIXELS, least)
    if tile is None:
        return max(DEFAULT_TILE_PIXELS, least) if height * width > LARGE_PICTURE else None
    if tile == 0:
        return None
    if tile & (tile - 1) or not least <= tile <= most:
        raise RdcError(
            f"a tile of {tile} pixels is not possible: its side must be a power of two from "
            f"{least} to {most}, or 0 for no tiles"
        )
    return tile


def pack(side: int, streams: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The payload; side: of a tile in picture pixels; streams: (hyper-latent, latent) of each in
    raster order."""
    streams = list(streams)
    index = bytes([side.bit_length() - 1])
    index += b"".join(varint(len(hyper)) + varint(len(latent)) for hyper, latent in streams)
    tiles = (hyper + latent + crc(hyper + latent) for hyper, latent in streams)
    return b"".join((index, crc(index), *tiles))


def read_index(read: Read, begin: int, end: int, height: int, width: int) -> Index:
    """The index of the payload in bytes begin..end - 1 of a file.

    height, width: of the picture. Raises BitstreamError unless index and payload fit each other
    and that picture.
    """
    start = read(begin, min(1, end - begin))
    if not start or not MIN_PIXELS <= 1 << start[0] <= MAX_PIXELS:
        raise damaged(_INDEX, f"side of a tile 2^{start[0]}" if start else "it is empty")
    grid = Grid(height, width, 1 << start[0])
    count = grid.rows * grid.columns
    if end - begin < 1 + (2 + CRC_BYTES) * count + CRC_BYTES:
        raise damaged(_INDEX, f"too short for {grid.columns} x {grid.rows} tiles")
    most = 1 + 2 * MAX_VARINT_BYTES * count + CRC_BYTES
    data, position = read(begin, min(most, end - begin)), 1
    lengths = np.zeros((count, 2), np.int64)
    for number in range(count):
        for stream in range(2):
            lengths[number, stream], position = read_varint(data, position, _INDEX)
    if data[position : position + CRC_BYTES] != crc(data[:position]):
        raise damaged(_INDEX, "CRC-32 mismatch")
    sizes = lengths.sum(1) + CRC_BYTES
    first = begin + position + CRC_BYTES
    if first + sizes.sum() != end:
        raise damaged(_INDEX, "its lengths do not add up to the section's")
    return Index(grid, first + np.cumsum(sizes) - sizes, lengths)


def read_streams(read: Read, index: Index, number: int) -> tuple[bytes, bytes]:
    """Hyper-latent and latent of one tile; BitstreamError if its CRC is wrong or it is cut off."""
    hyper, latent = (int(length) for length in index.lengths[number])
    data = read(int(index.offsets[number]), hyper + latent + CRC_BYTES)
    if len(data) < hyper + latent + CRC_BYTES:
        raise BitstreamError("cut off")
    streams = data[:-CRC_BYTES]
    if data[-CRC_BYTES:] != crc(streams):
        raise BitstreamError("CRC-32 mismatch")
    return streams[:hyper], streams[hyper:]
