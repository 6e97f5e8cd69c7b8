"""Noise schedules: timestep -> log-SNR -> signal level, noise level and quantiser step.

A schedule is one monotone curve, the log signal-to-noise ratio
`log_snr(t) = log(abar / (1 - abar))`, known at a few knots and interpolated linearly, so
fractional timesteps (per pixel) are as good as integer ones. Everything else follows:

    abar  = sigmoid(log_snr)          alpha = sqrt(abar)      sigma = sqrt(1 - abar)
    Delta = sqrt(12 (1 - abar) / abar) = sqrt(12) exp(-log_snr / 2)

Delta is the step of the universal quantiser whose error, after scaling by alpha, is exactly the
schedule's noise at t (Relic et al., 2504.02579; the per-pixel version is 2604.01122).
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rdc_jax.diffusion import schedule_knots


@dataclasses.dataclass(frozen=True)
class NoiseSchedule:
    """log-SNR curve through knots; `timesteps` increasing in [0, 1000], `log_snr` decreasing."""

    timesteps: tuple[float, ...]
    log_snr_knots: tuple[float, ...]

    def log_snr(self, t: jax.Array) -> jax.Array:
        """Log signal-to-noise ratio (nats) at timesteps t, any shape, clamped to the end knots."""
        knots = jnp.asarray(self.timesteps, jnp.float32)
        values = jnp.asarray(self.log_snr_knots, jnp.float32)
        return jnp.interp(jnp.asarray(t, jnp.float32), knots, values)

    def alpha_bar(self, t: jax.Array) -> jax.Array:
        """Signal power in [0, 1]; like t."""
        return jax.nn.sigmoid(self.log_snr(t))

    def alpha_sigma(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Signal and noise amplitude (sqrt(abar), sqrt(1 - abar)); like t."""
        log_snr = self.log_snr(t)
        return jnp.sqrt(jax.nn.sigmoid(log_snr)), jnp.sqrt(jax.nn.sigmoid(-log_snr))

    def step(self, t: jax.Array) -> jax.Array:
        """Quantiser step Delta in latent units; like t."""
        return math.sqrt(12.0) * jnp.exp(-0.5 * self.log_snr(t))


def scaled_linear(
    beta_start: float = 0.00085, beta_end: float = 0.012, count: int = 1000
) -> NoiseSchedule:
    """The variance schedule of Stable Diffusion; see `schedule_knots.scaled_linear`."""
    return NoiseSchedule(*schedule_knots.scaled_linear(beta_start, beta_end, count))


def geometric(step_min: float, step_max: float) -> NoiseSchedule:
    """Delta grows geometrically from step_min (t = 0) to step_max (t = 1000)."""
    return NoiseSchedule(*schedule_knots.geometric(step_min, step_max))
