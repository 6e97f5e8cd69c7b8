"""Deterministic sampling (DDIM, eta = 0) with a clock of its own at every pixel.

The state is yhat = y_t / alpha(t): clean latent plus noise of std Delta(t)/sqrt(12). In these
coordinates a DDIM step (Song et al. 2021, eq. 12 with eta = 0) from step size Delta to Delta' is

    yhat' = x0 + (Delta' / Delta) (yhat - x0)

No noise is ever added: the rest of the quantiser's noise is not Gaussian, and fresh noise would
replace information that the file sent.
"""

from typing import Literal

import jax
import jax.numpy as jnp

Clock = Literal["proportional", "clamped"]


def clock_timesteps(
    timesteps: jax.Array, num_steps: int, clock: Clock, t_max: float | None = None
) -> jax.Array:
    """Timesteps at the start of every sampler step and at the end: [num_steps + 1, *t.shape].

    Args:
        timesteps: Where each pixel or level starts, any shape.
        num_steps: Number of steps N.
        clock: "proportional": t_i (1 - n/N), every pixel changes at every step. "clamped":
            min(t_i, c_n) with c_n falling evenly from t_max; pixels with little noise wait until
            the clock reaches them.
        t_max: Start of the clamped clock; None for the largest timestep.
    """
    fraction = 1.0 - jnp.arange(num_steps + 1, dtype=jnp.float32) / num_steps
    fraction = fraction.reshape((num_steps + 1,) + (1,) * timesteps.ndim)
    if clock == "proportional":
        return fraction * timesteps[None]
    if clock == "clamped":
        top = jnp.max(timesteps) if t_max is None else t_max
        return jnp.minimum(timesteps[None], fraction * top)
    raise ValueError(f"clock must be 'proportional' or 'clamped', got {clock!r}")


def ddim_step(
    x0: jax.Array, yhat: jax.Array, step_now: jax.Array, step_next: jax.Array
) -> jax.Array:
    """One step from yhat towards its clean estimate, [B,h,w,C].

    Args:
        x0: Clean estimate, [B,h,w,C].
        yhat: Noisy latent, [B,h,w,C].
        step_now: Quantiser step of yhat; broadcasts.
        step_next: Quantiser step of the result; broadcasts.
    """
    return x0 + (step_next / step_now) * (yhat - x0)
