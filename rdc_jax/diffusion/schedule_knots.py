"""The knots of the log-SNR curves that a config may name; NumPy only, for every array library.

Each returns (timesteps, log_snr): increasing timesteps in [0, 1000] and the log signal-to-noise
ratio log(abar / (1 - abar)) there, to be interpolated linearly (`rdc_jax.diffusion.schedule`).
"""

import math

import numpy as np

from rdc_jax.diffusion.units import MAX_TIMESTEP

STEP_PROFILE_KNOTS = 8
"""Knots of a model's step profile, evenly spaced from timestep 0 to MAX_TIMESTEP."""

Knots = tuple[tuple[float, ...], tuple[float, ...]]


def scaled_linear(beta_start: float = 0.00085, beta_end: float = 0.012, count: int = 1000) -> Knots:
    """The variance schedule of Stable Diffusion: betas linear in their square roots.

    Args:
        beta_start: First beta.
        beta_end: Last beta.
        count: Number of timesteps.
    """
    betas = np.linspace(beta_start**0.5, beta_end**0.5, count, dtype=np.float64) ** 2
    log_abar = np.cumsum(np.log1p(-betas))
    log_snr = log_abar - np.log(-np.expm1(log_abar))
    return tuple(range(count)), tuple(log_snr.tolist())


def geometric(step_min: float, step_max: float) -> Knots:
    """Delta grows geometrically from step_min (t = 0) to step_max (t = 1000).

    Equal timestep differences are then equal ratios of quantiser step, which suits latents whose
    channels differ widely in variance (an orthonormal-like transform) better than a schedule
    made for unit variance. Rate falls nearly linearly in t.
    """
    if not 0 < step_min < step_max:
        raise ValueError(f"need 0 < step_min < step_max, got {step_min}, {step_max}")
    ends = [2.0 * math.log(math.sqrt(12.0) / step) for step in (step_min, step_max)]
    return (0.0, float(MAX_TIMESTEP)), tuple(ends)


KNOTS = {"scaled_linear": scaled_linear, "geometric": geometric}
