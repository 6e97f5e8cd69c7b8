"""One training image in encoded form: the bytes of an ArrayRecord record, and its pixels.

A record is

    "RDCI" 0x01                                    magic and version, 5 bytes
    then fields up to the end, each with
        tag       1 byte
        length    4 bytes, little-endian
        content   `length` bytes

The tags are

    "I"   the original image file, JPEG, PNG or WebP; exactly one
    "M"   its segmentation, a PNG file of the same size whose values are segment numbers
    "N"   its name in UTF-8, for messages

Readers skip unknown tags. A record that does not begin with the magic is itself an image file, so
shards of plain JPEG files work too.
"""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.images import EncodedImage

MIN_SIDE = 64
"""Smallest shorter side of an image, in pixels. Smaller images are not used."""

MAGIC = b"RDCI\x01"
_FIELD = struct.Struct("<cI")


@dataclass(frozen=True)
class Record:
    """An encoded image, with its encoded segmentation (or None) and its name (or "")."""

    image: bytes
    mask: bytes | None = None
    name: str = ""


def pack(record: Record) -> bytes:
    """Returns a record in the format of the module docstring."""
    name = record.name.encode(errors="surrogateescape")
    return pack_fields(MAGIC, {b"N": name, b"I": record.image, b"M": record.mask})


def unpack(data: bytes) -> Record:
    """Inverse of `pack`. Raises RdcError for a damaged record."""
    if not data.startswith(MAGIC[:4]):
        return Record(data)
    fields = unpack_fields(MAGIC, data)
    if b"I" not in fields:
        raise RdcError("damaged record: it has no image")
    mask = bytes(fields[b"M"]) if b"M" in fields else None
    return Record(bytes(fields[b"I"]), mask, bytes(fields.get(b"N", b"")).decode(errors="replace"))


def pack_fields(magic: bytes, fields: Mapping[bytes, bytes | None]) -> bytes:
    """Returns the magic, which includes the version, followed by all fields with content."""
    parts = [magic]
    for tag, content in fields.items():
        if content:
            parts += [_FIELD.pack(tag, len(content)), content]
    return b"".join(parts)


def unpack_fields(magic: bytes, data: bytes) -> dict[bytes, memoryview]:
    """Inverse of `pack_fields`, without copies. Raises RdcError for a damaged record."""
    if not data.startswith(magic[:4]):
        raise RdcError("not a record of this kind")
    if not data.startswith(magic):
        raise RdcError("record of a newer version; update rdc_jax")
    fields: dict[bytes, memoryview] = {}
    view, position = memoryview(data), len(magic)
    while position < len(data):
        if position + _FIELD.size > len(data):
            raise RdcError("damaged record: cut off")
        tag, length = _FIELD.unpack_from(data, position)
        position += _FIELD.size
        if tag in fields or position + length > len(data):
            raise RdcError("damaged record: its fields do not add up")
        fields[tag] = view[position : position + length]
        position += length
    return fields


def opened(record: Record, name: str) -> dict[str, Any]:
    """Opens the image of a record, without decoding its pixels yet.

    Args:
        record: The encoded image.
        name: Name for messages, if the record has none.

    Returns:
        {"image": EncodedImage}, and with a segmentation "mask" from `read_labels`.

    Raises:
        RdcError: the image cannot be opened, or is smaller than MIN_SIDE.
    """
    name = record.name or name
    image = EncodedImage(record.image, name)
    check_size(image, name)
    if record.mask is None:
        return {"image": image}
    return {"image": image, "mask": read_labels(record.mask, image.shape[:2], name)}


def decoded(example: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns an example with its pixels as an array. Raises RdcError if the image is damaged."""
    image = example.get("image")
    if not isinstance(image, EncodedImage):
        return dict(example)
    return {**example, "image": image.pixels()}


def decode(record: Record, name: str) -> dict[str, np.ndarray]:
    """Decodes the pixels of a record, as `opened` and `decoded` do.

    Args:
        record: The encoded image.
        name: Name for messages, if the record has none.

    Returns:
        {"image": uint8 [height, width, 3]}, and with a segmentation "mask" from `read_labels`.

    Raises:
        RdcError: the image cannot be decoded, or is smaller than MIN_SIDE.
    """
    return decoded(opened(record, name))


def check_size(image: np.ndarray | EncodedImage, name: object) -> None:
    """Raises RdcError for an image, of shape [height, width, ...], with a side below MIN_SIDE."""
    if min(image.shape[:2]) < MIN_SIDE:
        raise RdcError(f"'{name}' is smaller than {MIN_SIDE} pixels")


def read_labels(data: bytes, shape: tuple[int, int], name: str) -> np.ndarray:
    """Decodes a segmentation to segment numbers.

    Grey values and palette indices are segment numbers. Distinct colours (panoptic maps) and
    distinct values beyond 8 bits are numbered in order, modulo 256.

    Args:
        data: The segmentation, an image file.
        shape: (height, width) of the segmented image.
        name: Name of the segmented image, for messages.

    Returns:
        uint8 [height, width].

    Raises:
        RdcError: the segmentation cannot be decoded, or has another size than the image.
    """
    try:
        with Image.open(io.BytesIO(data)) as labels:
            if (labels.height, labels.width) != tuple(shape):
                raise RdcError(f"'{name}' and its mask differ in size")
            values = np.asarray(labels)
    except RdcError:
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise RdcError(f"'{name}' has a damaged mask") from error
    if values.ndim == 3:
        colour = values[..., :3].astype(np.int64)
        values = colour @ (256 ** np.arange(colour.shape[2]))
    if values.dtype not in (np.uint8, np.bool_):
        values = np.unique(values, return_inverse=True)[1].reshape(shape) % 256
    return values.astype(np.uint8)
