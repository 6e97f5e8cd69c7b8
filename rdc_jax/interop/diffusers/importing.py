"""Import of diffusers weights (Stable Diffusion 1.x and 2.x) as parameters of this project.

    PATH/unet/       UNet2DConditionModel: config.json and safetensors, sharded or not
    PATH/vae/        AutoencoderKL
    PATH/scheduler/  optional; its prediction type and noise must be those of the config

The import is strict. Every key must be used exactly once, and shapes, dtypes and both configs are
checked. Such a folder has no entropy model. The entropy model starts untrained, and stage "entropy"
trains it. A folder from `rdc export --to diffusers` has everything, and `reimport` restores it bit
for bit.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.interop import safetensors_folder
from rdc_jax.interop.diffusers import configs, names
from rdc_jax.interop.diffusers.scheduler import check_scheduler
from rdc_jax.model_folder.codec_model import entropy_arrays
from rdc_jax.model_folder.files import parameter_shapes, unflatten
from rdc_jax.models.networks import Networks

WITHOUT_CONTEXT = (
    "the context of the cross-attention is zeros; --context FILE takes the text encoder's output "
    "for an empty prompt"
)


class Imported(NamedTuple):
    """Everything a model folder needs, and notes for the user."""

    config: dict[str, Any]
    params: dict[str, Any]  # nested dicts of float32
    entropy: dict[str, np.ndarray]
    notes: list[str]


def load(
    folder: Path,
    model: Mapping[str, Any],
    unet: Path | None = None,
    vae: Path | None = None,
    context: Path | None = None,
) -> Imported:
    """Imports the weights in a folder.

    Args:
        folder: Folder with unet/, vae/ and perhaps scheduler/.
        model: The `model` section of a config.
        unet: Folder or .safetensors file (with config.json beside it) instead of unet/.
        vae: Folder or .safetensors file (with config.json beside it) instead of vae/.
        context: File with the context of the cross-attention, see `read_context`.

    Raises:
        RdcError: a file is missing, damaged, or does not fit the config. The message names it.
    """
    for part in (unet or folder / "unet", vae or folder / "vae"):
        check_part(part)  # before the networks are described, which takes minutes
    networks, shapes = described(model)
    if networks.unet is None or model["autoencoder"]["kind"] != "kl":
        raise RdcError(
            "the config has no U-Net with a KL autoencoder; use one like configs/sd21.py"
        )
    scheduler = folder / "scheduler" / "scheduler_config.json"
    if scheduler.is_file():
        check_scheduler(read_json(scheduler), networks, str(scheduler))
    params = {
        "unet": read_unet(unet or folder / "unet", networks, shapes["unet"]),
        "autoencoder": read_autoencoder(vae or folder / "vae", networks, shapes["autoencoder"]),
    }
    if context is not None and not networks.context_shape:
        raise RdcError("the config has no context_shape; leave out --context")
    notes = ["the entropy model is untrained and codes badly until it is trained"]
    given = {}
    if context is not None:
        given["context"] = {"empty_prompt": read_context(context, networks.context_shape)}
    elif networks.context_shape:
        notes.append(WITHOUT_CONTEXT)
    params |= fresh(networks, shapes) | given
    entropy = entropy_arrays(
        params["hyperprior"], networks.step_table(params), **networks.entropy_settings()
    )
    return Imported(dict(model), params, entropy, notes)


def described(model: Mapping[str, Any]) -> tuple[Networks, dict[str, dict[str, Any]]]:
    """Returns the networks of a `model` section and the shapes of their parameters by part."""
    try:
        networks = Networks.from_config(model)
        expected = jax.eval_shape(networks.init, jax.random.key(0))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RdcError(f"the config does not describe a model: {error}") from error
    return networks, {part: parameter_shapes(tree) for part, tree in expected.items()}


def fresh(networks: Networks, shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns initial parameters of all parts except U-Net and autoencoder."""
    own = [part for part in shapes if part not in ("unet", "autoencoder")]

    def initial(key):
        params = networks.init(key)
        return {part: params[part] for part in own}

    return jax.device_get(jax.jit(initial)(jax.random.key(0)))


