"""A trained model on disk: config, weights, integer tables, and a manifest that pins their hashes.

    config.json              the `model` section of the training config
    autoencoder.safetensors  float16 parameters, one file per sub-model
    unet.safetensors
    hyperprior.safetensors   float weights, for further training only
    entropy.safetensors      integer network, tables and schedule: all that decides a symbol
    manifest.json            sha256 of each file above
    bounds.json              how large sums of the integer network can become, a proof made at
                             export; no part of the id, as it follows from the weights

The model id in every `.rdc` file is the first 8 bytes of the manifest's sha256. NumPy only: a
decoder without JAX loads models with this module.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from rdc_jax.entropy.entropy_model import accumulator_record, schedule_arrays
from rdc_jax.entropy.integer_network import quantize_hyperprior
from rdc_jax.entropy.mean_scale_network import quantize_mean_scale
from rdc_jax.entropy.tables import build_table_bank
from rdc_jax.errors import RdcError

SHIPPED = Path(__file__).parents[1] / "weights"
DEFAULT_MODEL = "tiny"
FORMAT = 2
ID_BYTES = 8
BOUNDS = "bounds.json"


@dataclasses.dataclass(frozen=True)
class Model:
    """What a folder holds. params: nested dict of float32; entropy: flat dict of integer arrays."""

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
    """Picture pixels per latent pixel along a side, of the `model` section of a config."""
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

    hyperprior: parameters; the rest as `Networks.entropy_settings`. mean_scale: the fields that
    `quantize_mean_scale` takes, None for the network with context.
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
    """Writes a model folder (replacing its files) and returns the model id.

    params: nested dict of arrays, {"autoencoder", "unet", "hyperprior"}; stored as float16, or if
    `exact` in float32 wherever float16 would round.
    """
    files = {"config.json": as_json({"name": name, "format": FORMAT, "model": dict(config)})}
    pack = as_exact if exact else as_float16
    files |= {f"{part}.safetensors": pack(part, tree) for part, tree in params.items()}
    contiguous = {k: np.ascontiguousarray(v) for k, v in entropy.items()}
    files["entropy.safetensors"] = safetensors.numpy.save(contiguous)
    proof = bounds(entropy)
    model_id = write(Path(folder), files)
    if proof is not None:
        (Path(folder) / BOUNDS).write_bytes(as_json(proof))
    return model_id


def bounds(entropy: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """The proof that no sum of the integer network leaves its range; None without a coder's tables.

    Raises RdcError for weights that could overflow.
    """
    return accumulator_record(entropy) if "tables/counts" in entropy else None


def write(folder: Path, files: Mapping[str, bytes]) -> bytes:
    """Writes files and a manifest with their hashes into a folder; returns the manifest's id."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in sorted(files.items())}
    manifest = as_json({"sha256": hashes})
    for file, data in {**files, "manifest.json": manifest}.items():
        (folder / file).write_bytes(data)
    return hashlib.sha256(manifest).digest()[:ID_BYTES]


def as_float16(part: str, tree: Mapping[str, Any]) -> bytes:
    """Safetensors bytes of a nested dict of arrays. Raises RdcError for what is not finite."""
    arrays = {k: np.asarray(v).astype(np.float16) for k, v in flatten(tree).items()}
    if not all(np.all(np.isfinite(a)) for a in arrays.values()):
        raise RdcError(f"the {part} has weights that are not finite or overflow float16")
    return safetensors.numpy.save(arrays)


def as_exact(part: str, tree: Mapping[str, Any]) -> bytes:
    """As `as_float16`, but arrays that it would round stay float32."""
    return safetensors.numpy.save({k: exactly(part, v) for k, v in flatten(tree).items()})


def exactly(part: str, value: np.ndarray) -> np.ndarray:
    """The float32 array in float16 where that loses nothing; RdcError for what is not finite."""
    value = np.asarray(value, np.float32)
    if not np.all(np.isfinite(value)):
        raise RdcError(f"the {part} has weights that are not finite")
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), value) else value


