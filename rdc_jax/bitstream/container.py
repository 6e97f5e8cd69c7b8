"""The `.rdc` container, format version 1: signature, header, sections, and nothing after them.

docs/bitstream.md specifies the byte layout. The CRC-32 of the header covers every header byte. The
CRC-32 of a section covers its type, length and payload. So no byte of a file is unprotected. Every
length is checked against the available bytes before it is used.
"""

import dataclasses
import enum
import math
import numbers
import struct
from collections.abc import Iterable
from typing import NamedTuple

from rdc_jax.bitstream.framing import (
    CRC_BYTES,
    MAX_VARINT_BYTES,
    BitstreamError,
    crc,
    damaged,
    read_varint,
    truncated,
    varint,
)
from rdc_jax.bitstream.sections import (
    MAX_FRAME_BYTES,
    check_end,
    check_lengths,
    check_sections,
    read_frame,
    section_place,
)
from rdc_jax.errors import RdcError, option

SIGNATURE = b"\x9dRDC"
FORMAT_VERSION = 1
MAX_SIDE = 2**20
DEFAULT_MAX_PIXELS = 2**28
MAP_CELLS = 2**20  # maps up to this many cells are always read; larger ones up to max_pixels / 16
MODEL_ID_BYTES = 8
TAU_UNITS = 255  # a header stores default_tau in units of 1 / TAU_UNITS

_MAX_SECTIONS = 255
_FIXED_FIELDS = struct.Struct("<8sBHHBIBB")


class ColourMode(enum.IntEnum):
    """Colour channels of the decoded image."""

    RGB = 0
    GREY = 1


MAX_HEADER_BYTES = len(SIGNATURE) + 2 + 2 * MAX_VARINT_BYTES + _FIXED_FIELDS.size + CRC_BYTES


