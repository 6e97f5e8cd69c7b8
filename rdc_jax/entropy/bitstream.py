"""The `.rdc` container, format version 1: signature, header, sections, nothing after them.

Byte layout: docs/bitstream.md. The header's CRC-32 covers every header byte, each section's
covers its type, length and payload, so that no byte of a file is unprotected. Every length is
checked against the bytes at hand before it is used.
"""

import dataclasses
import enum
import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from rdc_jax.errors import RdcError

SIGNATURE = b"\x9dRDC"
FORMAT_VERSION = 1
MAX_SIDE = 2**20
DEFAULT_MAX_PIXELS = 2**28
MAP_CELLS = 2**20  # a map of so many cells is always read, a larger one if a cell has 16 pixels
MODEL_ID_BYTES = 8
TAU_UNITS = 255  # default_tau of a header is a number of these parts of one
MAX_METADATA_BYTES = 2**24  # of ICC, EXIF, XMP each

_MAX_SECTIONS = 255
_OPTIONAL = 0x80
_FIXED_FIELDS = struct.Struct("<8sBHHBIBB")


class BitstreamError(RdcError):
    """A file that cannot be read, or contents that cannot be written, as `.rdc`."""


class ColourMode(enum.IntEnum):
    """Colour channels of the decoded picture."""

    RGB = 0
    GREY = 1


class SectionType(enum.IntEnum):
    """Section codes; a reader may skip an unknown one of 128 and more, and must refuse others."""

    IMPORTANCE = 0x01
    HYPER_LATENT = 0x02
    LATENT = 0x03
    LATENT_TILE = 0x04  # reserved: repeated, one per tile
    ALPHA = 0x81
    ICC = 0x82
    EXIF = 0x83
    XMP = 0x84


REQUIRED_SECTIONS = (SectionType.IMPORTANCE, SectionType.HYPER_LATENT, SectionType.LATENT)
_KNOWN_SECTIONS = frozenset(SectionType) - {SectionType.LATENT_TILE}


