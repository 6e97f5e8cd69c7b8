"""A model folder's integers, read by hand: flat lists of Python ints with their shapes."""

import hashlib
import json
import math
import struct
from pathlib import Path
from typing import NamedTuple

FORMATS = {"I16": "h", "U16": "H", "I32": "i", "I64": "q"}


class Array(NamedTuple):
    shape: tuple[int, ...]
    values: list[int]  # in C order


def read_safetensors(data: bytes) -> dict[str, Array]:
    """8 bytes: length of the JSON header; the header; the arrays' little-endian bytes."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    body, arrays = data[8 + length :], {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        code = FORMATS[entry["dtype"]]
        shape = tuple(entry["shape"])
        values = list(struct.unpack(f"<{math.prod(shape)}{code}", body[begin:end]))
        arrays[name] = Array(shape, values)
    return arrays


class Model(NamedTuple):
    id: bytes
    pixels: int  # of the picture per latent pixel, along a side
    levels: int  # of importance, at most
    arrays: dict[str, Array]


def read_model(folder: Path) -> Model:
    manifest = (folder / "manifest.json").read_bytes()
    config = json.loads((folder / "config.json").read_bytes())["model"]
    f = 16 if config["autoencoder"]["kind"] == "gdn" else 8
    arrays = read_safetensors((folder / "entropy.safetensors").read_bytes())
    return Model(hashlib.sha256(manifest).digest()[:8], f, config["num_levels"], arrays)