def read_unet(
    path: Path, networks: Networks, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    """Reads the parameters of a U-Net.

    Args:
        path: A folder, or a file of weights with config.json beside it.
        networks: Networks of our config.
        shapes: Shapes of the U-Net's parameters.

    Returns:
        Nested float32 parameters.

    Raises:
        RdcError: a file is missing, damaged, or does not fit the config.
    """
    where, config = read_config(path)
    theirs = configs.read_unet(config, where)
    configs.check_settings(networks.unet, theirs.section, where)
    attends = networks.context_shape and networks.unet.mid_heads
    width = networks.context_shape[1] if attends else None
    for name, said, ours in (
        ("in_channels", theirs.in_channels, networks.unet_channels),
        ("out_channels", theirs.out_channels, networks.latent_channels),
        ("cross_attention_dim", theirs.context_width, width),
    ):
        if said != ours:
            raise RdcError(
                f"{where} says {name} {said}, the config {ours}; give a config that fits"
            )
    return stock_parameters(path, shapes)


def read_autoencoder(
    path: Path, networks: Networks, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    """Reads the parameters of an autoencoder.

    Args:
        path: A folder, or a file of weights with config.json beside it.
        networks: Networks of our config.
        shapes: Shapes of the autoencoder's parameters.

    Returns:
        Nested float32 parameters.

    Raises:
        RdcError: a file is missing, damaged, or does not fit the config.
    """
    where, config = read_config(path)
    section = configs.read_autoencoder(config, where)
    configs.check_settings(networks.autoencoder, section, where)
    return stock_parameters(path, shapes)


def stock_parameters(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Reads weights with the names of diffusers as nested float32 parameters of these shapes."""
    entries = {}
    for key, entry in safetensors_folder.entries(path).items():
        current = names.current_key(key)
        if current in entries:
            raise RdcError(f"{path} has {current} twice, the other as {key}")
        entries[current] = entry
    paths = names.by_key(shapes)
    names.check_names(entries, paths, str(path))
    flat = {}
    for key, name in paths.items():
        value = names.from_diffusers(name, entries[key].read(), shapes[name])
        if not np.all(np.isfinite(value)):
            raise RdcError(f"{path}: {key} has values that are not finite")
        flat[name] = value
    return unflatten(flat)


def check_part(path: Path) -> None:
    """Raises RdcError if a folder of weights, or a file of them, does not exist."""
    if not path.exists():
        raise RdcError(f"no folder {path}; PATH needs unet/ and vae/, or name them: --unet, --vae")


def read_config(path: Path) -> tuple[str, dict[str, Any]]:
    """Returns path and content of config.json in a folder or beside a file of weights."""
    check_part(path)
    file = (path if path.is_dir() else path.parent) / "config.json"
    return str(file), read_json(file)


def read_json(file: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object. Raises RdcError for anything else."""
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise RdcError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise RdcError(f"{file} is not JSON") from error
    if not isinstance(value, dict):
        raise RdcError(f"{file} does not hold a JSON object")
    return value


def read_context(file: Path, shape: tuple[int, int]) -> np.ndarray:
    """Reads a constant context from a .npy file, or a .safetensors file with one array.

    Args:
        file: The file. Its array may have an additional leading axis of length 1.
        shape: (tokens, width) of the context.

    Returns:
        float32 [tokens, width].

    Raises:
        RdcError: the file has another format, or its array another shape or dtype.
    """
    try:
        if file.suffix == ".safetensors":
            (entry,) = safetensors_folder.file_entries(file).values()
            value = entry.read()
        else:
            value = np.load(file, allow_pickle=False)
    except RdcError:
        raise
    except (OSError, ValueError) as error:
        raise RdcError(
            f"{file} is neither a .npy file nor a .safetensors file with one array"
        ) from error
    value = value[0] if value.ndim == 3 and len(value) == 1 else value
    if value.shape != tuple(shape) or not np.issubdtype(value.dtype, np.floating):
        raise RdcError(f"{file} is {value.dtype} {value.shape}; the config's context is {shape}")
    if not np.all(np.isfinite(value)):
        raise RdcError(f"{file} has values that are not finite")
    return value.astype(np.float32)
