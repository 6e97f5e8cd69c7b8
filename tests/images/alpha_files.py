"""Alpha planes as PNG files of all kinds, with what a reader must make of each."""

import struct
import zlib
from typing import NamedTuple

import numpy as np

from rdc_jax.images import alpha_png

HEIGHT, WIDTH = 9, 7
SIGNATURE = b"\x89PNG\r\n\x1a\n"
PLANE = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
DAMAGED = "the alpha plane is damaged: "
NOT_GREY = "the alpha plane is not an 8-bit grey PNG; the file is damaged"
NOT_PNG = "the alpha plane is not a PNG file; the file is damaged"
EARLY, UNPACKABLE, CRC = "it ends early", "it does not decompress", "CRC-32 mismatch"
CRITICAL, LONGER = "it has an unknown critical chunk", "it is longer than the image"


class Case(NamedTuple):
    """A file; `refused` is the message, None where PLANE must come out."""

    name: str
    data: bytes
    refused: str | None = None


def chunk(name: bytes, content: bytes = b"", crc: int = 0) -> bytes:
    """A chunk; crc: what is wrong with its checksum."""
    checksum = zlib.crc32(name + content) ^ crc
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def header(*kind: int, size: tuple[int, int] = (WIDTH, HEIGHT), crc: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", *size, *(kind or (8, 0, 0, 0, 0))), crc)


def filtered(kind: int) -> bytes:
    return alpha_png._filtered(PLANE, kind)


ROWS = filtered(1)
PACKED = zlib.compress(ROWS)
IHDR, IDAT, IEND = header(), chunk(b"IDAT", PACKED), chunk(b"IEND")


def png(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks)


def packed(data: bytes) -> bytes:
    """The usual file with other contents of the IDAT chunk."""
    return png(IHDR, chunk(b"IDAT", data), IEND)


def _kinds() -> list[Case]:
    """Bit depths, colour types, interlace, size."""
    kinds = [(1, 0, 0, 0, 0), (2, 0, 0, 0, 0), (4, 0, 0, 0, 0), (16, 0, 0, 0, 0), (0, 0, 0, 0, 0)]
    kinds += [(8, colour, 0, 0, 0) for colour in (1, 2, 3, 4, 6)]
    kinds += [(8, 0, 1, 0, 0), (8, 0, 0, 1, 0), (8, 0, 0, 0, 1)]
    cases = [Case(f"kind {kind}", png(header(*kind), IDAT, IEND), NOT_GREY) for kind in kinds]
    wrong = "the alpha plane has 9 x 7 pixels, the image 7 x 9; the file is damaged"
    return [*cases, Case("size", png(header(size=(HEIGHT, WIDTH)), IDAT, IEND), wrong)]


def _chunks() -> list[Case]:
    """Ancillary and critical chunks, checksums, order."""
    text, odd = chunk(b"tEXt", b"a\0b"), chunk(b"eXIf", b"II*\0")
    cases = [
        Case(f"ancillary {c[4:8]}", png(IHDR, c, IDAT, IEND))
        for c in (text, odd, chunk(b"tRNS"), chunk(b"gAMA", b"1"), chunk(b"cHRM"), chunk(b"pHYs"),
                  chunk(b"iCCP", b"x\0\1"), chunk(b"zTXt", b"a\0\1"), chunk(b"acTL", bytes(3)),
                  chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"fcTL"), chunk(b"fdAT", b"abcd"),
                  chunk(b"prVt", b"?"), chunk(b"sRGB"))
    ]  # fmt: skip
    ends = [chunk(b"IEND"), text, chunk(b"PLTE", bytes(3)), header(), b"rubbish", b"\0" * 30, b""]
    ends += [text[:-2], chunk(b"tEXt", b"a", crc=1), chunk(b"IHDR"), chunk(b"fcTL", bytes(26))]
    cases += [Case(f"behind the image {i}", png(IHDR, IDAT, end)) for i, end in enumerate(ends)]
    cases += [
        Case(f"critical {name}", png(IHDR, chunk(name, bytes(3)), IDAT, IEND), DAMAGED + CRITICAL)
        for name in (b"PLTE", b"ABCD", b"DDAT", b"I\0\0\0", b"\x80abc")
    ]
    return [
        *cases,
        Case("CRC of IHDR", png(header(crc=1), IDAT, IEND), DAMAGED + CRC),
        Case("CRC of IDAT", png(IHDR, chunk(b"IDAT", PACKED, 1), IEND), DAMAGED + CRC),
        Case("CRC of tEXt", png(IHDR, chunk(b"tEXt", b"a", 1), IDAT, IEND), DAMAGED + CRC),
        Case("two headers", png(IHDR, IHDR, IDAT, IEND), DAMAGED + "it has two headers"),
        Case("no image data", png(IHDR, IEND), DAMAGED + UNPACKABLE),
        Case("image data behind the end", png(IHDR, IEND, IDAT), DAMAGED + UNPACKABLE),
        Case("text before the header", png(text, IHDR, IDAT), NOT_PNG),
        Case("nothing", b"", NOT_PNG),
        Case("a header that ends early", png(IHDR)[:28], NOT_PNG),
        Case("a header without its CRC", png(IHDR)[:30], DAMAGED + EARLY),
        Case("another signature", b"\x89PMG" + png(IHDR, IDAT, IEND)[4:], NOT_PNG),
    ]


