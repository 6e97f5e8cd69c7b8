"""Loss terms, each in its own unit: bits for rate, squared 8-bit units for distortion."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr

PIXEL_RANGE = 127.5  # one unit of a [-1,1] image in 8-bit units


def gaussian_bits(residual: jax.Array, step: jax.Array, scale: jax.Array) -> jax.Array:
    """Bits of a Gaussian of std `scale` integrated over a bin of width `step` around `residual`.

    -log2[ Phi((r + step/2)/scale) - Phi((r - step/2)/scale) ], finite in the tails (evaluated in
    log space on the negative half axis). Arguments broadcast; float32; result >= 0, in bits. With
    residual = yhat - mu = step (k + d) this is the ideal code length of the symbol k given d.
    """
    r = -jnp.abs(residual)
    upper = log_ndtr((r + 0.5 * step) / scale)
    lower = log_ndtr((r - 0.5 * step) / scale)
    gap = jnp.minimum(lower - upper, -1e-6)
    return -(upper + jnp.log(-jnp.expm1(gap))) / math.log(2.0)


def squared_error(x: jax.Array, reconstruction: jax.Array) -> jax.Array:
    """Per-pixel squared error, mean over colour, in squared 8-bit units: [B,H,W,3] -> [B,H,W,1]."""
    return jnp.mean(jnp.square(PIXEL_RANGE * (x - reconstruction)), axis=-1, keepdims=True)


def rate_distortion(
    bits: jax.Array, error: jax.Array, step: jax.Array, distortion_weight: float
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Joint objective of stage 0: bits per pixel + lambda(Delta) x squared error.

    bits [B] are whole-image code lengths, error [B,H,W,1] comes from `squared_error`, step
    [B,H,W,1] is the quantiser step at each pixel; lambda = distortion_weight / Delta^2 is the
    high-rate optimum dR/dD up to a constant, so one network serves all steps [ours].
    Returns (scalar loss, {"bpp", "mse", "weighted_distortion"}).
    """
    pixels = error.shape[1] * error.shape[2]
    bpp = jnp.mean(bits) / pixels
    weighted = jnp.mean(distortion_weight * error / jnp.square(step))
    return bpp + weighted, {"bpp": bpp, "mse": jnp.mean(error), "weighted_distortion": weighted}


def prediction_error(output: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared error between network output and its target (unitless), scalar."""
    return jnp.mean(jnp.square(output - target))
