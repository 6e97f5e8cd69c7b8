"""The latent of one tile of a photo as an ArrayRecord record.

A photo is cut into square tiles of one size, and each tile is encoded separately. The tiles of a
photo are records one after the other. A training example needs part of one tile, so reading it
costs the same for photos of any size. The record has a magic of its own, followed by fields as in
`records`:

    "RDCL" 0x02                                  magic and version
    "S"   3 uint32   latent height, latent width, channels
    "L"   float16    [h, w, C]   the latent
    "O"   3 int32    top, left and side of the tile in pixels of the photo
    "T"   2 uint32   number of the tile within its photo, number of tiles of the photo
    "M"   uint8      [h, w]      segment numbers, if the photo has a segmentation
    "N"   UTF-8                  the photo's name, for messages

All numbers are little-endian. A side that differs from the common side of the tiles means that the
photo was smaller and was scaled up. Version 1 held all tiles of a photo in one record.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from rdc_jax.data.records import pack_fields, unpack_fields
from rdc_jax.errors import RdcError

LATENT_PIXELS = 8
"""Image pixels per latent pixel along a side."""

MAGIC = b"RDCL\x02"
AGAIN = "encode the photos again with `rdc data encode-latents`, into a new folder"


@dataclass(frozen=True)
class LatentRecord:
    """The latent of one tile.

    Attributes:
        latent: float16 [h, w, C].
        box: Top, left and side of the tile in pixels of the photo.
        place: Number of the tile within its photo, and number of tiles of the photo.
        mask: uint8 [h, w], segment number at the centre of each latent pixel, or None.
        name: Name of the photo.
    """

    latent: np.ndarray
    box: tuple[int, int, int]
    place: tuple[int, int]
    mask: np.ndarray | None = None
    name: str = ""


def pack(record: LatentRecord) -> bytes:
    """Returns a record in the format of the module docstring."""
    fields = {
        b"N": record.name.encode(errors="surrogateescape"),
        b"S": np.array(record.latent.shape, "<u4").tobytes(),
        b"O": np.array(record.box, "<i4").tobytes(),
        b"T": np.array(record.place, "<u4").tobytes(),
        b"L": record.latent.astype("<f2").tobytes(),
        b"M": None if record.mask is None else record.mask.tobytes(),
    }
    return pack_fields(MAGIC, fields)


def unpack(data: bytes) -> LatentRecord:
    """Inverse of `pack`. Raises RdcError if a field is missing or sizes do not match."""
    if data.startswith(b"RDCL\x01"):
        raise RdcError(f"record of an earlier version, with all tiles of a photo; {AGAIN}")
    fields = unpack_fields(MAGIC, data)
    try:
        shape = tuple(np.frombuffer(fields[b"S"], "<u4").tolist())
        if len(shape) != 3 or not prod(shape):
            raise ValueError(shape)
        latent = np.frombuffer(fields[b"L"], "<f2").reshape(shape)
        top, left, side = np.frombuffer(fields[b"O"], "<i4").tolist()
        number, count = np.frombuffer(fields[b"T"], "<u4").tolist()
        if number >= count:
            raise ValueError(number)
        mask = None
        if b"M" in fields:
            mask = np.frombuffer(fields[b"M"], np.uint8).reshape(shape[:2])
    except (KeyError, ValueError) as error:
        raise RdcError("damaged record: its latent does not add up") from error
    name = bytes(fields.get(b"N", b"")).decode(errors="replace")
    return LatentRecord(latent, (top, left, side), (number, count), mask, name)
