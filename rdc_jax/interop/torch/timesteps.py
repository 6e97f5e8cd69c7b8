"""Timesteps that may differ at every pixel, in PyTorch: the forms of `rdc_jax.models.timesteps`.

[B]          one timestep per image;
[B,1,h,w]    one per latent pixel, any values;
levels       a `LevelTimesteps`: L values per image and the share of each at every pixel.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from rdc_jax.interop.torch.extra import Tensor, functional, nn, torch
from rdc_jax.interop.torch.layers import area_pool


class LevelTimesteps(NamedTuple):
    """Timesteps of L levels, and which level each latent pixel has."""

    values: Tensor  # float32 [B,L], 0..1000
    weights: Tensor  # float32 [B,L,h,w], sums to 1 over L (one-hot for a quantised map)

    def at_pixels(self, per_level: Tensor) -> Tensor:
        """[B,L,C] values of the levels -> [B,C,h,w]."""
        return torch.einsum("blhw,blc->bchw", self.weights, per_level)


Timesteps = Tensor | LevelTimesteps


def level_timesteps(values: Tensor, levels: Tensor) -> LevelTimesteps:
    """values [B,L] and a level index map [B,h,w] (any integer dtype) -> one-hot weights."""
    weights = functional.one_hot(levels.long(), values.shape[1])
    return LevelTimesteps(values, weights.permute(0, 3, 1, 2).to(values.dtype))


def sinusoids(t: Tensor, dim: int) -> Tensor:
    """Stable Diffusion's embedding (cosines first, no frequency shift): t [...] -> [..., dim]."""
    half = dim // 2
    octaves = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t[..., None].float() * torch.exp(-math.log(10000.0) / half * octaves)
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)


class TimestepEmbedding(NamedTuple):
    """SiLU of the embedding: [B,1,E], per level [B,L,E] with weights, or per pixel [B,E,h,w]."""

    embedding: Tensor
    weights: Tensor | None  # [B,L,h,w]

    def project(self, linear: nn.Linear, height: int) -> Tensor:
        """A block's projection at feature height `height`, broadcastable to [B,C,h',w']."""
        if self.embedding.ndim == 4:
            pooled = area_pool(self.embedding, self.embedding.shape[2] // height)
            return functional.conv2d(pooled, linear.weight[:, :, None, None], linear.bias)
        projected = functional.linear(self.embedding, linear.weight, linear.bias)  # b l c
        if self.weights is None:
            return projected[:, 0, :, None, None]
        weights = area_pool(self.weights, self.weights.shape[2] // height)
        return torch.einsum("blhw,blc->bchw", weights.to(projected.dtype), projected)


def embed(timesteps: Timesteps, network: Callable[[Tensor], Tensor]) -> TimestepEmbedding:
    """SiLU of the embedding that `network` makes of timesteps: [...] -> [..., E]."""
    if isinstance(timesteps, LevelTimesteps):
        return TimestepEmbedding(functional.silu(network(timesteps.values)), timesteps.weights)
    if timesteps.ndim == 1:
        return TimestepEmbedding(functional.silu(network(timesteps[:, None])), None)
    per_pixel = functional.silu(network(timesteps[:, 0]))
    return TimestepEmbedding(per_pixel.permute(0, 3, 1, 2), None)
