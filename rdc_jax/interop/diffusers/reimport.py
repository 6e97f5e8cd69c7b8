"""Reimport of a folder from `rdc export --to diffusers`, which restores the model bit for bit.

The folder has everything: the config, the networks, and in entropy/ all other parts. Hashes are
checked, so a folder that was changed by mistake is refused. To import networks that were changed on
purpose, delete manifest.json.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from rdc_jax.errors import RdcError
from rdc_jax.interop import safetensors_folder
from rdc_jax.interop.diffusers import importing
from rdc_jax.interop.diffusers.export import ENTROPY
from rdc_jax.interop.diffusers.names import check_names
from rdc_jax.interop.diffusers.parts import OWN_WEIGHTS, Part, parts
from rdc_jax.interop.export_folder import MANIFEST
from rdc_jax.model_folder.files import damage, parameter_shapes, unflatten


def is_export(folder: Path) -> bool:
    """Returns True if `rdc export` wrote this folder."""
    return (folder / ENTROPY / "config.json").is_file()


def load(folder: Path) -> tuple[str, importing.Imported]:
    """Returns the model's name and its content.

    Raises:
        RdcError: a file is missing, changed, damaged, or does not fit the config.
    """
    check_manifest(folder)
    file = folder / ENTROPY / "config.json"
    with damage(file):
        stored = json.loads(file.read_bytes())
        name, model = str(stored["name"]), dict(stored["model"])
    networks, shapes = importing.described(model)
    params: dict[str, Any] = {}
    for part in parts(model, networks):
        path = folder / part.folder
        if part.obstacle:
            params[part.name] = own_parameters(path, part)
        elif part.name == "unet":
            params["unet"] = importing.read_unet(path, networks, shapes["unet"])
        else:
            own = shapes["autoencoder"]
            params["autoencoder"] = importing.read_autoencoder(path, networks, own)
    entropy: dict[str, np.ndarray] = {}
    for file in sorted((folder / ENTROPY).glob("*.safetensors")):
        with damage(file):
            arrays = safetensors.numpy.load(file.read_bytes())
        if file.stem == "entropy":
            entropy = arrays
        else:
            params[file.stem] = unflatten(arrays)
    if not entropy:
        raise RdcError(f"{folder / ENTROPY} has no entropy.safetensors; export the model again")
    check_names(params, shapes, f"{folder} as a model")
    for part, wanted in shapes.items():
        given = parameter_shapes(params[part])
        check_names(given, wanted, f"the {part} in {folder}")
        for key, shape in wanted.items():
            if given[key] != shape:
                raise RdcError(f"{folder}: {part}/{key} has shape {given[key]}, not {shape}")
    return name, importing.Imported(model, params, entropy, [])


def own_parameters(path: Path, part: Part) -> dict[str, Any]:
    """Reads a network in our own format."""
    said = importing.read_json(path / "config.json")
    if said != json.loads(json.dumps(part.config)):
        raise RdcError(f"{path / 'config.json'} does not fit {ENTROPY}/config.json")
    entries = safetensors_folder.file_entries(path / OWN_WEIGHTS)
    return unflatten({key: entry.read() for key, entry in entries.items()})


def check_manifest(folder: Path) -> None:
    """Raises RdcError for a missing or changed file. Without a manifest, nothing is checked."""
    file = folder / MANIFEST
    if not file.is_file():
        return
    with damage(file):
        listed = dict(json.loads(file.read_bytes())["sha256"])
    for name, said in listed.items():
        path = folder / name
        if ".." in Path(name).parts or not path.is_file():
            raise RdcError(f"{folder} lacks {name}, which its manifest lists; export it again")
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != said:
                raise RdcError(
                    f"{path} is not what was exported; if it was changed on purpose, delete "
                    f"{file} and import again"
                )
