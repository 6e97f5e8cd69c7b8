"""The payload of section TILES: a grid of tiles. Each tile has two streams and a CRC of its own.

    side, lengths of all streams, CRC-32 of these         the index
    hyper-latent, latent, CRC-32 of these                 for each tile, in raster order

With the index, a reader can decode any tile without the others. docs/bitstream.md specifies the
bytes.
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

MIN_SIDE, MAX_SIDE = 1 << 5, 1 << 10  # side of a tile in latent pixels
MIN_PIXELS, MAX_PIXELS = 1 << 8, 1 << 13  # side of a tile in image pixels
DEFAULT_TILE_PIXELS = 1024
LARGE_IMAGE = 1 << 22  # pixels; larger images are coded in tiles by default
RESILIENT_TILE_PIXELS = 256

_INDEX = "the index of section TILES"

Read = Callable[[int, int], bytes]
"""Function (offset, length) -> that many bytes of a file, fewer at its end."""


class Window(NamedTuple):
    """A rectangle of the latent: rows top..bottom - 1 and columns left..right - 1."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, origin: "Window") -> tuple[slice, slice]:
        """Returns the slices of this window in an array that holds the window `origin`."""
        rows = slice(self.top - origin.top, self.bottom - origin.top)
        return rows, slice(self.left - origin.left, self.right - origin.left)

    def grown(self, margin: int) -> "Window":
        """Returns this window enlarged by a margin on all sides."""
        return Window(
            self.top - margin, self.bottom + margin, self.left - margin, self.right + margin
        )

    def common(self, other: "Window") -> "Window":
        """Returns the intersection with another window that overlaps this one."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Window(top, min(self.bottom, other.bottom), left, min(self.right, other.right))


class Grid(NamedTuple):
    """Tiles of side x side pixels that cover an image or its latent, of height x width pixels.

    The last tiles of rows and columns end at the border and may be smaller.
    """

    height: int
    width: int
    side: int

    @property
    def rows(self) -> int:
        """Number of tiles from top to bottom."""
        return -(-self.height // self.side)

    @property
    def columns(self) -> int:
        """Number of tiles from left to right."""
        return -(-self.width // self.side)

    def window(self, number: int) -> Window:
        """Returns the window of a tile. Tiles are numbered from 0, row by row."""
        top, left = (place * self.side for place in divmod(number, self.columns))
        bottom, right = top + self.side, left + self.side
        return Window(top, min(bottom, self.height), left, min(right, self.width))

    def covering(self, window: Window) -> list[int]:
        """Returns the numbers of the tiles that overlap a window."""
        rows = range(window.top // self.side, -(-window.bottom // self.side))
        columns = range(window.left // self.side, -(-window.right // self.side))
        return [row * self.columns + column for row in rows for column in columns]


@dataclasses.dataclass(frozen=True)
class Index:
    """The positions of the tiles in a file.

    Attributes:
        grid: The tiles, in image pixels from `read_index` and in latent pixels from `on_latent`.
        offsets: int64 [n], position of each tile in the file.
        lengths: int64 [n,2], bytes of the hyper-latent stream and of the latent stream.
    """

    grid: Grid
    offsets: np.ndarray
    lengths: np.ndarray

    def tile_bytes(self) -> np.ndarray:
        """Returns the bytes of each tile, CRC included, int64 [n]."""
        return self.lengths.sum(1) + CRC_BYTES

    def on_latent(self, downsampling: int) -> "Index":
        """Returns this index with its grid in latent pixels.

        Args:
            downsampling: Image pixels per latent pixel along a side.

        Raises:
            BitstreamError: the tiles are too small or too large in latent pixels.
        """
        height, width, side = (-(-size // downsampling) for size in self.grid)
        if not MIN_SIDE <= side <= MAX_SIDE:
            raise damaged(_INDEX, f"tiles of {self.grid.side} pixels do not fit its model")
        return dataclasses.replace(self, grid=Grid(height, width, side))


def chosen_side(
    height: int, width: int, downsampling: int, tile: int | None = None, resilient: bool = False
) -> int | None:
    """Chooses the side of an image's tiles.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        downsampling: Image pixels per latent pixel along a side.
        tile: Requested side in pixels, or 0 for no tiles. None means DEFAULT_TILE_PIXELS for
            images above LARGE_IMAGE pixels, and no tiles for others.
        resilient: True for small tiles if `tile` is None: RESILIENT_TILE_PIXELS, or the smallest
            side that the latent allows.

    Returns:
        Side of the tiles in pixels, or None for an image without tiles.

    Raises:
        RdcError: the requested side is not a power of two, or out of range.
    """
    least = max(MIN_SIDE * downsampling, MIN_PIXELS)
    most = min(MAX_SIDE * downsampling, MAX_PIXELS)
    if tile is None and resilient:
        tile = max(RESILIENT_TILE_PIXELS, least)
    if tile is None:
        return max(DEFAULT_TILE_PIXELS, least) if height * width > LARGE_IMAGE else None
    if tile == 0:
        return None
    if tile & (tile - 1) or not least <= tile <= most:
        raise RdcError(
            f"a tile of {tile} pixels is not possible: its side must be a power of two from "
            f"{least} to {most}, or 0 for no tiles"
        )
    return tile


def pack(side: int, streams: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Returns the payload of section TILES.

    Args:
        side: Side of a tile in image pixels, a power of two.
        streams: (hyper-latent, latent) of each tile in raster order.
    """
    streams = list(streams)
    index = bytes([side.bit_length() - 1])
    index += b"".join(varint(len(hyper)) + varint(len(latent)) for hyper, latent in streams)
    tiles = (hyper + latent + crc(hyper + latent) for hyper, latent in streams)
    return b"".join((index, crc(index), *tiles))


def read_index(read: Read, begin: int, end: int, height: int, width: int) -> Index:
    """Reads the index of section TILES.

    Args:
        read: Reads bytes of the file.
        begin: Position of the first byte of the payload.
        end: Position after the last byte of the payload.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        The index, with its grid in image pixels.

    Raises:
        BitstreamError: the index is damaged, or does not fit the payload or the image.
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
    """Reads the two streams of one tile.

    Args:
        read: Reads bytes of the file.
        index: Positions of the tiles.
        number: Number of the tile, row by row from 0.

    Returns:
        The streams of hyper-latent and latent.

    Raises:
        BitstreamError: the CRC is wrong, or the file ends before the tile does.
    """
    hyper, latent = (int(length) for length in index.lengths[number])
    data = read(int(index.offsets[number]), hyper + latent + CRC_BYTES)
    if len(data) < hyper + latent + CRC_BYTES:
        raise BitstreamError("cut off")
    streams = data[:-CRC_BYTES]
    if data[-CRC_BYTES:] != crc(streams):
        raise BitstreamError("CRC-32 mismatch")
    return streams[:hyper], streams[hyper:]
