"""Numbers, checksums and error messages that all parts of the container share."""

import zlib

from rdc_jax.errors import RdcError

CRC_BYTES = 4
MAX_VARINT_BYTES = 5


class BitstreamError(RdcError):
    """An `.rdc` file cannot be read, or its contents cannot be written."""


def crc(data: bytes | bytearray) -> bytes:
    """Returns the CRC-32 of zlib and PNG, four bytes, little-endian."""
    return zlib.crc32(data).to_bytes(CRC_BYTES, "little")


def varint(value: int) -> bytes:
    """Returns a number as LEB128.

    Each byte has seven bits, the least significant first. Bit 7 is set on all bytes but the last.
    """
    output = bytearray()
    while value >= 128:
        output.append(value & 127 | 128)
        value >>= 7
    output.append(value)
    return bytes(output)


def read_varint(data: bytes, position: int, where: str) -> tuple[int, int]:
    """Reads a number written by `varint`, of at most five bytes.

    Args:
        data: bytes that contain the number.
        position: Position of the number in `data`.
        where: What contains the number, for the error message.

    Returns:
        (value, position after it).

    Raises:
        BitstreamError: the number is truncated, too long, or has a superfluous zero byte.
    """
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
    """Returns the error for a part of a file that is incomplete; `where` names the part."""
    return BitstreamError(f"{where} is truncated: the file is not complete, fetch it again")


def damaged(where: str, how: str) -> BitstreamError:
    """Returns the error for a damaged part of a file; `where` names the part."""
    return BitstreamError(f"{where} is damaged ({how}): fetch the file again")
