"""Reconstruction of an image from a noisy latent in PyTorch: DDIM, fusion with tau, synthesis.

This is the PyTorch version of `rdc_jax.codec.window_networks`. `rdc_jax.diffusion.sampling`
explains the sampler, which has a separate clock for each pixel.
"""

import itertools

from rdc_jax.interop.torch.extra import Tensor, torch
from rdc_jax.interop.torch.fusion import Fusion, decoded_latent
from rdc_jax.interop.torch.networks import Networks
from rdc_jax.interop.torch.timesteps import Timesteps, level_timesteps


def clock_timesteps(timesteps: Tensor, num_steps: int, clock: str) -> Tensor:
    """Returns the timesteps at the start of every sampler step and at the end.

    Args:
        timesteps: Initial timesteps of the levels [L].
        num_steps: Number of sampler steps.
        clock: "proportional" or "clamped".

    Returns:
        float32 [num_steps + 1, L].
    """
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
    """Reconstructs the faithful image in one step.

    Args:
        networks: Networks of the codec.
        yhat: Noisy latent [B,C,h,w].
        mean: Mean of the prior [B,C,h,w].
        scale: Standard deviation of the prior [B,C,h,w].
        levels: Importance level of each latent pixel, integers [B,h,w].
        values: Timesteps of the levels, float32 [L].

    Returns:
        Image [B,3,fh,fw] in about [-1,1].
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
    """Reconstructs the image of one window at any tau.

    The realistic latent is the sample of the fusion module. Without a fusion module it is the
    sample of the denoiser.

    Args:
        networks: Networks of the codec.
        fusion: The fusion module, or None.
        yhat: Noisy latent [1,C,h,w].
        mean: Mean of the prior [1,C,h,w].
        scale: Standard deviation of the prior [1,C,h,w].
        noise: Starting noise of the fusion module [1,C,h,w]; of any size without one.
        levels: Importance level of each latent pixel, integers [1,h,w].
        tau: float32 [1,h,w], 0 for the faithful and 1 for the realistic latent.
        values: Timesteps of the levels, float32 [L].
        steps: Number of sampler steps.
        clock: "proportional" or "clamped".

    Returns:
        Image [1,3,fh,fw] in about [-1,1].
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
    """Reconstructs the image of one window with a fusion module.

    Args:
        networks: Networks of the codec.
        fusion: The fusion module.
        yhat: Noisy latent [B,C,h,w].
        mean: Mean of the prior [B,C,h,w].
        scale: Standard deviation of the prior [B,C,h,w].
        noise: Starting noise of the fusion module [B,C,h,w].
        timesteps: Timesteps of the latent.
        tau: float32 [B,h,w], 0 for the faithful and 1 for the realistic latent.
        steps: Number of sampler steps.

    Returns:
        Image [B,3,fh,fw] in about [-1,1].
    """
    decoded = decoded_latent(networks, yhat, timesteps, mean, scale)
    better = fusion.sample(noise, decoded, steps)
    return networks.decode(fuse(decoded.latent, better, tau))


def fuse(faithful: Tensor, realistic: Tensor, tau: Tensor) -> Tensor:
    """Interpolates between two latents.

    Args:
        faithful: Latent at tau = 0, [B,C,h,w].
        realistic: Latent at tau = 1, [B,C,h,w].
        tau: [B,h,w] in 0..1.
    """
    return (1.0 - tau[:, None]) * faithful + tau[:, None] * realistic
