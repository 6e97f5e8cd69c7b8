"""Latents from ArrayRecord shards, such as those of `rdc data encode-latents`."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax import paths
from rdc_jax.data import latent_records
from rdc_jax.data.array_record_source import open_shards
from rdc_jax.data.latent_records import AGAIN, LATENT_PIXELS, LatentRecord
from rdc_jax.data.record_source import RecordSource
from rdc_jax.data.shards import read_manifest
from rdc_jax.errors import RdcError

TILE = "tile"
"""The value of the setting "record" of a set: what one record holds."""


class LatentSource(RecordSource):
    """The tiles of the encoded photos of a folder.

    Damaged records are replaced (see ReplacingSource).

    Args:
        path: Output folder of `rdc data encode-latents`.

    Raises:
        RdcError: the folder is missing, unfinished, of an earlier version, or not such a folder.

    Attributes:
        tile: Side of the tiles in pixels.
        latent_channels: Number of channels C of the latents.
        autoencoder: Identity of the autoencoder that made the latents (see
            `autoencoder_identity`).
    """

    def __init__(self, path: str | Path):
        folder = paths.of(path).expanduser()
        with paths.errors(folder):
            found = folder.is_dir()
        if not found:
            raise RdcError(
                f"data.path: no folder '{folder}'; with data.kind=latents, name the output folder "
                "of `rdc data encode-latents`"
            )
        manifest = read_manifest(folder, "latents")
        settings = manifest["settings"]
        if settings.get("record") != TILE:
            raise RdcError(
                f"data.path: '{folder}' holds latents of an earlier version, one record per photo; "
                f"{AGAIN}"
            )
        self.tile: int = settings["tile"]
        self.latent_channels: int = settings["latent_channels"]
        self.autoencoder: str = settings["autoencoder"]
        shards = [str(folder / name) for name in manifest["files"]]
        super().__init__(open_shards(shards), f"in {folder}")

    def same_photo(self, index: int) -> range:
        """Returns the numbers of all tiles of the photo of tile `index`.

        Raises RdcError if the tile cannot be read.
        """
        number, count = self._unpacked(index).place
        return range(index - number, index - number + count)

    def _load(self, key: int) -> dict[str, np.ndarray]:
        """Returns {"latent": float16 [h, w, C]} and maybe "mask": uint8 [h, w]."""
        record = self._unpacked(key)
        side = self.tile // LATENT_PIXELS
        if record.latent.shape != (side, side, self.latent_channels):
            raise RdcError(
                f"{self._label(key)} has a latent of a different size than the rest of its set"
            )
        example = {"latent": record.latent}
        if record.mask is not None:
            example["mask"] = record.mask
        return example

    def _unpacked(self, key: int) -> LatentRecord:
        data = self._record(key)
        try:
            return latent_records.unpack(data)
        except RdcError as error:
            raise RdcError(f"{self._label(key)}: {error}") from error


def autoencoder_identity(params: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Returns a SHA-256 that identifies an autoencoder.

    Args:
        params: Nested dict of the weights. They are hashed as float16, as model folders store them.
        settings: The section `model.autoencoder` of the config.
    """
    digest = hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode())
    for name, value in sorted(_leaves(params)):
        half = np.asarray(value).astype("<f2")
        digest.update(f"\n{name} {half.shape}\n".encode() + half.tobytes())
    return digest.hexdigest()


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value
