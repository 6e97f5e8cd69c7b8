"""How numbers, checksums and complaints are written, the same in every part of the container."""

import zlib

from rdc_jax.errors import RdcError

CRC_BYTES = 4
MAX_VARINT_BYTES = 5


class BitstreamError(RdcError):
    """A file that cannot be read, or contents that cannot be written, as `.rdc`."""


def crc(data: bytes) -> bytes:
    """CRC-32 as zlib and PNG have it, four bytes, little-endian."""
    return zlib.crc32(data).to_bytes(CRC_BYTES, "little")


def varint(value: int) -> bytes:
    """LEB128: seven bits a byte, least significant first, bit 7 set on all bytes but the last."""
    output = bytearray()
    while value >= 128:
        output.append(value & 127 | 128)
        value >>= 7
    output.append(value)
    return bytes(output)


def read_varint(data: bytes, position: int, where: str) -> tuple[int, int]:
    """(value, position after it); at most five bytes, the last one not a superfluous zero."""
    value = 0
    for place in range(MAX_VARINT_BYTES):
        if position + place >= len(data):
            raise truncated(where)
        octet = data[position + place]
        value |= (octet & 127) << (7 * place)
        if octet < 128:
            if place and not octet:
                break
            return value, position + place + 1
    raise damaged(where, "malformed number")


def truncated(where: str) -> BitstreamError:
    return BitstreamError(f"{where} is truncated: the file is not complete, fetch it again")


def damaged(where: str, how: str) -> BitstreamError:
    return BitstreamError(f"{where} is damaged ({how}): fetch the file again")
