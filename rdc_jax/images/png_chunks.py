"""The chunks of a PNG file: what the pixels need for Pillow, and what describes them for us.

Pillow refuses a whole file for a wrong checksum in a comment, and text or profiles above 1 MiB,
which it writes itself. It does not read cICP and does not scale key colours. So this module hands
Pillow the chunks that pixels need, and reads the others.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rdc_jax.errors import RdcError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP = "XML:com.adobe.xmp"
RAW_PROFILES = tuple(f"Raw profile type {kind}" for kind in ("exif", "APP1", "icc", "icm", "xmp"))
LARGEST = 64 * 2**20  # bytes of a profile or text after decompression
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_COLOURS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"iCCP")
_GREY, _RGB = 0, 2  # colour types that may have a key colour


@dataclass(frozen=True)
class Cleaned:
    """A PNG file in two parts.

    Attributes:
        data: PNG file of the pixels alone.
        info: What else was found, by Pillow's names: "icc_profile", "exif", "gamma",
            "chromaticity", "srgb", "transparency", texts by their keyword; and "cicp", 4 numbers.
        notes: What had to be ignored.
    """

    data: bytes
    info: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class _Unusable(Exception):
    """A chunk that does not say anything usable; the message says why."""


def cleaned(data: bytes, name: str) -> Cleaned:
    """Separates the pixels of a PNG file from everything else.

    Args:
        data: The file.
        name: Its name, for error messages.

    Raises:
        RdcError: a chunk that pixels need is damaged or cut off.
    """
    pixels, notes = [SIGNATURE], []
    info: dict[str, Any] = {}
    header = (8, _RGB)
    for kind, content, whole, intact in _chunks(data, name):
        if kind[:1].isupper() or kind in _PIXELS:
            if not intact:
                raise RdcError(f"{name} is a damaged image: wrong checksum in {kind.decode()}")
            if kind in _PIXELS:
                pixels.append(whole)
            if kind == b"IHDR" and len(content) >= 10:
                header = content[8], content[9]
            if kind == b"tRNS":
                info |= _key_colour(content, *header)
            continue
        try:
            if kind in (*_TEXTS, *_COLOURS, b"eXIf") and not intact:
                raise _Unusable("its checksum is wrong")
            info |= _described(kind, content)
        except (_Unusable, struct.error, zlib.error, ValueError) as error:
            reason = str(error) if isinstance(error, _Unusable) else "it is damaged"
            notes.append(f"has a {kind.decode()} chunk that is ignored: {reason}")
    return Cleaned(b"".join(pixels), info, notes)


def _chunks(data: bytes, name: str) -> Iterator[tuple[bytes, bytes, bytes, bool]]:
    """Yields type, content, whole chunk, and whether the checksum is right, up to IEND."""
    place, view = len(SIGNATURE), memoryview(data)
    while place < len(data):
        if place + 12 > len(data):
            raise RdcError(f"{name} is a damaged image: it ends early")
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if not kind.isalpha():
            raise RdcError(f"{name} is a damaged image: a chunk has no valid type")
        if end > len(data):
            raise RdcError(f"{name} is a damaged image: it ends early, in {kind.decode()}")
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        intact = zlib.crc32(view[place + 4 : end - 4]) == checksum
        yield kind, data[place + 8 : end - 4], data[place:end], intact
        if kind == b"IEND":
            return
        place = end


def _key_colour(content: bytes, depth: int, colour: int) -> dict[str, Any]:
    """Returns the key colour in the samples that Pillow makes; only the low bits count."""
    most = 2**depth - 1
    if colour == _GREY and len(content) == 2:
        key = struct.unpack(">H", content)[0] & most
        return {"transparency": key if depth == 16 else key * 255 // most}
    if colour == _RGB and len(content) == 6:
        return {"transparency": tuple(key & most for key in struct.unpack(">3H", content))}
    return {}  # of a palette, which Pillow reads


def _described(kind: bytes, content: bytes) -> dict[str, Any]:
    """Returns what an ancillary chunk says; nothing for chunks without use."""
    if kind == b"iCCP":
        packed = content.partition(b"\0")[2]
        return {"icc_profile": _inflated(packed[1:])}
    if kind == b"cICP":
        primaries, transfer, matrix, full = struct.unpack(">4B", content)
        if matrix or full != 1:
            raise _Unusable("it is not of full-range RGB")
        return {"cicp": (primaries, transfer)}
    if kind == b"sRGB":
        return {"srgb": content[0]} if content else {}
    if kind == b"gAMA":
        return {"gamma": struct.unpack(">I", content)[0] / 100_000}
    if kind == b"cHRM":
        return {"chromaticity": tuple(value / 100_000 for value in struct.unpack(">8I", content))}
    if kind == b"eXIf":
        return {"exif": content}
    return _text(kind, content) if kind in _TEXTS else {}


def _text(kind: bytes, content: bytes) -> dict[str, Any]:
    """Returns XMP and the profiles that older programs write as text."""
    name, _, value = content.partition(b"\0")
    keyword = name.decode("latin-1")
    if keyword != XMP and keyword not in RAW_PROFILES:
        return {}
    if kind == b"zTXt":
        value = _inflated(value[1:])
    elif kind == b"iTXt":
        packed, rest = value[:1] == b"\1", value[2:]
        value = rest.split(b"\0", 2)[2] if rest.count(b"\0") >= 2 else b""
        value = _inflated(value) if packed else value
    return {keyword: value if keyword == XMP else value.decode("latin-1")}


def _inflated(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    content = inflater.decompress(packed, LARGEST)
    if inflater.unconsumed_tail:
        raise _Unusable(f"it has more than {LARGEST // 2**20} MiB")
    if not inflater.eof:
        raise _Unusable("it is damaged")
    return content