def find(model: str | Path | None) -> Path:
    """Folder of a shipped model (by name), of a path, or of the default (None)."""
    name = DEFAULT_MODEL if model is None else str(model)
    candidates = [SHIPPED / name] if "/" not in name else []
    candidates.append(Path(name))
    for folder in candidates:
        if (folder / "manifest.json").is_file():
            return folder
    looked = " and ".join(str(folder) for folder in candidates)
    names = ", ".join(folder.name for folder in shipped()) or "none"
    raise RdcError(
        f"no model {name!r} (looked in {looked}); give a path, or the name of a model that "
        f"comes with the package: {names}"
    )


def shipped() -> list[Path]:
    """The folders of the models that come with the package, by name."""
    return sorted(path.parent for path in SHIPPED.glob("*/manifest.json"))


def load(model: str | Path | None = None) -> Model:
    """Loads a model folder strictly: every file present, every hash right.

    Raises RdcError naming the file otherwise.
    """
    folder = find(model)
    contents, model_id = read(folder, {"config.json", "entropy.safetensors"})
    contents.pop(BOUNDS, None)
    with damage(folder / "config.json"):
        config = json.loads(contents.pop("config.json"))
        name, version, settings = config["name"], config["format"], config["model"]
    if version != FORMAT:
        raise RdcError(f"{folder} has model format {version}; this version reads {FORMAT}")
    arrays = {}
    for file, data in contents.items():
        with damage(folder / file):
            arrays[Path(file).stem] = safetensors.numpy.load(data)
    entropy = arrays.pop("entropy")
    _check_bounds(folder / BOUNDS, entropy)
    params = {part: unflatten(flat) for part, flat in arrays.items()}
    return Model(name, folder, settings, params, entropy, model_id)


def read(folder: Path, required: set[str]) -> tuple[dict[str, bytes], bytes]:
    """Contents of the files a manifest lists, hashes checked, and the manifest's id."""
    manifest = _read(folder / "manifest.json")
    with damage(folder / "manifest.json"):
        hashes = dict(json.loads(manifest)["sha256"])
        if missing := required - hashes.keys():
            raise ValueError(f"{missing} not listed")
    contents = {name: _read(folder / Path(name).name) for name in hashes}
    for name, data in contents.items():
        if hashlib.sha256(data).hexdigest() != hashes[name]:
            raise RdcError(f"{folder}/{name} does not match its hash; install the model again")
    return contents, hashlib.sha256(manifest).digest()[:ID_BYTES]


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": x}} -> {"a/b": x}."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}/")
        else:
            flat[prefix + key] = value
    return flat


def parameter_shapes(tree: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Flat names and shapes of all arrays, or shape structs, of a nested dict."""
    return {name: tuple(value.shape) for name, value in flatten(tree).items()}


def unflatten(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Inverse of `flatten`, values as float32."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        node = tree
        *parents, leaf = key.split("/")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value.astype(np.float32)
    return tree


def as_json(value: Any) -> bytes:
    """Readable JSON, the same bytes for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _check_bounds(path: Path, entropy: Mapping[str, np.ndarray]) -> None:
    """Raises RdcError for a stored proof that is not the weights'; older models have none.

    Weights that could overflow are refused with or without it, see `EntropyModel.from_arrays`.
    """
    if path.is_file():
        with damage(path):
            stored = json.loads(_read(path))
        if stored != bounds(entropy):
            raise RdcError(f"{path} is not of these weights; install the model again")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RdcError(f"cannot read {path}: {error.strerror}; install the model again") from error


@contextlib.contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turns what goes wrong while a file is parsed into one message that names it."""
    try:
        yield
    except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise RdcError(f"{path} is damaged; install the model again") from error


@contextlib.contextmanager
def described_by(folder: Path, what: str) -> Iterator[None]:
    """Turns what goes wrong with a config into one message that names its file."""
    try:
        yield
    except RdcError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RdcError(f"{folder / 'config.json'} does not describe {what}: {error}") from error
