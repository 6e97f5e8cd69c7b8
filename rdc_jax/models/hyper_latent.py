"""How the hyper-latent z is rounded: to integers, or to a lattice with a step of its own.

    log2_step = x, from the condition       s = 2^floor(x) (1 + x - floor(x)), so s = 1 at x = 0
    k         = round((z - c) / s)          c = round(mean), the lattice's centre
    value     = c + s k                     the value that synthesis and context see

The centre is the rounded mean. At s = 1 the lattice is therefore that of the integers for every
mean. At a large step it has a point next to the mean, so almost all k are 0 and cost very little.
The step is a piecewise linear function of its logarithm, which integers reproduce exactly
(`rdc_jax.entropy.hyper_coding`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rdc_jax.diffusion.quantization import round_straight_through

LOG2_STEP_RANGE = (-3.0, 6.0)


class CodedHyperLatent(NamedTuple):
    """A hyper-latent as coding sees it; arrays broadcast to [B,h,w,Cz].

    Attributes:
        value: Rounded, in units of z, with straight-through gradients.
        scaled: z in steps, not rounded.
        mean: Of the prior of `scaled`.
        log2_scale: Of the prior of `scaled`.
    """

    value: jax.Array
    scaled: jax.Array
    mean: jax.Array
    log2_scale: jax.Array


def bounded_log2_step(log2_step: jax.Array) -> jax.Array:
    """Clipped to the range that coding has; the gradient passes through."""
    bounded = jnp.clip(log2_step, *LOG2_STEP_RANGE)
    return log2_step + jax.lax.stop_gradient(bounded - log2_step)


def step_of(log2_step: jax.Array) -> jax.Array:
    """2^x at integers x, linear between them."""
    exponent = jnp.floor(log2_step)
    return jnp.exp2(exponent) * (1.0 + log2_step - exponent)


def coded_hyper_latent(
    z: jax.Array, mean: jax.Array, log2_scale: jax.Array, log2_step: jax.Array | None = None
) -> CodedHyperLatent:
    """Rounds z to its lattice.

    The gradient by the step is that of the rounding error (Esser et al. 2020), because rounding
    itself counts as the identity.

    Args:
        z: Hyper-latent, not rounded.
        mean: Of the prior of z, in units of z.
        log2_scale: Of the prior of z, in units of z.
        log2_step: Of the lattice; None for the integers.
    """
    if log2_step is None:
        return CodedHyperLatent(round_straight_through(z), z, mean, log2_scale)
    step, centre = step_of(log2_step), jnp.floor(mean + 0.5)
    value = centre + step * round_straight_through((z - centre) / step)
    return CodedHyperLatent(value, z / step, mean / step, log2_scale - log2_step)