def _image_data() -> list[Case]:
    """Filters, several IDAT chunks, zlib streams that are damaged, too short or too long."""
    cases = [Case(f"filter {k}", packed(zlib.compress(filtered(k)))) for k in range(5)]
    for kind in (5, 255):
        rows = bytearray(ROWS)
        rows[3 * (WIDTH + 1)] = kind
        cases.append(Case(f"bad {kind}", packed(zlib.compress(rows)), DAMAGED + f"filter {kind}"))
    parts = [chunk(b"IDAT", PACKED[at : at + 20]) for at in range(0, len(PACKED), 20)]
    cases.append(Case("several", png(IHDR, chunk(b"IDAT"), *parts, chunk(b"IDAT"), IEND)))
    apart = png(IHDR, parts[0], chunk(b"tEXt", b"a"), *parts[1:], IEND)
    cases.append(Case("several apart", apart, DAMAGED + UNPACKABLE))
    whole = png(IHDR, IDAT)
    for at in (34, 40, 45, len(whole) - 5, len(whole) - 1):
        # Less than an empty chunk takes is no chunk.
        reason = UNPACKABLE if at < 45 else EARLY
        cases.append(Case(f"truncated at {at}", whole[:at], DAMAGED + reason))
    stored = zlib.compress(ROWS, 0)
    wrong = {
        "cut": PACKED[:-9], "without checksum": PACKED[:-4], "half a checksum": PACKED[:-2],
        "checksum": PACKED[:-1] + bytes([PACKED[-1] ^ 1]), "one more byte": PACKED + b"\0",
        "two streams": PACKED + PACKED[:-1], "not zlib": b"?" * 40, "no bytes": b"",
        "raw deflate": PACKED[2:-4], "stored, cut": stored[:-20], "block type": b"\x78\x9c\x07",
        "dictionary": b"\x78\xbb" + PACKED[2:], "gzip": zlib.compress(ROWS, wbits=31),
    }  # fmt: skip
    cases += [Case(name, packed(data), DAMAGED + UNPACKABLE) for name, data in wrong.items()]
    cases += [Case("stored", packed(stored)), Case("9", packed(zlib.compress(ROWS, 9)))]
    for rows, reason in ((ROWS[:-1], EARLY), (b"", EARLY), (ROWS + b"\0", LONGER)):
        cases.append(Case(f"{len(rows)} bytes", packed(zlib.compress(rows)), DAMAGED + reason))
    bomb = packed(zlib.compress(bytes(2**22), 9))
    return [*cases, Case("a bomb", bomb, DAMAGED + LONGER)]


CASES = [*_kinds(), *_chunks(), *_image_data()]
