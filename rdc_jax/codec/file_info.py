"""A short summary of an `.rdc` file, from its header and the list of its sections."""

import dataclasses

from rdc_jax.bitstream import container, tile_index
from rdc_jax.bitstream.container import TAU_UNITS, ColourMode
from rdc_jax.bitstream.file_reader import FileReader
from rdc_jax.bitstream.sections import SectionType, section_name
from rdc_jax.decoding.opened_file import Source, source_of


@dataclasses.dataclass(frozen=True)
class FileInfo:
    """What an `.rdc` file says about itself.

    Attributes:
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        bytes: Size of the whole file.
        bpp: Bits per pixel of the whole file.
        model_id: Names the weights that decode the file, hexadecimal.
        importance_levels: Levels of the importance map, 1 for no map.
        timesteps: (background, region of interest).
        steps: Sampler steps that the file suggests.
        tau: Tau that the file suggests, 0 to 1.
        grey: Whether the image is grey.
        alpha: Whether the file holds an alpha plane.
        tile_side: Side of the tiles in pixels, None if the image has no tiles.
        section_bytes: Bytes of each section without its frame, by name.
    """

    width: int
    height: int
    bytes: int
    bpp: float
    model_id: str
    importance_levels: int
    timesteps: tuple[int, int]
    steps: int
    tau: float
    grey: bool
    alpha: bool
    tile_side: int | None
    section_bytes: dict[str, int]


def info(data: Source) -> FileInfo:
    """A summary of an `.rdc` file. Loads no model; the sections' contents are not checked.

    Args:
        data: The file's bytes, its path, or the file opened for reading bytes.

    Raises:
        RdcError: There is no such file, or its header or list of sections is damaged.
    """
    reader = FileReader(source_of(data), max_pixels=container.MAX_SIDE**2)
    header, places = reader.header, reader.places
    side = None
    if SectionType.TILES in places:
        place, size = places[SectionType.TILES], (header.height, header.width)
        side = tile_index.read_index(reader.read, place.begin, place.end, *size).grid.side
    return FileInfo(
        width=header.width,
        height=header.height,
        bytes=reader.size,
        bpp=8 * reader.size / (header.width * header.height),
        model_id=header.model_id.hex(),
        importance_levels=header.num_levels,
        timesteps=(header.timestep_background, header.timestep_roi),
        steps=header.default_steps,
        tau=header.default_tau / TAU_UNITS,
        grey=header.colour_mode == ColourMode.GREY,
        alpha=SectionType.ALPHA in places,
        tile_side=side,
        section_bytes={section_name(k).lower(): p.end - p.begin for k, p in places.items()},
    )
