"""Deterministic sampling (DDIM, eta = 0) with a clock of its own at every pixel.

The state is yhat = y_t / alpha(t): clean latent plus noise of std Delta(t)/sqrt(12). In these
coordinates a DDIM step (Song et al. 2021, eq. 12 with eta = 0) from step size Delta to Delta' is

    yhat' = x0 + (Delta' / Delta) (yhat - x0)

No noise is ever added: what is left of the quantiser's noise is not Gaussian, and nothing may be
re-drawn that the file did not send.
"""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

Clock = Literal["proportional", "clamped"]


def clock_timesteps(
    timesteps: jax.Array, num_steps: int, clock: Clock, t_max: float | None = None
) -> jax.Array:
    """Timesteps at the start of every sampler step and at the end: [num_steps + 1, *t.shape].

    "proportional": t_i (1 - n/N), every pixel works at every step.
    "clamped": min(t_i, tau_n), tau_n falling evenly from t_max (default: the largest t); pixels
    with little noise wait until the clock reaches them.
    """
    fraction = 1.0 - jnp.arange(num_steps + 1, dtype=jnp.float32) / num_steps
    fraction = fraction.reshape((num_steps + 1,) + (1,) * timesteps.ndim)
    if clock == "proportional":
        return fraction * timesteps[None]
    if clock == "clamped":
        top = jnp.max(timesteps) if t_max is None else t_max
        return jnp.minimum(timesteps[None], fraction * top)
    raise ValueError(f"clock must be 'proportional' or 'clamped', got {clock!r}")


def default_num_steps(t_max: float) -> int:
    """Sampler steps for best realism: about 50 for a full run, less when t starts lower."""
    return max(1, math.ceil(50 * t_max / 1000))


def ddim_step(
    x0: jax.Array, yhat: jax.Array, step_now: jax.Array, step_next: jax.Array
) -> jax.Array:
    """One step from yhat towards its clean estimate x0, both [B,h,w,C]; steps broadcast."""
    return x0 + (step_next / step_now) * (yhat - x0)


def sample(
    denoise: Callable[[jax.Array, jax.Array], jax.Array],
    yhat: jax.Array,
    timesteps: jax.Array,
    step_at: Callable[[jax.Array], jax.Array],
    *,
    num_steps: int = 1,
    clock: Clock = "proportional",
) -> jax.Array:
    """Runs DDIM from yhat [B,h,w,C] at `timesteps` down to the clean latent, [B,h,w,C].

    denoise(yhat, timesteps) -> clean estimate, latent units. `timesteps` may be any compact
    form (for instance one value per importance level); step_at(timesteps) is the quantiser step
    they stand for, broadcasting to yhat. One step returns the denoiser's (MMSE-like) estimate.
    The loop is plain Python: with a jitted `denoise` any number of steps shares one compilation.
    """
    clocks = clock_timesteps(timesteps, num_steps, clock)
    for n in range(num_steps - 1):
        x0 = denoise(yhat, clocks[n])
        yhat = ddim_step(x0, yhat, step_at(clocks[n]), step_at(clocks[n + 1]))
    return denoise(yhat, clocks[num_steps - 1])
