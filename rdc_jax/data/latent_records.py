"""The latents of one photo as an ArrayRecord record.

A photo is cut into square tiles of one size, and each tile is encoded separately. The record has a
magic of its own, followed by fields as in `records`:

    "RDCL" 0x01                                  magic and version
    "S"   4 uint32   number of tiles, latent height, latent width, channels
    "L"   float16    [tiles, h, w, C]   the latents
    "O"   3 int32    [tiles, 3]         top, left and side of each tile in pixels of the photo
    "M"   uint8      [tiles, h, w]      segment numbers, if the photo has a segmentation
    "N"   UTF-8                         the photo's name, for messages

All numbers are little-endian. A side that differs from the common side of the tiles means that the
photo was smaller and was scaled up.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from rdc_jax.data.records import pack_fields, unpack_fields
from rdc_jax.errors import RdcError

LATENT_PIXELS = 8
"""Image pixels per latent pixel along a side."""

MAGIC = b"RDCL\x01"


@dataclass(frozen=True)
class LatentRecord:
    """The latents of all tiles of a photo.

    Attributes:
        latents: float16 [tiles, h, w, C].
        boxes: int32 [tiles, 3], top, left and side of each tile in pixels of the photo.
        masks: uint8 [tiles, h, w], segment number at the centre of each latent pixel, or None.
        name: name of the photo.
    """

    latents: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray | None = None
    name: str = ""


def pack(record: LatentRecord) -> bytes:
    """Returns a record in the format of the module docstring."""
    fields = {
        b"N": record.name.encode(errors="surrogateescape"),
        b"S": np.array(record.latents.shape, "<u4").tobytes(),
        b"O": record.boxes.astype("<i4").tobytes(),
        b"L": record.latents.astype("<f2").tobytes(),
        b"M": None if record.masks is None else record.masks.tobytes(),
    }
    return pack_fields(MAGIC, fields)


def unpack(data: bytes) -> LatentRecord:
    """Inverse of `pack`. Raises RdcError if a field is missing or sizes do not match."""
    fields = unpack_fields(MAGIC, data)
    try:
        shape = tuple(np.frombuffer(fields[b"S"], "<u4").tolist())
        if len(shape) != 4 or not prod(shape):
            raise ValueError(shape)
        latents = np.frombuffer(fields[b"L"], "<f2").reshape(shape)
        boxes = np.frombuffer(fields[b"O"], "<i4").reshape(shape[0], 3)
        masks = fields.get(b"M")
        if masks is not None:
            masks = np.frombuffer(masks, np.uint8).reshape(shape[:3])
    except (KeyError, ValueError) as error:
        raise RdcError("damaged record: its latents do not add up") from error
    return LatentRecord(latents, boxes, masks, fields.get(b"N", b"").decode(errors="replace"))
