"""Timestep and importance as features of the entropy model: hat functions."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from rdc_jax.diffusion.units import MAX_TIMESTEP

TIMESTEP_HATS = 12
IMPORTANCE_HATS = 4
CONDITION_CHANNELS = TIMESTEP_HATS + IMPORTANCE_HATS


def hats(x: jax.Array, count: int) -> jax.Array:
    """Piecewise-linear basis on [0,1] with `count` knots: [...] -> [..., count], sums to 1."""
    knots = jnp.arange(count, dtype=jnp.float32).reshape((1,) * x.ndim + (-1,))
    return jax.nn.relu(1.0 - jnp.abs(x[..., None] * (count - 1) - knots))


def condition_features(timesteps: jax.Array, importance: jax.Array) -> jax.Array:
    """timesteps (0..1000) and importance (0..1), both [B,h,w,1] -> [B,h,w,CONDITION_CHANNELS]."""
    t = hats(timesteps[..., 0] / MAX_TIMESTEP, TIMESTEP_HATS)
    return jnp.concatenate([t, hats(importance[..., 0], IMPORTANCE_HATS)], axis=-1)


# Layers whose last CONDITION_CHANNELS inputs are the condition, and the channels of each part.
CONDITIONED = ("analysis_0", "hyper_prior", "synthesis_0", "synthesis_2", "pass0_0", "pass1_0",
               "pass2_0", "hyper_log2_step", "hyper1_0", "hyper2_0")  # fmt: skip
CONDITIONS = {"timestep": (0, TIMESTEP_HATS), "importance": (TIMESTEP_HATS, CONDITION_CHANNELS)}


def blinded(params: Mapping[str, Any], condition: str) -> dict[str, Any]:
    """Parameters of a network that does not know the "timestep" or the "importance" (ablations).

    The kernels' rows that read the condition are zero. The hat functions of either condition add up
    to one, so besides the condition only a constant is lost.
    """
    start, stop = (end - CONDITION_CHANNELS for end in CONDITIONS[condition])
    changed = dict(params)
    for layer in filter(params.__contains__, CONDITIONED):
        kernel = jnp.asarray(params[layer]["kernel"])
        inputs = kernel.shape[-2]
        kernel = kernel.at[..., inputs + start : inputs + stop, :].set(0.0)
        changed[layer] = {**params[layer], "kernel": kernel}
    return changed
