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
from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.data.replacing_source import ReplacingSource
from rdc_jax.data.shards import read_manifest
from rdc_jax.errors import RdcError


class LatentSource(ReplacingSource):
    """The encoded photos of a folder. Each example holds the latents of all tiles of a photo.

    Damaged records are replaced (see ReplacingSource).

    Args:
        path: output folder of `rdc data encode-latents`.

    Raises:
        RdcError: the folder is missing, unfinished, or not such a folder.

    Attributes:
        tile: side of the tiles in pixels.
        latent_channels: number of channels C of the latents.
        autoencoder: identity of the autoencoder that made the latents (see
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
        self.tile: int = settings["tile"]
        self.latent_channels: int = settings["latent_channels"]
        self.autoencoder: str = settings["autoencoder"]
        self._records = open_shards([str(folder / name) for name in manifest["files"]])
        super().__init__(np.arange(len(self._records)), f"in {folder}")

    def _load(self, key: int) -> dict[str, np.ndarray]:
        """Returns {"latents": float16 [tiles, h, w, C]} and maybe "mask": uint8 [tiles, h, w]."""
        name = f"record {key} {self._where}"
        try:
            data = self._records[int(key)]
        except Exception as error:  # the reader raises exceptions without a common type
            raise RdcError(f"{name} is damaged: {error}") from error
        try:
            record = latent_records.unpack(data)
        except RdcError as error:
            raise RdcError(f"{name}: {error}") from error
        side = self.tile // LATENT_PIXELS
        if record.latents.shape[1:] != (side, side, self.latent_channels):
            raise RdcError(f"{name} has latents of a different size than the rest of its set")
        example = {"latents": record.latents}
        if record.masks is not None:
            example["mask"] = record.masks
        return example


def autoencoder_identity(params: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Returns a SHA-256 that identifies an autoencoder.

    Args:
        params: nested dict of the weights. They are hashed as float16, as model folders store them.
        settings: the section `model.autoencoder` of the config.
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
