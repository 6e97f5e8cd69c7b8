"""docs/bitstream.md, Container."""

import zlib
from typing import NamedTuple


class Damaged(Exception):
    """The file breaks a rule of docs/bitstream.md."""


class Header(NamedTuple):
    width: int
    height: int
    model_id: bytes
    levels: int
    background: int
    region: int
    cell: int
    colour_mode: int
    seed: int
    steps: int
    tau: int


IMPORTANCE, HYPER_LATENT, LATENT, TILES = 1, 2, 3, 4
ALPHA, ICC, EXIF, XMP = 0x81, 0x82, 0x83, 0x84


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(5):
        if at + place >= len(data):
            raise Damaged("a number is cut off")
        octet = data[at + place]
        value |= (octet & 127) << (7 * place)
        if octet < 128:
            if place and not octet:
                raise Damaged("a number has a zero byte too many")
            return value, at + place + 1
    raise Damaged("a number is too long")


def check_crc(data: bytes, begin: int, end: int) -> int:
    """The place after the CRC-32 of data[begin:end]."""
    if len(data) < end + 4:
        raise Damaged("cut off")
    if int.from_bytes(data[end : end + 4], "little") != zlib.crc32(data[begin:end]):
        raise Damaged("CRC-32")
    return end + 4


def read_container(data: bytes) -> tuple[Header, dict[int, bytes]]:
    """Header and the payload of each section."""
    if data[:4] != b"\x9dRDC" or len(data) < 6 or data[4] != 1:
        raise Damaged("signature or version")
    width, at = varint(data, 6)
    height, at = varint(data, at)
    end = at + 8 + 1 + 2 + 2 + 1 + 4 + 1 + 1
    begin_sections = check_crc(data, 0, end)
    rest = data[at:end]

    def number(begin, size):
        return int.from_bytes(rest[begin : begin + size], "little")

    header = Header(
        width=width,
        height=height,
        model_id=rest[:8],
        levels=rest[8] + 1,
        background=number(9, 2),
        region=number(11, 2),
        cell=1 << (rest[13] & 15),
        colour_mode=rest[13] >> 4,
        seed=number(14, 4),
        steps=rest[18],
        tau=rest[19],
    )
    if not (1 <= width <= 2**20 and 1 <= height <= 2**20):
        raise Damaged("size")
    if max(header.background, header.region) > 1000 or header.colour_mode > 1:
        raise Damaged("header field")
    sections, at = {}, begin_sections
    for _ in range(data[5]):
        if at >= len(data):
            raise Damaged("a section is missing")
        kind = data[at]
        length, begin = varint(data, at + 1)
        after = check_crc(data, at, begin + length)
        if kind in sections or (kind < 0x80 and kind not in (1, 2, 3, 4)):
            raise Damaged(f"section {kind}")
        sections[kind] = data[begin : begin + length]
        at = after
    needed = sections.keys() & {IMPORTANCE, HYPER_LATENT, LATENT, TILES}
    if at != len(data) or needed not in ({IMPORTANCE, HYPER_LATENT, LATENT}, {IMPORTANCE, TILES}):
        raise Damaged("sections")
    s = height * (width + 1)
    most = {ALPHA: s + s // 64 + 2**16, ICC: 2**24, EXIF: 2**24, XMP: 2**24}
    if any(len(sections.get(kind, b"")) > length for kind, length in most.items()):
        raise Damaged("an optional section is too long")
    return header, sections
