"""A trained model on disk: config, weights, integer tables, and a manifest with their hashes.

    config.json              the `model` section of the training config
    autoencoder.safetensors  float16 parameters, one file per sub-model
    unet.safetensors
    hyperprior.safetensors   float weights, for further training only
    entropy.safetensors      integer network, tables and schedule: everything that decides a symbol
    manifest.json            SHA-256 of each file above
    bounds.json              the largest sums of the integer network, a proof made at export; not a
                             part of the id, because it follows from the weights

The model id in every `.rdc` file is the first 8 bytes of the manifest's SHA-256. NumPy only, so
decoders without JAX can load models.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from rdc_jax import paths
from rdc_jax.entropy.entropy_model import accumulator_record, schedule_arrays
from rdc_jax.entropy.integer_network import quantize_hyperprior
from rdc_jax.entropy.mean_scale_network import quantize_mean_scale
from rdc_jax.entropy.tables import build_table_bank
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import files

SHIPPED = Path(__file__).parents[1] / "weights"
DEFAULT_MODEL = "tiny"
FORMAT = 2
BOUNDS = "bounds.json"


@dataclasses.dataclass(frozen=True)
class Model:
    """What a model folder holds.

    Attributes:
        name: Name of the model, for people.
        path: The folder.
        config: The `model` section of the training config.
        params: Nested dict of float32 arrays, {"autoencoder", "unet", "hyperprior"}.
        entropy: Flat dict of integer arrays, see `entropy_arrays`.
        model_id: 8 bytes that name the weights.
    """

    name: str
    path: Path
    config: dict[str, Any]
    params: dict[str, Any]
    entropy: dict[str, np.ndarray]
    model_id: bytes

    @property
    def downsampling(self) -> int:
        """Image pixels per latent pixel along a side."""
        return downsampling_of(self.config)

    @property
    def num_levels(self) -> int:
        """Importance levels that the model knows."""
        return int(self.config["num_levels"])


def downsampling_of(config: Mapping[str, Any]) -> int:
    """Image pixels per latent pixel along a side, from the `model` section of a config."""
    autoencoder = config["autoencoder"]
    if autoencoder["kind"] == "kl":
        return 2 ** (len(autoencoder.get("block_out_channels", range(4))) - 1)
    return {"transform": 8, "gdn": 16}[autoencoder["kind"]]


def entropy_arrays(
    hyperprior: Mapping[str, Any],
    step_table: np.ndarray,
    latent_unit: float,
    dither: bool = True,
    silent_scales: int = 0,
    mean_scale: Mapping[str, float] | None = None,
) -> dict[str, np.ndarray]:
    """All integer arrays of the entropy path: {"tables/...", "network/...", "schedule/..."}.

    Args:
        hyperprior: Parameters of the hyperprior.
        step_table: Quantisation steps, as in `Networks.entropy_settings`.
        latent_unit: Unit of the latent's integers.
        dither: Whether symbols are dithered.
        silent_scales: Number of smallest scales whose elements are skipped.
        mean_scale: Arguments of `quantize_mean_scale`; None for the network with context.
    """
    if mean_scale is None:
        network = quantize_hyperprior(hyperprior)
    else:
        network = quantize_mean_scale(hyperprior, latent_unit, **mean_scale)
    groups = {
        "tables": build_table_bank().to_arrays(),
        "network": network,
        "schedule": schedule_arrays(step_table, latent_unit, dither, silent_scales),
    }
    return {f"{group}/{k}": v for group, arrays in groups.items() for k, v in arrays.items()}


def save(
    folder: str | Path,
    name: str,
    config: Mapping[str, Any],
    params: Mapping[str, Any],
    entropy: Mapping[str, np.ndarray],
    exact: bool = False,
) -> bytes:
    """Writes a model folder, replacing its files.

    Args:
        folder: The folder, made if it is missing.
        name: Name of the model, for people.
        config: The `model` section of the training config.
        params: Nested dict of arrays, {"autoencoder", "unet", "hyperprior"}, stored as float16.
        entropy: As from `entropy_arrays`.
        exact: Store parameters as float32 if float16 would round them.

    Returns:
        The model id.

    Raises:
        RdcError: A weight is not finite, overflows float16, or could overflow an integer sum.
    """
    contents = {
        "config.json": files.as_json({"name": name, "format": FORMAT, "model": dict(config)})
    }
    pack = files.as_exact if exact else files.as_float16
    contents |= {f"{part}.safetensors": pack(part, tree) for part, tree in params.items()}
    contiguous = {k: np.ascontiguousarray(v) for k, v in entropy.items()}
    contents["entropy.safetensors"] = safetensors.numpy.save(contiguous)
    proof = bounds(entropy)
    folder = paths.of(folder)
    model_id = files.write(folder, contents)
    if proof is not None:
        (folder / BOUNDS).write_bytes(files.as_json(proof))
    return model_id


def bounds(entropy: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """The proof that no sum of the integer network overflows; None for a model without tables.

    Raises RdcError for weights that could overflow.
    """
    return accumulator_record(entropy) if "tables/counts" in entropy else None


def find(model: str | Path | None) -> Path:
    """The folder of a model, from the name of a shipped model, a path, or None for the default.

    Raises RdcError if there is none, or `model` is something else.
    """
    name = DEFAULT_MODEL if model is None else files.name_or_path(model, "model")
    candidates = [SHIPPED / name] if "/" not in name else []
    candidates += [paths.of(name), paths.of(name) / "model"]  # a run keeps its model there
    for folder in candidates:
        with paths.errors(folder):
            if (folder / files.MANIFEST).is_file():
                return folder
    looked = " and ".join(str(folder) for folder in candidates)
    names = ", ".join(folder.name for folder in shipped()) or "none"
    raise RdcError(
        f"no model {name!r} (looked in {looked}); give a path, or the name of a model that "
        f"comes with the package: {names}"
    )


def shipped() -> list[Path]:
    """The folders of the models that come with the package, by name."""
    return sorted(path.parent for path in SHIPPED.glob(f"*/{files.MANIFEST}"))


def load(model: str | Path | None = None) -> Model:
    """Loads a model folder. Raises RdcError if a file is missing, damaged, or has another hash."""
    folder = find(model)
    contents, model_id = files.read(folder, {"config.json", "entropy.safetensors"})
    contents.pop(BOUNDS, None)
    with files.damage(folder / "config.json"):
        config = json.loads(contents.pop("config.json"))
        name, version, settings = config["name"], config["format"], config["model"]
    if version != FORMAT:
        raise RdcError(f"{folder} has model format {version}; this version reads {FORMAT}")
    arrays = {}
    for file, data in contents.items():
        with files.damage(folder / file):
            arrays[Path(file).stem] = safetensors.numpy.load(data)
    entropy = arrays.pop("entropy")
    _check_bounds(folder / BOUNDS, entropy)
    params = {part: files.unflatten(flat) for part, flat in arrays.items()}
    return Model(name, folder, settings, params, entropy, model_id)


def _check_bounds(path: Path, entropy: Mapping[str, np.ndarray]) -> None:
    """Raises RdcError if the stored proof is not that of the weights. Older models have none.

    Weights that could overflow are refused in any case, see `EntropyModel.from_arrays`.
    """
    if path.is_file():
        with files.damage(path):
            stored = json.loads(files.read_bytes(path))
        if stored != bounds(entropy):
            raise RdcError(f"{path} is not of these weights; install the model again")
