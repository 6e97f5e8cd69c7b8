"""The networks of a config as tables, made by Flax without computing anything."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections

from rdc_jax.models.conditions import CONDITION_CHANNELS
from rdc_jax.models.networks import Networks
from rdc_jax.training import check_config
from rdc_jax.training.tasks.selection import task_for

DEPTH = 2  # levels of modules that have rows of their own
CONSOLE = {"force_terminal": False, "width": 120}


def describe(config: ml_collections.ConfigDict) -> str:
    """One table for each network: layers, shapes for a crop of data.crop_size, and parameters.

    Raises RdcError for a config that `rdc train` would refuse.
    """
    jax.config.update("jax_platforms", "cpu")  # nothing is computed, so no accelerator is taken
    task = task_for(check_config.checked(config))
    check_config.check_crops(task)
    tables = []
    for name, (module, inputs) in inputs_of(task.networks, task.config.data.crop_size).items():
        keys = jax.random.key(0)
        table = module.tabulate(keys, *inputs, depth=DEPTH, console_kwargs=CONSOLE)
        tables.append(f"{name}\n{table.strip()}")
    return "\n\n".join(tables)


def inputs_of(networks: Networks, size: int) -> dict[str, tuple[nn.Module, tuple[Any, ...]]]:
    """The modules of a codec with the inputs that they are initialised with.

    Args:
        networks: Of the codec.
        size: Side of the image in pixels.
    """
    side = size // networks.downsampling
    latent = jnp.zeros((1, side, side, networks.latent_channels))
    condition = jnp.zeros((1, side, side, CONDITION_CHANNELS))
    found: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
        "autoencoder": (networks.autoencoder, (jnp.zeros((1, size, size, 3)),)),
        "hyperprior": (networks.hyperprior, (latent, latent, condition, jnp.zeros((1, 1, 1, 1)))),
    }
    if networks.unet is not None:
        context = jnp.zeros((1, *networks.context_shape)) if networks.context_shape else None
        noisy = jnp.zeros((1, side, side, networks.unet_channels))
        found["unet"] = (networks.unet, (noisy, jnp.zeros((1,)), context))
    if networks.step_profile is not None:
        found["step_profile"] = (networks.step_profile, (jnp.zeros((1,)),))
    return found
