"""The fusion module on disk: a folder inside, or outside of, the folder of its base codec.

    config.json              name, the base's model id, and the `fusion` section of the training
                             config, with the defaults that encoders write into files as hints
    transform.safetensors    float16 parameters of the transform
    manifest.json            SHA-256 of the files above
    training/                only needed for further training (not in the manifest, may be deleted)

A fusion module changes neither files nor base weights, so the base's model id does not depend on
it.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.numpy

from rdc_jax import paths
from rdc_jax.errors import RdcError, option
from rdc_jax.model_folder import files
from rdc_jax.model_folder.codec_model import Model

FORMAT = 1
FOLDER = "fusion"  # inside a model's folder: the fusion module that comes with the model
TRAINING_PARTS = ("auxiliary",)


@dataclasses.dataclass(frozen=True)
class Module:
    """What the folder of a fusion module holds.

    Attributes:
        path: The folder.
        config: The `fusion` section of the training config.
        base_id: Model id of the base codec.
        default_tau: Tau that encoders suggest.
        default_steps: Sampler steps that encoders suggest.
        params: {"transform": ...}, and the parts for further training if they were kept.
        identity: Id of the manifest in hexadecimal; names these weights in results.
    """

    path: Path
    config: dict[str, Any]
    base_id: bytes
    default_tau: float
    default_steps: int
    params: dict[str, Any]
    identity: str


def save(
    folder: str | Path,
    name: str,
    fusion: Mapping[str, Any],
    base_id: bytes,
    params: Mapping[str, Any],
) -> None:
    """Writes the folder of a fusion module, replacing its files.

    Args:
        folder: The folder, made if it is missing.
        name: Name of the module, for people.
        fusion: The `fusion` section of the training config.
        base_id: Model id of the base codec.
        params: {"transform": ...}, and parts for further training.
    """
    folder = paths.of(folder)
    config = {"name": name, "format": FORMAT, "base": base_id.hex(), "fusion": dict(fusion)}
    contents = {
        "config.json": files.as_json(config),
        "transform.safetensors": files.as_float16("transform", params["transform"]),
    }
    files.write(folder, contents)
    for part in TRAINING_PARTS:
        if part in params:
            kept = folder / "training" / f"{part}.safetensors"
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(files.as_float16(part, params[part]))


def load(folder: str | Path, base_id: bytes) -> Module:
    """Loads a fusion module for the base codec with this model id.

    Raises RdcError if a file is missing or damaged, or belongs to another base.
    """
    folder = paths.of(folder)
    if not (folder / files.MANIFEST).is_file():
        raise RdcError(f"no fusion module in {folder}; give a folder made by `rdc train`")
    contents, identity = files.read(folder, {"config.json", "transform.safetensors"})
    with files.damage(folder / "config.json"):
        config = json.loads(contents["config.json"])
        version, base, fusion = config["format"], config["base"], dict(config["fusion"])
        tau, steps = float(fusion["default_tau"]), int(fusion["default_steps"])
    if version != FORMAT:
        raise RdcError(f"{folder} has module format {version}; this version reads {FORMAT}")
    if base != base_id.hex():
        raise RdcError(
            f"the module in {folder} was made for model {base}, not for {base_id.hex()}; give "
            f"its base with {option('--model', 'model=')} or another module with "
            f"{option('--fusion', 'fusion=')}"
        )
    stored = {folder / "transform.safetensors": contents["transform.safetensors"]}
    for part in TRAINING_PARTS:
        path = folder / "training" / f"{part}.safetensors"
        if path.is_file():
            stored[path] = files.read_bytes(path)
    params = {}
    for path, data in stored.items():
        with files.damage(path):
            params[path.stem] = files.unflatten(safetensors.numpy.load(data))
    return Module(folder, fusion, base_id, tau, steps, params, identity.hex())


def choose(model: Model, fusion: str | Path | None) -> Module | None:
    """The fusion module to use with a model.

    fusion: Folder of the module; None for the one that comes with the model; "none" for none.

    Raises RdcError as `load` does, or if `fusion` is no folder's name or path.
    """
    if fusion is None:
        folder = model.path / FOLDER
        return load(folder, model.model_id) if folder.is_dir() else None
    name = files.name_or_path(fusion, "fusion")
    return None if name == "none" else load(name, model.model_id)
