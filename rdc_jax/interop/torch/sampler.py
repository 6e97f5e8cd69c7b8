"""From a noisy latent to a picture in PyTorch: DDIM with a clock per pixel, the knob, synthesis.

What `rdc_jax.codec.window_networks.reconstruction` does; see `rdc_jax.diffusion.sampling`.
"""

import itertools

from rdc_jax.interop.torch.extra import Tensor, torch
from rdc_jax.interop.torch.fusion import Fusion, decoded_latent
from rdc_jax.interop.torch.networks import Networks
from rdc_jax.interop.torch.timesteps import Timesteps, level_timesteps


def clock_timesteps(timesteps: Tensor, num_steps: int, clock: str) -> Tensor:
    """Timesteps [L] at the start of every sampler step and at the end: [num_steps + 1, L]."""
    steps = torch.arange(num_steps + 1, dtype=torch.float32, device=timesteps.device)
    fraction = (1.0 - steps / num_steps)[:, None]
    if clock == "proportional":
        return fraction * timesteps
    if clock == "clamped":
        return torch.minimum(timesteps[None], fraction * timesteps.max())
    raise ValueError(f"clock must be 'proportional' or 'clamped', got {clock!r}")


def one_step(
    networks: Networks, yhat: Tensor, mean: Tensor, scale: Tensor, levels: Tensor, values: Tensor
) -> Tensor:
    """The faithful picture [B,3,fh,fw], about [-1,1], of latents [B,C,h,w].

    levels [B,h,w]: importance level of each latent pixel, any integer dtype; values float32 [L]:
    timesteps of the levels.
    """
    timesteps = level_timesteps(values[None], levels)
    return networks.decode(networks.denoise(yhat, timesteps, mean, scale))


def reconstruct_tile(
    networks: Networks,
    fusion: Fusion | None,
    yhat: Tensor,
    mean: Tensor,
    scale: Tensor,
    noise: Tensor,
    levels: Tensor,
    tau: Tensor,
    values: Tensor,
    *,
    steps: int,
    clock: str = "proportional",
) -> Tensor:
    """The picture [1,3,fh,fw], about [-1,1], of one tile of latents [1,C,h,w].

    noise: what a module starts from, of any size without one. levels, values: as `one_step`.
    tau float32 [1,h,w]: how far each pixel goes from the faithful to the realistic latent, the
    module's sample of `steps` steps or, without one, the denoiser's own.
    """
    if networks.unet is None and fusion is None:
        steps = 1
    clocks = clock_timesteps(values, steps, clock)[:, None]
    if not tau.any() or (steps == 1 and fusion is None):
        return one_step(networks, yhat, mean, scale, levels, clocks[0, 0])
    timesteps = [level_timesteps(now, levels) for now in clocks]
    if fusion is not None:
        known = (yhat, mean, scale, noise, timesteps[0], tau)
        return with_module(networks, fusion, *known, steps=steps)
    faithful = clean = networks.denoise(yhat, timesteps[0], mean, scale)
    for now, after in itertools.pairwise(timesteps[:-1]):
        ratio = networks.steps_at_pixels(after) / networks.steps_at_pixels(now)
        yhat = clean + ratio * (yhat - clean)
        clean = networks.denoise(yhat, after, mean, scale)
    return networks.decode(fuse(faithful, clean, tau))


def with_module(
    networks: Networks,
    fusion: Fusion,
    yhat: Tensor,
    mean: Tensor,
    scale: Tensor,
    noise: Tensor,
    timesteps: Timesteps,
    tau: Tensor,
    *,
    steps: int,
) -> Tensor:
    """`reconstruct_tile` through the plug-and-play module."""
    decoded = decoded_latent(networks, yhat, timesteps, mean, scale)
    better = fusion.sample(noise, decoded, steps)
    return networks.decode(fuse(decoded.latent, better, tau))


def fuse(faithful: Tensor, realistic: Tensor, tau: Tensor) -> Tensor:
    """y_tau of two latents [B,C,h,w] for tau [B,h,w]."""
    return (1.0 - tau[:, None]) * faithful + tau[:, None] * realistic