@dataclasses.dataclass(frozen=True)
class Header:
    """Coding parameters of one picture; raises BitstreamError for a field out of range.

    width, height: pixels, 1..2**20. model_id: 8 bytes, names the weights. num_levels:
    importance levels, 1..256. timestep_background, timestep_roi: timesteps 0..1000 at importance
    0 and 1. cell_size: pixels per importance cell, a power of two, 1..32768. dither_seed:
    uint32. default_steps: sampler steps, 0..255. default_tau: 0..255, in units of 1/255.
    """

    width: int
    height: int
    model_id: bytes
    num_levels: int
    timestep_background: int
    timestep_roi: int
    cell_size: int
    dither_seed: int
    default_steps: int
    default_tau: int
    colour_mode: ColourMode = ColourMode.RGB

    def __post_init__(self):
        ranges = {
            "width": (1, MAX_SIDE),
            "height": (1, MAX_SIDE),
            "num_levels": (1, 256),
            "timestep_background": (0, 1000),
            "timestep_roi": (0, 1000),
            "cell_size": (1, 2**15),
            "dither_seed": (0, 2**32 - 1),
            "default_steps": (0, 255),
            "default_tau": (0, 255),
        }
        for name, (least, most) in ranges.items():
            if not least <= getattr(self, name) <= most:
                raise BitstreamError(f"{name} is {getattr(self, name)}: it must be {least}..{most}")
        if self.cell_size & (self.cell_size - 1):
            raise BitstreamError(f"cell_size is {self.cell_size}: it must be a power of two")
        if len(self.model_id) != MODEL_ID_BYTES:
            raise BitstreamError(f"model_id has {len(self.model_id)} bytes: it must have 8")
        if self.colour_mode not in tuple(ColourMode):
            raise BitstreamError(f"colour mode {self.colour_mode} is unknown: upgrade rdc_jax")
        object.__setattr__(self, "colour_mode", ColourMode(self.colour_mode))

    @property
    def map_shape(self) -> tuple[int, int]:
        """(rows, columns) of the importance grid, edge cells that are not full included."""
        return -(-self.height // self.cell_size), -(-self.width // self.cell_size)


class Section(NamedTuple):
    """One section; offset and total_bytes (type, length, payload, CRC) are set by unpack."""

    type: int
    payload: bytes
    offset: int = 0
    total_bytes: int = 0


def section_name(section_type: int) -> str:
    """Name for messages and listings, `TYPE_0x..` when unknown."""
    if section_type in tuple(SectionType):
        return SectionType(section_type).name
    return f"TYPE_0x{section_type:02X}"


def pack(header: Header, sections: Iterable[Section | tuple[int, bytes]]) -> bytes:
    """Bytes of the file; each section is a Section or (type, payload), written in this order."""
    sections = [Section(*section) for section in sections]
    if len(sections) > _MAX_SECTIONS:
        raise BitstreamError(f"{len(sections)} sections: at most {_MAX_SECTIONS} fit in a file")
    _check_sections(sections)
    check_lengths(header, sections)
    output = bytearray(SIGNATURE)
    output.append(FORMAT_VERSION)
    output.append(len(sections))
    output += _varint(header.width) + _varint(header.height)
    output += _FIXED_FIELDS.pack(
        header.model_id,
        header.num_levels - 1,
        header.timestep_background,
        header.timestep_roi,
        (header.cell_size.bit_length() - 1) | header.colour_mode << 4,
        header.dither_seed,
        header.default_steps,
        header.default_tau,
    )
    output += _crc(output)
    for section in sections:
        framed = bytes([section.type]) + _varint(len(section.payload)) + section.payload
        output += framed + _crc(framed)
    return bytes(output)


def unpack(data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> tuple[Header, list[Section]]:
    """Header and sections of a whole file.

    Unknown optional sections are returned as they are. Header bytes are data[:sections[0].offset];
    the sections account for all others. Raises BitstreamError, which names what is wrong, for
    any file that pack did not write, and for more than max_pixels pixels.
    """
    data = bytes(data)
    header, num_sections, position = _read_header(data)
    if header.width * header.height > max_pixels:
        raise BitstreamError(
            f"the picture has {header.width} x {header.height} pixels, more than the limit of"
            f" {max_pixels}: raise --max-pixels if you trust the file"
        )
    cells = header.map_shape[0] * header.map_shape[1]
    if cells > (most := max(MAP_CELLS, max_pixels // 16)):
        raise BitstreamError(
            f"the importance map has {cells} cells, more than the limit of {most}: raise"
            " --max-pixels if you trust the file"
        )
    sections = []
    for _ in range(num_sections):
        section = _read_section(data, position)
        sections.append(section)
        position += section.total_bytes
    if position != len(data):
        raise BitstreamError(
            f"{len(data) - position} bytes follow the last section: the file is damaged or joined"
            " with another one"
        )
    _check_sections(sections)
    check_lengths(header, sections)
    return header, sections


def _read_header(data: bytes) -> tuple[Header, int, int]:
    """(header, number of sections, position after the header)."""
    if data[: len(SIGNATURE)] != SIGNATURE:
        if SIGNATURE.startswith(data):
            raise _truncated("header")
        raise BitstreamError("not an rdc file: it does not begin with the rdc signature")
    if len(data) < len(SIGNATURE) + 2:
        raise _truncated("header")
    version, num_sections = data[4], data[5]
    if version > FORMAT_VERSION:
        raise BitstreamError(
            f"the file has format version {version}, this program reads up to {FORMAT_VERSION}:"
            " upgrade rdc_jax"
        )
    if version != FORMAT_VERSION:
        raise _damaged("header", f"format version {version}")
    width, position = _read_varint(data, 6, "header")
    height, position = _read_varint(data, position, "header")
    end = position + _FIXED_FIELDS.size
    if len(data) < end + 4:
        raise _truncated("header")
    if data[end : end + 4] != _crc(data[:end]):
        raise _damaged("header", "CRC-32 mismatch")
    model_id, levels, background, roi, packed, seed, steps, tau = _FIXED_FIELDS.unpack(
        data[position:end]
    )
    header = Header(
        width=width,
        height=height,
        model_id=model_id,
        num_levels=levels + 1,
        timestep_background=background,
        timestep_roi=roi,
        cell_size=1 << (packed & 15),
        dither_seed=seed,
        default_steps=steps,
        default_tau=tau,
        colour_mode=packed >> 4,
    )
    return header, num_sections, end + 4


def _read_section(data: bytes, offset: int) -> Section:
    if offset >= len(data):
        raise BitstreamError(
            f"the file is truncated: a section is missing at byte {offset}, fetch the file again"
        )
    section_type = data[offset]
    where = f"section {section_name(section_type)} at byte {offset}"
    length, begin = _read_varint(data, offset + 1, where)
    end = begin + length
    if len(data) < end + 4:
        raise _truncated(where)
    if data[end : end + 4] != _crc(data[offset:end]):
        raise _damaged(where, "CRC-32 mismatch")
    return Section(section_type, data[begin:end], offset, end + 4 - offset)


def check_lengths(header: Header, sections: Iterable[Section]) -> None:
    """Raises BitstreamError for an optional section that is longer than the format allows."""
    most = dict.fromkeys((SectionType.ICC, SectionType.EXIF, SectionType.XMP), MAX_METADATA_BYTES)
    stored = header.height * (header.width + 1)  # an alpha plane as a PNG that is not compressed
    most[SectionType.ALPHA] = stored + stored // 64 + 2**16
    for kind, payload, *_ in sections:
        if kind in most and len(payload) > most[kind]:
            size = f"{len(payload)} bytes, more than the {most[kind]} allowed"
            raise BitstreamError(f"section {section_name(kind)} has {size}: leave it out")


def _check_sections(sections: list[Section]) -> None:
    seen = set()
    for section in sections:
        name = section_name(section.type)
        if section.type in seen:
            raise BitstreamError(f"section {name} occurs twice: the file was put together wrongly")
        if section.type not in _KNOWN_SECTIONS and not section.type & _OPTIONAL:
            raise BitstreamError(f"the file needs section {name}, unknown here: upgrade rdc_jax")
        seen.add(section.type)
    for required in REQUIRED_SECTIONS:
        if required not in seen:
            raise BitstreamError(f"section {required.name} is missing: the file is not complete")


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


def _varint(value: int) -> bytes:
    """LEB128: seven bits a byte, least significant first, bit 7 set on all bytes but the last."""
    output = bytearray()
    while value >= 128:
        output.append(value & 127 | 128)
        value >>= 7
    output.append(value)
    return bytes(output)


def _read_varint(data: bytes, position: int, where: str) -> tuple[int, int]:
    """(value, position after it); at most five bytes, the last one not a superfluous zero."""
    value = 0
    for place in range(5):
        if position + place >= len(data):
            raise _truncated(where)
        octet = data[position + place]
        value |= (octet & 127) << (7 * place)
        if octet < 128:
            if place and not octet:
                break
            return value, position + place + 1
    raise _damaged(where, "malformed number")


def _truncated(where: str) -> BitstreamError:
    return BitstreamError(f"{where} is truncated: the file is not complete, fetch it again")


def _damaged(where: str, how: str) -> BitstreamError:
    return BitstreamError(f"{where} is damaged ({how}): fetch the file again")
