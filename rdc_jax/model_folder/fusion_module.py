"""The plug-and-play module on disk: a folder beside, or away from, the base codec it was made for.

    config.json              name, the base's model id, the `fusion` section of the training
                             config, and the defaults that encoders write into files as hints
    transform.safetensors    float16 parameters of the latent transform
    manifest.json            sha256 of the files above
    training/                what only further training needs (not in the manifest, may be deleted)

A module never changes files or base weights, so the base's model id does not depend on it.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.numpy

from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model

FORMAT = 1
FOLDER = "fusion"  # inside a model's folder: the module that comes with it
TRAINING_PARTS = ("auxiliary",)


@dataclasses.dataclass(frozen=True)
class Module:
    """What a folder holds. params: {"transform": ...}, and training parts where they were kept."""

    path: Path
    config: dict[str, Any]  # the `fusion` section
    base_id: bytes
    default_tau: float
    default_steps: int
    params: dict[str, Any]
    identity: str  # hex id of the manifest, names these weights in results


def save(
    folder: str | Path,
    name: str,
    fusion: Mapping[str, Any],
    base_id: bytes,
    params: Mapping[str, Any],
) -> None:
    """Writes a module's folder, replacing its files. fusion: the config section of that name."""
    folder = Path(folder)
    config = {"name": name, "format": FORMAT, "base": base_id.hex(), "fusion": dict(fusion)}
    files = {
        "config.json": codec_model.as_json(config),
        "transform.safetensors": codec_model.as_float16("transform", params["transform"]),
    }
    codec_model.write(folder, files)
    for part in TRAINING_PARTS:
        if part in params:
            kept = folder / "training" / f"{part}.safetensors"
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(codec_model.as_float16(part, params[part]))


def load(folder: str | Path, base_id: bytes) -> Module:
    """The module in a folder, for the base codec of that model id.

    Raises RdcError when files are missing or damaged, or belong to another base.
    """
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise RdcError(f"no fusion module in {folder}; give a folder made by `rdc train`")
    contents, identity = codec_model.read(folder, {"config.json", "transform.safetensors"})
    with codec_model.damage(folder / "config.json"):
        config = json.loads(contents["config.json"])
        version, base, fusion = config["format"], config["base"], dict(config["fusion"])
        tau, steps = float(fusion["default_tau"]), int(fusion["default_steps"])
    if version != FORMAT:
        raise RdcError(f"{folder} has module format {version}; this version reads {FORMAT}")
    if base != base_id.hex():
        raise RdcError(
            f"the module in {folder} was made for model {base}, not for {base_id.hex()}; give "
            "its base with --model or another module with --fusion"
        )
    files = {folder / "transform.safetensors": contents["transform.safetensors"]}
    for part in TRAINING_PARTS:
        path = folder / "training" / f"{part}.safetensors"
        if path.is_file():
            files[path] = path.read_bytes()
    params = {}
    for path, data in files.items():
        with codec_model.damage(path):
            params[path.stem] = codec_model.unflatten(safetensors.numpy.load(data))
    return Module(folder, fusion, base_id, tau, steps, params, identity.hex())


def choose(model: codec_model.Model, fusion: str | Path | None) -> Module | None:
    """The module in a folder; of None the one that comes with the model; of "none", none."""
    if fusion is None:
        folder = model.path / FOLDER
        return load(folder, model.model_id) if folder.is_dir() else None
    return None if str(fusion) == "none" else load(fusion, model.model_id)
