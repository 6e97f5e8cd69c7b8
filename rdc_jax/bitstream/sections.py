"""The sections of an `.rdc` file: codes, names, and which combinations make a valid file."""

import enum
from collections.abc import Iterable

from rdc_jax.bitstream.framing import MAX_VARINT_BYTES, BitstreamError, read_varint

MAX_FRAME_BYTES = 1 + MAX_VARINT_BYTES  # type and length, before the payload of a section
MAX_METADATA_BYTES = 2**24  # limit for each of ICC, EXIF and XMP
_OPTIONAL = 0x80


class SectionType(enum.IntEnum):
    """Section codes. A reader skips unknown codes from 128 on and refuses other unknown codes."""

    IMPORTANCE = 0x01
    HYPER_LATENT = 0x02
    LATENT = 0x03
    TILES = 0x04  # instead of HYPER_LATENT and LATENT
    ALPHA = 0x81
    ICC = 0x82
    EXIF = 0x83
    XMP = 0x84


WHOLE_LATENT = (SectionType.HYPER_LATENT, SectionType.LATENT)


def section_name(section_type: int) -> str:
    """Returns a section's name for messages and listings, `TYPE_0x..` if it is unknown."""
    if section_type in tuple(SectionType):
        return SectionType(section_type).name
    return f"TYPE_0x{section_type:02X}"


def section_place(section_type: int, offset: int) -> str:
    """Returns a section's name and position for error messages."""
    return f"section {section_name(section_type)} at byte {offset}"


def check_sections(types: list[int]) -> None:
    """Raises BitstreamError unless these sections make a file that this version can read."""
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
    """Checks that optional sections are not longer than the format allows.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        lengths: (type, bytes of the payload) of each section.

    Raises:
        BitstreamError: a section is too long.
    """
    metadata = (SectionType.ICC, SectionType.EXIF, SectionType.XMP)
    most: dict[int, int] = dict.fromkeys(metadata, MAX_METADATA_BYTES)
    stored = height * (width + 1)  # size of an alpha plane as an uncompressed PNG
    most[SectionType.ALPHA] = stored + stored // 64 + 2**16
    for kind, length in lengths:
        if length > most.get(kind, length):
            size = f"{length} bytes, more than the {most[kind]} allowed"
            raise BitstreamError(f"section {section_name(kind)} has {size}: leave it out")


def read_frame(data: bytes, offset: int) -> tuple[int, int, int]:
    """Reads type and length of the section that starts at `offset`.

    This does not check that the payload lies within the file.

    Args:
        data: bytes from `offset` on, MAX_FRAME_BYTES of them or all up to the end of the file.
        offset: Position of the section in the file.

    Returns:
        (type, begin of the payload, end of the payload), as positions in the file.

    Raises:
        BitstreamError: the file ends here, or the length is malformed.
    """
    if not data:
        raise BitstreamError(
            f"the file is truncated: a section is missing at byte {offset}, fetch the file again"
        )
    length, size = read_varint(data, 1, section_place(data[0], offset))
    return data[0], offset + size, offset + size + length


def check_end(position: int, size: int) -> None:
    """Raises BitstreamError if a file of `size` bytes continues after its last section."""
    if position != size:
        raise BitstreamError(
            f"{size - position} bytes follow the last section: the file is damaged or joined"
            " with another one"
        )
