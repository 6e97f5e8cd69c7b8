"""Initial parameters: scaled to the data for a fresh codec, or stored weights, grown to fit."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.model_folder.files import parameter_shapes
from rdc_jax.models.growth import grown
from rdc_jax.models.networks import Networks


def match_empirical_scales(
    networks: Networks, params: dict[str, Any], images: np.ndarray
) -> dict[str, Any]:
    """Starts the hyperprior's output at each latent channel's mean and standard deviation.

    Latent channels of a transform differ a hundredfold in scale, and an optimiser takes long to
    move scales there from zero.

    Args:
        networks: The codec's networks.
        params: Fresh parameters.
        images: uint8 [N,H,W,3].
    """
    x = jnp.asarray(images, jnp.float32) / PIXEL_RANGE - 1.0
    latent = jax.jit(networks.encode)(params, x)
    mean, deviation = jnp.mean(latent, (0, 1, 2)), jnp.std(latent, (0, 1, 2)) + 1e-3
    hyperprior = networks.hyperprior.matched_to(params["hyperprior"], mean, deviation)
    return params | {"hyperprior": hyperprior}


def fitted_to(networks: Networks, stored: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Stored parameters, with fresh ones where the config's networks have more (`grown`).

    Args:
        networks: Of the config.
        stored: Parameters of a model folder.
        seed: Of the fresh parameters.
    """
    key = jax.random.key(seed)
    if parameter_shapes(jax.eval_shape(networks.init, key)) == parameter_shapes(stored):
        return dict(stored)
    return grown(jax.device_get(jax.jit(networks.init)(key)), stored)
