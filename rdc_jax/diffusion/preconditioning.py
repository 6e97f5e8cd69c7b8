"""Input and target of a denoiser, with or without the entropy model's prior.

The decoder of a codec knows more about the clean latent than a plain diffusion model does: the
entropy model's mean mu and scale s. In the coordinates standardised by that prior,

    y' = (y - mu) / s,      kappa = Delta / sqrt(12)  (std of the noise on yhat)
    alpha' = s / sqrt(s^2 + kappa^2),   sigma' = kappa / sqrt(s^2 + kappa^2)
    y'_t   = (yhat - mu) / sqrt(s^2 + kappa^2) = alpha' y' + sigma' u

y'_t is an ordinary diffusion sample with a noise level of its own per element, so eps-, v- and
x0-prediction mean what they always mean. An output of zero under v-prediction is the Wiener
estimate mu + s^2 / (s^2 + kappa^2) (yhat - mu). With mu = 0 and s = 1 all of this reduces to the
usual y_t, alpha(t), sigma(t) [ours; cf. the preconditioning of Karras et al. 2022, where the
data's variance is a constant].
"""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

Prediction = Literal["eps", "v", "x0"]


class Standardized(NamedTuple):
    """A noisy latent in the prior's coordinates; every field broadcasts to [B,h,w,C]."""

    noisy: jax.Array  # y'_t, about unit variance
    alpha: jax.Array
    sigma: jax.Array
    log2_snr: jax.Array  # log2 (s / kappa), also for skipped elements
    mean: jax.Array
    scale: jax.Array


def standardize(
    yhat: jax.Array,
    step: jax.Array,
    mean: jax.Array | float = 0.0,
    scale: jax.Array | float = 1.0,
    silent_below: float | None = None,
) -> Standardized:
    """Standardises a noisy latent by the prior.

    Args:
        yhat: [B,h,w,C] in latent units.
        step: Quantiser step, which says how noisy yhat is; broadcasts.
        mean: Of the prior, in latent units; broadcasts.
        scale: Standard deviation of the prior; broadcasts.
        silent_below: Elements whose log2 (scale / step) is below were skipped. They stand at the
            end of the forward process, alpha = 0 and sigma = 1, with the mean of the noise (0) as
            their sample. Their yhat is ignored.
    """
    mean, scale = jnp.asarray(mean, yhat.dtype), jnp.asarray(scale, yhat.dtype)
    mean, scale = jnp.broadcast_to(mean, yhat.shape), jnp.broadcast_to(scale, yhat.shape)
    kappa = jnp.broadcast_to(step / math.sqrt(12.0), yhat.shape)
    inverse_norm = jax.lax.rsqrt(jnp.square(scale) + jnp.square(kappa))
    noisy, alpha, sigma = ((yhat - mean) * inverse_norm, scale * inverse_norm, kappa * inverse_norm)
    if silent_below is not None:
        silent = scale < 2.0**silent_below * step
        noisy, alpha, sigma = (
            jnp.where(silent, end, value)
            for end, value in ((0.0, noisy), (0.0, alpha), (1.0, sigma))
        )
    log2_snr = jnp.log2(scale / kappa)
    return Standardized(noisy, alpha, sigma, log2_snr, mean, scale)


def target(clean: jax.Array, z: Standardized, prediction: Prediction) -> jax.Array:
    """The network's target [B,h,w,C] for a clean latent.

    Args:
        clean: [B,h,w,C] in latent units.
        z: The noisy latent.
        prediction: Kind of output.
    """
    x0 = (clean - z.mean) / z.scale
    eps = (z.noisy - z.alpha * x0) / z.sigma
    return {"x0": x0, "eps": eps, "v": z.alpha * eps - z.sigma * x0}[prediction]


def clean_estimate(output: jax.Array, z: Standardized, prediction: Prediction) -> jax.Array:
    """The clean latent [B,h,w,C], in latent units, that a network output stands for.

    Args:
        output: Of the network, [B,h,w,C].
        z: The noisy latent that it was made from.
        prediction: Kind of output.
    """
    x0 = {
        "x0": lambda: output,
        "eps": lambda: (z.noisy - z.sigma * output) / z.alpha,
        "v": lambda: z.alpha * z.noisy - z.sigma * output,
    }[prediction]()
    return z.mean + z.scale * x0
