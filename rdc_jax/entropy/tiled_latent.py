"""Coding of a latent tile by tile, and decoding as a whole or window by window.

Each tile is coded like the latent of a separate image: hyper-latent, passes and context end at its
border. Dither and importance map are those of the whole image at the position of the tile.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from rdc_jax.bitstream import tile_index
from rdc_jax.bitstream.framing import BitstreamError
from rdc_jax.bitstream.tile_index import Grid, Index, Read, Window
from rdc_jax.entropy import coded_latent, latent_coding
from rdc_jax.entropy.coded_latent import CodedLatent, Conditions
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.errors import RdcError, option

Latent = tuple[np.ndarray, np.ndarray, np.ndarray]
"""yhat, mean and scale of a window of the latent, float32 [h,w,C] each."""

Windows = Callable[[Window], Latent]
"""Function that decodes a window of the latent. Call it for windows from top to bottom."""


class Tally(NamedTuple):
    """Bits and hash of all tiles, as in CodedLatent.

    symbol_hash is the SHA-256 of the symbol hashes of the tiles, as bytes.
    """

    hyper_bits: float
    latent_bits: float
    bits_map: np.ndarray
    symbol_hash: str


class DamagedTile(NamedTuple):
    """A tile that could not be decoded.

    Attributes:
        number: Number of the tile, from 0.
        count: Number of tiles in the file.
        x: Left edge in image pixels.
        y: Top edge in image pixels.
        width: Width in image pixels.
        height: Height in image pixels.
        reason: Why the tile could not be decoded.
    """

    number: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
    x: int
    y: int
    width: int
    height: int
    reason: str

    def __str__(self) -> str:
        return (
            f"tile {self.number + 1} of {self.count} (pixels {self.x},{self.y} to "
            f"{self.x + self.width - 1},{self.y + self.height - 1}) is damaged ({self.reason})"
        )


def conditions_of(conditions: Conditions, window: Window) -> Conditions:
    """Returns the conditions of a tile, from those of the image and the tile's window."""
    height, width = window.bottom - window.top, window.right - window.left
    rows, columns = (coded_latent.padded_size(size) for size in (height, width))
    return dataclasses.replace(
        conditions,
        height=height,
        width=width,
        levels=conditions.levels[window.top :, window.left :][:rows, :columns],
        row0=window.top,
        col0=window.left,
    )


