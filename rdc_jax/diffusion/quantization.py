"""Universal (dithered) quantisation as the forward process of a diffusion model.

With a dither d ~ U[-1/2, 1/2) shared by both sides,

    k    = round((y - mu) / Delta - d)        the coded symbol
    yhat = mu + Delta (k + d)                 the latent that both sides see

the error yhat - y is uniform on [-Delta/2, Delta/2] and independent of y and mu (Ziv 1985;
Zamir & Feder 1992), for every map of steps. Scaled by alpha(t), yhat is a sample of a diffusion
process whose noise is uniform with variance sigma(t)^2 (2504.02579). Training therefore adds
exactly the noise that coding adds.
"""

import math

import jax
import jax.numpy as jnp


def add_uniform_noise(key: jax.Array, y: jax.Array, step: jax.Array) -> jax.Array:
    """y plus noise uniform on [-step/2, step/2): the law of coding noise.

    Args:
        key: Draws the noise.
        y: Clean latent.
        step: Of the quantiser; broadcasts to y.
    """
    return y + step * jax.random.uniform(key, y.shape, y.dtype, -0.5, 0.5)


def add_gaussian_noise(key: jax.Array, y: jax.Array, step: jax.Array) -> jax.Array:
    """y plus Gaussian noise of the variance of `add_uniform_noise`; for ablations.

    Args:
        key: Draws the noise.
        y: Clean latent.
        step: Of the quantiser; broadcasts to y.
    """
    return y + step / math.sqrt(12.0) * jax.random.normal(key, y.shape, y.dtype)


def round_to_grid(y: jax.Array, mean: jax.Array, step: jax.Array) -> jax.Array:
    """mean + step round((y - mean) / step): coding without dither. The gradient is that of y.

    Args:
        y: Clean latent.
        mean: Centre of the grid; broadcasts to y.
        step: Of the grid; broadcasts to y.
    """
    return y + jax.lax.stop_gradient(mean + step * jnp.round((y - mean) / step) - y)


def round_straight_through(x: jax.Array) -> jax.Array:
    """Rounds forward, identity backward; used for the hyper-latent, which has no dither."""
    return x + jax.lax.stop_gradient(jnp.round(x) - x)
