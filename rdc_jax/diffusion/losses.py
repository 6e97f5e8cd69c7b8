"""Loss terms, each in its own unit: bits for rate, squared 8-bit units for distortion."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr

from rdc_jax.diffusion.units import PIXEL_RANGE


def gaussian_bits(residual: jax.Array, step: jax.Array, scale: jax.Array) -> jax.Array:
    """Bits of a Gaussian of std `scale` integrated over a bin of width `step` around `residual`.

    -log2[ Phi((r + step/2)/scale) - Phi((r - step/2)/scale) ], evaluated in log space on the
    negative half axis, so it stays finite in the tails. With residual = yhat - mu = step (k + d)
    this is the ideal code length of the symbol k given d.

    Args:
        residual: Centre of the bin, less the mean; float32, broadcasts.
        step: Width of the bin, above 0.
        scale: Standard deviation, above 0.

    Returns:
        Bits, at least 0.
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
    bits: Mapping[str, jax.Array],
    errors: Mapping[str, jax.Array],
    step: jax.Array,
    distortion_weight: float,
    weight: jax.Array,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Joint objective of stage 0: weighted mean over examples of bpp + lambda(Delta) x error.

    lambda = distortion_weight / Delta^2 is the high-rate optimum dR/dD up to a constant, so one
    network serves all steps.

    Args:
        bits: Named code lengths of whole images, [B] each.
        errors: Named squared errors in 8-bit units, [B,H,W,1] or at lower resolution.
        step: The schedule's step Delta at each pixel, [B,H,W,1].
        distortion_weight: Of the errors against bits per pixel.
        weight: Of each example, [B], mean 1. Balances coarse against fine steps, whose losses are
            larger; it scales rate and distortion alike and so moves no trade-off [ours].

    Returns:
        The loss, a scalar, and the metrics "bpp", "bpp_<name>", "mse_<name>" (unweighted), and
        "distortion".
    """
    pixels = step.shape[1] * step.shape[2]
    bpp = {f"bpp_{name}": value / pixels for name, value in bits.items()}
    distortion = weighed_distortion(errors, step, distortion_weight)
    rate = sum(bpp.values())
    metrics = {name: jnp.mean(value) for name, value in bpp.items()}
    metrics |= {f"mse_{name}": jnp.mean(error) for name, error in errors.items()}
    metrics |= {"bpp": jnp.mean(rate), "distortion": jnp.mean(distortion)}
    return jnp.mean(weight * (rate + distortion)), metrics


def weighed_distortion(
    errors: Mapping[str, jax.Array], step: jax.Array, distortion_weight: float
) -> jax.Array:
    """Sum of lambda(Delta) x error, mean over pixels, per image [B].

    Args:
        errors: Named squared errors, as in `rate_distortion`.
        step: The schedule's step at each pixel, [B,H,W,1].
        distortion_weight: Of the errors against bits per pixel.
    """
    total = jnp.zeros(step.shape[0])
    for error in errors.values():
        factor = step.shape[1] // error.shape[1]
        scaled = error / jnp.square(step[:, ::factor, ::factor])
        total += distortion_weight * jnp.mean(scaled, (1, 2, 3))
    return total


def prediction_error(output: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared error between network output and its target (unitless), scalar."""
    return jnp.mean(jnp.square(output - target))
