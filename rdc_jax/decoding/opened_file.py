"""Opening a file to decode it: header and map are read and checked, the latent stays as bytes.

A whole file is checked to the last byte before anything is decoded. For a crop or a resilient
decode, only the header, map, tile index and the tiles in use are checked.
"""

import dataclasses
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rdc_jax.bitstream import container, tile_index
from rdc_jax.bitstream.container import Header
from rdc_jax.bitstream.file_reader import FileReader
from rdc_jax.bitstream.framing import BitstreamError
from rdc_jax.bitstream.sections import WHOLE_LATENT, SectionType
from rdc_jax.bitstream.tile_index import Window
from rdc_jax.decoding.reconstruction import Part
from rdc_jax.entropy import importance_coding, latent_coding, tiled_latent
from rdc_jax.entropy.coded_latent import CodedLatent, Conditions
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.entropy.tiled_latent import DamagedTile, TiledFile
from rdc_jax.errors import RdcError, option, reason
from rdc_jax.importance.conditions import conditions_of
from rdc_jax.model_folder.codec_model import Model

Crop = tuple[int, int, int, int]
"""x, y, width, height in image pixels."""

Source = bytes | str | os.PathLike | BinaryIO
"""An `.rdc` file: its bytes, its path, or the file opened for reading bytes."""

PIECE_SHARE = 8
"""An image without tiles, or one tile, may have at most 1 / PIECE_SHARE of the limit of pixels:
the entropy stage needs some 180 bytes for each pixel that is coded in one piece."""


