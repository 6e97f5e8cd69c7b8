"""Initial parameters: scaled to the data for a fresh codec, or stored weights, grown to fit."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.errors import RdcError
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
    with errors_of_networks("model"):
        wanted = jax.eval_shape(networks.init, jax.random.key(seed))
    if parameter_shapes(wanted) == parameter_shapes(stored):
        return dict(stored)
    return same_everywhere(grown(fresh(networks.init, seed, "model"), stored))


def same_everywhere(params: dict[str, Any]) -> dict[str, Any]:
    """Host arrays of the first process in all processes of the run.

    Processors of different kinds may round fresh parameters differently, and processes that
    start from different values stay different.
    """
    return multihost_utils.broadcast_one_to_all(params) if jax.process_count() > 1 else params


def fresh(init: Callable[[jax.Array], dict[str, Any]], seed: int, section: str) -> dict[str, Any]:
    """Fresh parameters, host arrays.

    Args:
        init: Makes them from a key.
        seed: Of the key.
        section: Of the config, that describes the networks.

    Raises:
        RdcError: before anything is compiled, where the section describes no networks.
    """
    key = jax.random.key(seed)
    with errors_of_networks(section):
        traced = jax.jit(init).trace(key)
    return jax.device_get(traced.lower().compile()(key))


@contextlib.contextmanager
def errors_of_networks(section: str) -> Iterator[None]:
    """Inside, what JAX and Flax say of impossible networks becomes an RdcError.

    section: of the config, that describes the networks.
    """
    try:
        yield
    except RdcError:
        raise
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise RdcError(f"the section '{section}' describes no networks: {reason}") from error
