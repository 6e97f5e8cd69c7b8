"""A file that is opened to be decoded: header and map read and checked, the latent still bytes.

A whole file is checked to the last byte before anything is decoded. For a crop, or where damage is
to be mended, header, map and the tiles' index are, and of the tiles those that are decoded.
"""

import dataclasses
import os
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

from rdc_jax.bitstream import container, tile_index
from rdc_jax.bitstream.container import Header
from rdc_jax.bitstream.file_reader import FileReader
from rdc_jax.bitstream.framing import BitstreamError
from rdc_jax.bitstream.sections import WHOLE_LATENT, SectionType
from rdc_jax.bitstream.tile_index import Window
from rdc_jax.entropy import importance_coding, latent_coding, tiled_latent
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.entropy.latent_coding import CodedLatent, Conditions
from rdc_jax.entropy.tiled_latent import DamagedTile, TiledFile
from rdc_jax.errors import RdcError
from rdc_jax.importance.conditions import conditions_of
from rdc_jax.model_folder.codec_model import Model

Crop = tuple[int, int, int, int]
"""x, y, width, height in picture pixels."""

PIECE_SHARE = 8
"""A picture without tiles, or a tile, has at most this part of the limit of pixels: the entropy
stage takes some 180 bytes for each pixel of what is coded in one piece."""


def warn(tile: DamagedTile) -> None:
    """Says what was filled in, as a warning of Python's."""
    warnings.warn(f"{tile} and was filled in", stacklevel=2)


@dataclasses.dataclass(frozen=True)
class OpenFile:
    """See `open_file`. area: what is wanted of the picture, in its pixels; tiles: None for a latent
    that is coded as a whole. damaged: those that were found so while decoding, if allowed."""

    reader: FileReader
    conditions: Conditions
    area: Window
    tiles: TiledFile | None
    damaged: list[DamagedTile]

    @property
    def header(self) -> Header:
        return self.reader.header

    @property
    def tile_side(self) -> int | None:
        """Side of the tiles in picture pixels."""
        return None if self.tiles is None else self.tiles.index.grid.side * self.tiles.scale

    @property
    def part(self) -> dict[str, Any]:
        """What `decoder.picture` has to know of the file beside its latent and header."""
        return {"area": self.area, "tile_side": self.tile_side, "damaged": self.damaged}

    def latent(self, entropy: EntropyModel) -> CodedLatent:
        """All of the latent. Raises RdcError for damage."""
        if self.tiles is not None:
            return self.tiles.whole(entropy)
        streams = (self.reader.payload(kind) for kind in WHOLE_LATENT)
        return latent_coding.decode_latent(entropy, *streams, self.conditions)

    def windows(self, entropy: EntropyModel) -> tiled_latent.Windows:
        """The latent, window by window. Raises RdcError for damage, then or when it is met."""
        if self.tiles is not None:
            return self.tiles.windows(entropy)
        return tiled_latent.whole_windows(self.latent(entropy))


def open_file(
    source: bytes | BinaryIO,
    model: Model,
    downsampling: int,
    max_pixels: int = container.DEFAULT_MAX_PIXELS,
    *,
    crop: Crop | None = None,
    resilient: bool = False,
    on_damage: Callable[[DamagedTile], None] = warn,
) -> OpenFile:
    """An `.rdc` file's bytes, or a file opened for reading them, ready to be decoded.

    downsampling: picture pixels per latent pixel. crop: what is wanted of the picture, None for
    all. resilient: damaged tiles are no error; `on_damage` is told of each when it is decoded.
    Raises RdcError for a damaged file, one made by another model, a crop that leaves the picture,
    and more pixels than max_pixels, or than an eighth of it in one piece.
    """
    if isinstance(source, str | os.PathLike):
        path = str(source)
        raise RdcError(
            f"decoding takes bytes, not a path: pass pathlib.Path({path!r}).read_bytes()"
        )
    reader = FileReader(source, max_pixels=max_pixels, cut_off=resilient)
    header, f = reader.header, downsampling
    if header.model_id != model.model_id:
        raise RdcError(
            f"the file needs model {header.model_id.hex()}, but {model.path} is "
            f"{model.model_id.hex()}; give the right one with --model"
        )
    if header.num_levels > int(model.config["num_levels"]) or header.cell_size % f:
        raise RdcError("the file's importance map does not fit its model; the file is damaged")
    if SectionType.TILES not in reader.places:
        check_piece("the picture has", header.width, header.height, max_pixels, "without tiles")
    area, everything = area_of(header, crop), crop is None and not resilient
    if everything:
        for kind in reader.places:
            if kind != SectionType.TILES:
                reader.payload(kind)
    grid = importance_coding.decode_importance(
        reader.payload(SectionType.IMPORTANCE), header.map_shape, header.num_levels
    )
    known, tiles, damaged = conditions_of(header, grid, f), None, []

    def note(tile: DamagedTile) -> None:
        damaged.append(tile)
        on_damage(tile)

    if SectionType.TILES in reader.places:
        _, *place = reader.places[SectionType.TILES]
        index = tile_index.read_index(reader.read, *place, header.height, header.width)
        size = header.width, header.height
        first = index.grid.window(0)
        check_piece("a tile has", first.right, first.bottom, max_pixels, "for a tile")
        index = index.on_latent(f)
        tiles = TiledFile(known, reader.read, index, f, size, note if resilient else None)
        if everything:
            _check(reader, tiles)
    return OpenFile(reader, known, area, tiles, damaged)


def check_piece(what: str, width: int, height: int, max_pixels: int, kind: str) -> None:
    """Raises RdcError if so many pixels in one piece would take too much memory."""
    if width * height > max_pixels // PIECE_SHARE:
        raise RdcError(
            f"{what} {width} x {height} pixels, more than the limit of "
            f"{max_pixels // PIECE_SHARE} {kind}, an eighth of --max-pixels: raise that to "
            f"{PIECE_SHARE * width * height} if you trust the file"
        )


def area_of(header: Header, crop: Crop | None) -> Window:
    """A crop, None for the whole picture; RdcError if it is empty or leaves the picture."""
    x, y, width, height = crop or (0, 0, header.width, header.height)
    inside = 0 <= x < x + width <= header.width and 0 <= y < y + height <= header.height
    if not inside:
        raise RdcError(
            f"the crop {x},{y},{width},{height} (x, y, width, height) does not lie in the picture "
            f"of {header.width} x {header.height} pixels"
        )
    return Window(y, y + height, x, x + width)


def _check(reader: FileReader, tiles: TiledFile) -> None:
    """Raises BitstreamError for a damaged section TILES; it names the tile, if it is one."""
    try:
        reader.payload(SectionType.TILES)
    except BitstreamError:
        tiles.check()
        raise