def warn(tile: DamagedTile) -> None:
    """Warns that a damaged tile was filled in."""
    warnings.warn(f"{tile} and was filled in", stacklevel=2)


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How to read a file.

    Attributes:
        max_pixels: Larger images are refused, and images of more than an eighth in one piece.
        crop: The wanted part of the image, None for all.
        resilient: Damaged tiles are no error; they are filled in.
        on_damage: Called for each damaged tile when the tile is decoded.
    """

    max_pixels: int = container.DEFAULT_MAX_PIXELS
    crop: Crop | None = None
    resilient: bool = False
    on_damage: Callable[[DamagedTile], None] = warn


def source_of(data: Source) -> bytes | BinaryIO:
    """A file's bytes, read if `data` is a path. An open file stays as it is.

    Raises RdcError if there is no such file, it is open as text, or `data` is something else.
    """
    if isinstance(data, str | os.PathLike):
        try:
            return Path(data).read_bytes()
        except OSError as error:
            raise RdcError(f"cannot read '{os.fspath(data)}': {reason(error)}") from None
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    if isinstance(data, io.TextIOBase):
        raise RdcError("the .rdc file is open as text; open it for reading bytes, with mode 'rb'")
    if hasattr(data, "read"):
        return data
    kind = type(data).__name__
    raise RdcError(f"give the bytes of an .rdc file, its path, or the open file, not {kind}")


@dataclasses.dataclass(frozen=True)
class OpenFile:
    """A file with its header and map decoded; see `open_file`.

    Attributes:
        reader: Reads the sections of the file.
        conditions: Importance map and timesteps.
        area: The wanted part of the image, in pixels.
        tiles: None if the latent is coded as a whole.
        damaged: Tiles found to be damaged while decoding.
    """

    reader: FileReader
    conditions: Conditions
    area: Window
    tiles: TiledFile | None
    damaged: list[DamagedTile]

    @property
    def header(self) -> Header:
        return self.reader.header

    @property
    def part(self) -> Part:
        """The wanted part of the image, and the tiles of the file."""
        side = None if self.tiles is None else self.tiles.index.grid.side * self.tiles.scale
        return Part(self.area, side, self.damaged)

    def latent(self, entropy: EntropyModel) -> CodedLatent:
        """The whole latent. Raises RdcError for damage."""
        if self.tiles is not None:
            return self.tiles.whole(entropy)
        hyper_data, latent_data = (self.reader.payload(kind) for kind in WHOLE_LATENT)
        return latent_coding.decode_latent(entropy, hyper_data, latent_data, self.conditions)

    def windows(self, entropy: EntropyModel) -> tiled_latent.Windows:
        """The latent, window by window. Raises RdcError for damage, now or at the window."""
        if self.tiles is not None:
            return self.tiles.windows(entropy)
        return tiled_latent.whole_windows(self.latent(entropy))


def open_file(
    source: Source,
    model: Model,
    options: ReadOptions = ReadOptions(),
) -> OpenFile:
    """Opens an `.rdc` file to decode it.

    Args:
        source: The file's bytes, its path, or the file opened for reading bytes.
        model: The model that made the file.
        options: Limits, crop, and what to do about damage.

    Raises:
        RdcError: The file is damaged or was made by another model, the crop leaves the image, or
            the image has too many pixels.
    """
    reader = FileReader(source_of(source), max_pixels=options.max_pixels, cut_off=options.resilient)
    header = reader.header
    _check_header(reader, model, options.max_pixels)
    area = area_of(header, options.crop)
    everything = options.crop is None and not options.resilient
    if everything:
        for kind in reader.places:
            if kind != SectionType.TILES:
                reader.payload(kind)
    grid = importance_coding.decode_importance(
        reader.payload(SectionType.IMPORTANCE), header.map_shape, header.num_levels
    )
    conditions = conditions_of(header, grid, model.downsampling)
    damaged: list[DamagedTile] = []
    tiles = None
    if SectionType.TILES in reader.places:
        tiles = _tiles(reader, conditions, model.downsampling, options, damaged)
        if everything:
            _check_tiles(reader, tiles)
    return OpenFile(reader, conditions, area, tiles, damaged)


def area_of(header: Header, crop: Crop | None) -> Window:
    """A crop as a window, the whole image for None; RdcError if the crop leaves the image."""
    crop = (0, 0, header.width, header.height) if crop is None else crop
    if np.shape(crop) != (4,) or not all(isinstance(n, int | np.integer) for n in crop):
        raise RdcError(f"the crop must be four whole numbers x, y, width, height, not {crop!r}")
    x, y, width, height = crop
    inside = 0 <= x < x + width <= header.width and 0 <= y < y + height <= header.height
    if not inside:
        raise RdcError(
            f"the crop {x},{y},{width},{height} (x, y, width, height) does not lie in the image "
            f"of {header.width} x {header.height} pixels"
        )
    return Window(y, y + height, x, x + width)


def _check_header(reader: FileReader, model: Model, max_pixels: int) -> None:
    """Raises RdcError if the file is of another model, or its image is too large in one piece."""
    header = reader.header
    if header.model_id != model.model_id:
        raise RdcError(
            f"the file needs model {header.model_id.hex()}, but {model.path} is "
            f"{model.model_id.hex()}; give the right one with {option('--model', 'model=')}"
        )
    if header.num_levels > model.num_levels or header.cell_size % model.downsampling:
        raise RdcError("the file's importance map does not fit its model; the file is damaged")
    if SectionType.TILES not in reader.places:
        _check_piece("the image has", header.width, header.height, max_pixels, "without tiles")


def _check_piece(what: str, width: int, height: int, max_pixels: int, kind: str) -> None:
    """Raises RdcError if so many pixels in one piece would take too much memory."""
    if width * height > max_pixels // PIECE_SHARE:
        raise RdcError(
            f"{what} {width} x {height} pixels, more than the limit of "
            f"{int(max_pixels // PIECE_SHARE)} {kind}, an eighth of "
            f"{option('--max-pixels', 'max_pixels')}: raise that to "
            f"{PIECE_SHARE * width * height} if you trust the file"
        )


def _tiles(
    reader: FileReader,
    conditions: Conditions,
    downsampling: int,
    options: ReadOptions,
    damaged: list[DamagedTile],
) -> TiledFile:
    """The tiles of a file. A resilient decode adds those that are damaged to `damaged`."""

    def note(tile: DamagedTile) -> None:
        damaged.append(tile)
        options.on_damage(tile)

    header, place = reader.header, reader.places[SectionType.TILES]
    index = tile_index.read_index(reader.read, place.begin, place.end, header.height, header.width)
    first = index.grid.window(0)
    _check_piece("a tile has", first.right, first.bottom, options.max_pixels, "for a tile")
    return TiledFile(
        conditions,
        reader.read,
        index.on_latent(downsampling),
        downsampling,
        (header.width, header.height),
        note if options.resilient else None,
    )


def _check_tiles(reader: FileReader, tiles: TiledFile) -> None:
    """Raises BitstreamError if section TILES is damaged, naming the tile if it is one."""
    try:
        reader.payload(SectionType.TILES)
    except BitstreamError:
        tiles.check()
        raise