@dataclasses.dataclass(frozen=True)
class Header:
    """Coding parameters of one image. Raises BitstreamError for a field out of range.

    Attributes:
        width: Width of the image in pixels, 1..2**20.
        height: Height of the image in pixels, 1..2**20.
        model_id: 8 bytes that identify the weights.
        num_levels: Number of importance levels, 1..256.
        timestep_background: Timestep at importance 0, 0..1000.
        timestep_roi: Timestep at importance 1, 0..1000.
        cell_size: Side of an importance cell in pixels, a power of two, 1..32768.
        dither_seed: Seed of the dither, 0..2**32 - 1.
        default_steps: Default number of sampler steps, 0..255.
        default_tau: Default strength of the fusion module, 0..255 in units of 1/255.
        colour_mode: Colour channels of the decoded image.
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

    def __post_init__(self) -> None:
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
        """(rows, columns) of the importance grid, including partial cells at the edges."""
        return -(-self.height // self.cell_size), -(-self.width // self.cell_size)


def described(header: Header) -> dict[str, int | float | str]:
    """Returns a header's fields in a form for JSON and for people.

    model_id becomes hexadecimal and colour_mode a name. default_tau becomes a number in 0..1: the
    one with the fewest decimals that is stored as the same value. Other fields stay unchanged.
    """
    decimals = (round(header.default_tau / TAU_UNITS, count) for count in range(4))
    tau = next(tau for tau in decimals if round(TAU_UNITS * tau) == header.default_tau)
    return dataclasses.asdict(header) | {
        "model_id": header.model_id.hex(),
        "colour_mode": header.colour_mode.name.lower(),
        "default_tau": int(tau) if tau in (0, 1) else tau,
    }


class Section(NamedTuple):
    """One section of a file.

    `unpack` also sets `offset`, the position in the file, and `total_bytes`, the size of type,
    length, payload and CRC together.
    """

    type: int
    payload: bytes
    offset: int = 0
    total_bytes: int = 0


def pack(header: Header, sections: Iterable[Section | tuple[int, bytes]]) -> bytes:
    """Returns the bytes of a file.

    Args:
        header: Coding parameters.
        sections: Each a Section or (type, payload), written in this order.

    Raises:
        BitstreamError: the sections do not make a valid file.
    """
    parts = [Section(*section) for section in sections]
    if len(parts) > _MAX_SECTIONS:
        raise BitstreamError(f"{len(parts)} sections: at most {_MAX_SECTIONS} fit in a file")
    _check(header, parts)
    output = bytearray(SIGNATURE)
    output.append(FORMAT_VERSION)
    output.append(len(parts))
    output += varint(header.width) + varint(header.height)
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
    output += crc(output)
    for section in parts:
        framed = bytes([section.type]) + varint(len(section.payload)) + section.payload
        output += framed + crc(framed)
    return bytes(output)


def unpack(data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> tuple[Header, list[Section]]:
    """Returns the header and all sections of a whole file.

    Unknown optional sections are returned unchanged. The header takes the bytes
    data[:sections[0].offset], and the sections take all others.

    Args:
        data: The file.
        max_pixels: Files with more image pixels are refused.

    Raises:
        BitstreamError: `pack` cannot have written this file, or the image is too large. The
            message says what is wrong.
    """
    data = bytes(data)
    header, num_sections, position = read_header(data, max_pixels)
    sections = []
    for _ in range(num_sections):
        section = _read_section(data, position)
        sections.append(section)
        position += section.total_bytes
    check_end(position, len(data))
    _check(header, sections)
    return header, sections


def _check(header: Header, sections: list[Section]) -> None:
    """Raises BitstreamError unless these sections make a valid file."""
    check_sections([section.type for section in sections])
    lengths = [(section.type, len(section.payload)) for section in sections]
    check_lengths(header.height, header.width, lengths)


def read_header(data: bytes, max_pixels: int) -> tuple[Header, int, int]:
    """Reads the header from the first bytes of a file.

    Args:
        data: At least MAX_HEADER_BYTES bytes, or the whole file if it is shorter.
        max_pixels: Files with more image pixels are refused.

    Returns:
        (header, number of sections, position after the header).

    Raises:
        BitstreamError: the header is damaged or truncated, or the image is too large.
    """
    if data[: len(SIGNATURE)] != SIGNATURE:
        if SIGNATURE.startswith(data):
            raise truncated("header")
        raise BitstreamError("not an rdc file: it does not begin with the rdc signature")
    if len(data) < len(SIGNATURE) + 2:
        raise truncated("header")
    version, num_sections = data[4], data[5]
    if version > FORMAT_VERSION:
        raise BitstreamError(
            f"the file has format version {version}, this program reads up to {FORMAT_VERSION}:"
            " upgrade rdc_jax"
        )
    if version != FORMAT_VERSION:
        raise damaged("header", f"format version {version}")
    width, position = read_varint(data, 6, "header")
    height, position = read_varint(data, position, "header")
    end = position + _FIXED_FIELDS.size
    if len(data) < end + CRC_BYTES:
        raise truncated("header")
    if data[end : end + CRC_BYTES] != crc(data[:end]):
        raise damaged("header", "CRC-32 mismatch")
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
    _check_size(header, max_pixels)
    return header, num_sections, end + CRC_BYTES


def _check_size(header: Header, max_pixels: int) -> None:
    """Raises BitstreamError for an image or a map that is too large to decode safely."""
    if not isinstance(max_pixels, numbers.Real) or math.isnan(max_pixels):
        raise RdcError(f"max_pixels must be a number, not {max_pixels!r:.60}")
    limit = option("--max-pixels", "max_pixels")
    if header.width * header.height > max_pixels:
        raise BitstreamError(
            f"the image has {header.width} x {header.height} pixels, more than the limit of"
            f" {max_pixels}: raise {limit} if you trust the file"
        )
    cells = header.map_shape[0] * header.map_shape[1]
    if cells > (most := max(MAP_CELLS, max_pixels // 16)):
        raise BitstreamError(
            f"the importance map has {cells} cells, more than the limit of {most}: raise"
            f" {limit} if you trust the file"
        )


def _read_section(data: bytes, offset: int) -> Section:
    section_type, begin, end = read_frame(data[offset : offset + MAX_FRAME_BYTES], offset)
    where = section_place(section_type, offset)
    if len(data) < end + CRC_BYTES:
        raise truncated(where)
    if data[end : end + CRC_BYTES] != crc(data[offset:end]):
        raise damaged(where, "CRC-32 mismatch")
    return Section(section_type, data[begin:end], offset, end + CRC_BYTES - offset)
