"""The sections of an `.rdc` file: their codes and names, and which of them make a file."""

import enum
from collections.abc import Iterable

from rdc_jax.bitstream.framing import BitstreamError

MAX_METADATA_BYTES = 2**24  # of ICC, EXIF, XMP each
_OPTIONAL = 0x80


class SectionType(enum.IntEnum):
    """Section codes; a reader may skip an unknown one of 128 and more, and must refuse others."""

    IMPORTANCE = 0x01
    HYPER_LATENT = 0x02
    LATENT = 0x03
    TILES = 0x04  # in place of HYPER_LATENT and LATENT
    ALPHA = 0x81
    ICC = 0x82
    EXIF = 0x83
    XMP = 0x84


WHOLE_LATENT = (SectionType.HYPER_LATENT, SectionType.LATENT)


def section_name(section_type: int) -> str:
    """Name for messages and listings, `TYPE_0x..` when unknown."""
    if section_type in tuple(SectionType):
        return SectionType(section_type).name
    return f"TYPE_0x{section_type:02X}"


def section_place(section_type: int, offset: int) -> str:
    return f"section {section_name(section_type)} at byte {offset}"


def check_sections(types: list[int]) -> None:
    """Raises BitstreamError unless these sections make a file that this program understands."""
    for place, section_type in enumerate(types):
        name = section_name(section_type)
        if section_type in types[:place]:
            raise BitstreamError(f"section {name} occurs twice: the file was put together wrongly")
        if section_type not in tuple(SectionType) and not section_type & _OPTIONAL:
            raise BitstreamError(f"the file needs section {name}, unknown here: upgrade rdc_jax")
        if section_type in WHOLE_LATENT and SectionType.TILES in types:
            raise BitstreamError(
                f"sections TILES and {name} are in one file: it was put together wrongly"
            )
    tiled = SectionType.TILES in types
    for required in (SectionType.IMPORTANCE, *(() if tiled else WHOLE_LATENT)):
        if required not in types:
            raise BitstreamError(f"section {required.name} is missing: the file is not complete")


def check_lengths(height: int, width: int, lengths: Iterable[tuple[int, int]]) -> None:
    """Raises BitstreamError for an optional section that is longer than the format allows.

    height, width: of the picture. lengths: (type, bytes of the payload) of each section.
    """
    most = dict.fromkeys((SectionType.ICC, SectionType.EXIF, SectionType.XMP), MAX_METADATA_BYTES)
    stored = height * (width + 1)  # an alpha plane as a PNG that is not compressed
    most[SectionType.ALPHA] = stored + stored // 64 + 2**16
    for kind, length in lengths:
        if length > most.get(kind, length):
            size = f"{length} bytes, more than the {most[kind]} allowed"
            raise BitstreamError(f"section {section_name(kind)} has {size}: leave it out")
