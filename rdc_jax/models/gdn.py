"""Generalised divisive normalisation (Balle et al. 2016) and its approximate inverse.

    GDN      y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2)
    inverse  y_i = x_i * sqrt(beta_i + sum_j gamma_ij x_j^2)

beta >= 1e-6 and gamma >= 0 are stored as square roots, sqrt(value + 2^-36), so that steps become
smaller where values are small (Balle 2018, "Efficient nonlinear transforms"); a stored number
below its bound counts as the bound, and its gradient passes only where it points back.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

PEDESTAL = 2.0**-36
BETA_MIN = 1e-6
GAMMA_INIT = 0.1


@jax.custom_vjp
def lower_bound(x: jax.Array, bound: float) -> jax.Array:
    """max(x, bound); below the bound only a gradient that raises x passes."""
    return jnp.maximum(x, bound)


def _lower_bound_forward(x, bound):
    return jnp.maximum(x, bound), x >= bound


def _lower_bound_backward(inside, gradient):
    return jnp.where(inside | (gradient < 0), gradient, 0.0), None


lower_bound.defvjp(_lower_bound_forward, _lower_bound_backward)


def stored(value: jax.Array) -> jax.Array:
    """The parameter that stands for a value >= 0."""
    return jnp.sqrt(value + PEDESTAL)


def effective(parameter: jax.Array, minimum: float) -> jax.Array:
    """The value that a parameter stands for, at least `minimum`."""
    return jnp.square(lower_bound(parameter, math.sqrt(minimum + PEDESTAL))) - PEDESTAL


class GDN(nn.Module):
    """Over the channels of [B,h,w,c]; parameters beta [c] and gamma [c,c] (row: output)."""

    inverse: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def beta_init(key, shape):
            return stored(jnp.ones(shape))

        def gamma_init(key, shape):
            return stored(GAMMA_INIT * jnp.eye(shape[0]))

        c = x.shape[-1]
        beta = effective(self.param("beta", beta_init, (c,)), BETA_MIN)
        gamma = effective(self.param("gamma", gamma_init, (c, c)), 0.0)
        power = jnp.square(x.astype(jnp.float32)) @ gamma.T + beta.reshape(1, 1, 1, -1)
        factor = jnp.sqrt(power) if self.inverse else jax.lax.rsqrt(power)
        return (x.astype(jnp.float32) * factor).astype(self.dtype)
