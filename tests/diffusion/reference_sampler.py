"""The sampler as a plain loop over `rdc_jax.diffusion.sampling`, which the codec must equal."""

from collections.abc import Callable

import jax

from rdc_jax.diffusion import sampling


def sample(
    denoise: Callable[[jax.Array, jax.Array], jax.Array],
    yhat: jax.Array,
    timesteps: jax.Array,
    step_at: Callable[[jax.Array], jax.Array],
    *,
    num_steps: int = 1,
    clock: sampling.Clock = "proportional",
) -> jax.Array:
    """DDIM from yhat [B,h,w,C] at `timesteps` down to the clean latent, [B,h,w,C].

    Args:
        denoise: (yhat, timesteps) -> clean estimate in latent units.
        yhat: Noisy latent.
        timesteps: Any compact form, for instance one value per importance level.
        step_at: (timesteps) -> the quantiser's step, broadcasting to yhat.
        num_steps: One step is the denoiser's own estimate.
        clock: See `sampling.clock_timesteps`.
    """
    clocks = sampling.clock_timesteps(timesteps, num_steps, clock)
    for n in range(num_steps - 1):
        x0 = denoise(yhat, clocks[n])
        yhat = sampling.ddim_step(x0, yhat, step_at(clocks[n]), step_at(clocks[n + 1]))
    return denoise(yhat, clocks[num_steps - 1])