def encode(
    model: EntropyModel,
    latent: np.ndarray,
    conditions: Conditions,
    side: int,
    downsampling: int,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[bytes, Tally]:
    """Codes a clean latent in tiles.

    Args:
        model: The entropy model.
        latent: float [h,w,C] in latent units.
        conditions: Conditions of the whole image.
        side: Side of a tile in image pixels.
        downsampling: Image pixels per latent pixel along a side.
        progress: Called with the share of the tiles that is coded, 0 to 1, after each tile.

    Returns:
        The payload of section TILES, and bits and hash of all tiles.

    Raises:
        RdcError: the latent is not finite.
    """
    grid = Grid(conditions.height, conditions.width, side // downsampling)
    everything = Window(0, grid.height, 0, grid.width)
    streams: list[tuple[bytes, bytes]] = []
    digest, hyper_bits = hashlib.sha256(), 0.0
    bits_map = np.zeros((grid.height, grid.width))
    for number in range(grid.rows * grid.columns):
        window = grid.window(number)
        where = window.of(everything)
        hyper_data, latent_data, seen = latent_coding.encode_latent(
            model, latent[where], conditions_of(conditions, window)
        )
        streams.append((hyper_data, latent_data))
        digest.update(bytes.fromhex(seen.symbol_hash))
        hyper_bits += seen.hyper_bits
        bits_map[where] = seen.bits_map
        progress((number + 1) / (grid.rows * grid.columns))
    tally = Tally(hyper_bits, float(bits_map.sum()), bits_map, digest.hexdigest())
    return tile_index.pack(side, streams), tally


@dataclasses.dataclass(frozen=True)
class TiledFile:
    """The tiles of a file, decoded one at a time.

    Attributes:
        conditions: Conditions of the whole image.
        read: Reads bytes of the file.
        index: Positions of the tiles, with its grid in latent pixels.
        scale: Image pixels per latent pixel along a side.
        size: (width, height) of the image in pixels.
        on_damage: Called with each damaged tile, which is then filled with the prediction of the
            prior. None makes damage an error.
    """

    conditions: Conditions
    read: Read
    index: Index
    scale: int
    size: tuple[int, int]
    on_damage: Callable[[DamagedTile], None] | None = None

    def tile(self, model: EntropyModel, number: int) -> CodedLatent:
        """Decodes one tile. Raises BitstreamError for a damaged tile if `on_damage` is None."""
        known = conditions_of(self.conditions, self.index.grid.window(number))
        try:
            streams = tile_index.read_streams(self.read, self.index, number)
            return latent_coding.decode_latent(model, *streams, known)
        except RdcError as error:
            self.refuse(number, str(error))
        return latent_coding.missing_latent(model, known)

    def refuse(self, number: int, reason: str) -> None:
        """Reports a damaged tile to `on_damage`, or raises BitstreamError."""
        place, (width, height) = self.index.grid.window(number), self.size
        y, bottom, x, right = (edge * self.scale for edge in place)
        right, bottom = min(right, width), min(bottom, height)
        count = len(self.index.offsets)
        damage = DamagedTile(number, count, x, y, right - x, bottom - y, reason)
        if self.on_damage is None:
            resilient = option("--resilient", "resilient=True")
            raise BitstreamError(f"{damage}: fetch the file again, or decode with {resilient}")
        self.on_damage(damage)

    def check(self) -> None:
        """Reads all tiles and reports those with a wrong CRC, see `refuse`."""
        for number in range(len(self.index.offsets)):
            try:
                tile_index.read_streams(self.read, self.index, number)
            except BitstreamError as error:
                self.refuse(number, str(error))

    def whole(self, model: EntropyModel) -> CodedLatent:
        """Decodes the whole latent. The hash equals that of `encode`. Bits are not counted."""
        grid, digest = self.index.grid, hashlib.sha256()
        everything = Window(0, grid.height, 0, grid.width)

        def latents() -> Iterator[tuple[Window, Latent]]:
            for number in range(len(self.index.offsets)):
                coded = self.tile(model, number)
                digest.update(bytes.fromhex(coded.symbol_hash))
                yield grid.window(number), (coded.yhat, coded.mean, coded.scale)

        arrays = _joined(latents(), everything, model.network.latent_channels)
        return CodedLatent(*arrays, 0.0, 0.0, None, digest.hexdigest())

    def windows(self, model: EntropyModel) -> Windows:
        """Returns a function that decodes windows of the latent.

        It keeps the tiles of the last window and drops all others.
        """
        grid, channels = self.index.grid, model.network.latent_channels
        at_hand: dict[int, Latent] = {}

        def window(wanted: Window) -> Latent:
            needed = grid.covering(wanted)
            for number in at_hand.keys() - set(needed):
                del at_hand[number]
            for number in needed:
                if number not in at_hand:
                    coded = self.tile(model, number)
                    at_hand[number] = coded.yhat, coded.mean, coded.scale
            tiles = ((grid.window(number), at_hand[number]) for number in needed)
            return _joined(tiles, wanted, channels)

        return window


def whole_windows(coded: CodedLatent) -> Windows:
    """Returns a function that gives windows of a latent that is already decoded."""

    def window(wanted: Window) -> Latent:
        where = wanted.of(Window(0, 0, 0, 0))
        return coded.yhat[where], coded.mean[where], coded.scale[where]

    return window


def _joined(tiles: Iterable[tuple[Window, Latent]], wanted: Window, channels: int) -> Latent:
    """Assembles a window of the latent from the tiles that cover it."""
    shape = (wanted.bottom - wanted.top, wanted.right - wanted.left, channels)
    yhat, mean, scale = (np.empty(shape, np.float32) for _ in range(3))
    for tile, latent in tiles:
        both = tile.common(wanted)
        for array, part in zip((yhat, mean, scale), latent, strict=True):
            array[both.of(wanted)] = part[both.of(tile)]
    return yhat, mean, scale
