"""Timesteps per pixel in PyTorch, in the same forms as in `rdc_jax.models.timesteps`.

[B]               one timestep per image
[B,1,h,w]         one timestep per latent pixel, of any value
LevelTimesteps    L values per image, and the share of each value at every latent pixel
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from rdc_jax.interop.torch.extra import Tensor, functional, nn, torch
from rdc_jax.interop.torch.layers import area_pool


class LevelTimesteps(NamedTuple):
    """Timesteps of L levels, and the level of each latent pixel.

    Attributes:
        values: float32 [B,L], 0..1000.
        weights: float32 [B,L,h,w] with the sum 1 over L; one-hot for a quantised map.
    """

    values: Tensor
    weights: Tensor

    def at_pixels(self, per_level: Tensor) -> Tensor:
        """Maps values of the levels [B,L,C] to latent pixels [B,C,h,w]."""
        return torch.einsum("blhw,blc->bchw", self.weights, per_level)


Timesteps = Tensor | LevelTimesteps


def level_timesteps(values: Tensor, levels: Tensor) -> LevelTimesteps:
    """Returns timesteps from values [B,L] and a map of level indexes, integers [B,h,w]."""
    weights = functional.one_hot(levels.long(), values.shape[1])
    return LevelTimesteps(values, weights.permute(0, 3, 1, 2).to(values.dtype))


def sinusoids(t: Tensor, dim: int) -> Tensor:
    """Returns Stable Diffusion's embedding [..., dim] of t [...]: cosines first, no shift."""
    half = dim // 2
    octaves = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t[..., None].float() * torch.exp(-math.log(10000.0) / half * octaves)
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)


class TimestepEmbedding(NamedTuple):
    """SiLU of an embedding of timesteps.

    Attributes:
        embedding: [B,1,E] for one timestep per image, [B,L,E] per level, or [B,E,h,w] per pixel.
        weights: [B,L,h,w] with an embedding per level, otherwise None.
    """

    embedding: Tensor
    weights: Tensor | None

    def project(self, linear: nn.Linear, height: int) -> Tensor:
        """Applies a block's projection, at features of the given height.

        The result is broadcastable to [B,C,h',w'].
        """
        if self.embedding.ndim == 4:
            pooled = area_pool(self.embedding, self.embedding.shape[2] // height)
            return functional.conv2d(pooled, linear.weight[:, :, None, None], linear.bias)
        projected = functional.linear(self.embedding, linear.weight, linear.bias)  # b l c
        if self.weights is None:
            return projected[:, 0, :, None, None]
        weights = area_pool(self.weights, self.weights.shape[2] // height)
        return torch.einsum("blhw,blc->bchw", weights.to(projected.dtype), projected)


def embed(timesteps: Timesteps, network: Callable[[Tensor], Tensor]) -> TimestepEmbedding:
    """Returns the SiLU of an embedding. `network` maps timesteps [...] to embeddings [..., E]."""
    if isinstance(timesteps, LevelTimesteps):
        return TimestepEmbedding(functional.silu(network(timesteps.values)), timesteps.weights)
    if timesteps.ndim == 1:
        return TimestepEmbedding(functional.silu(network(timesteps[:, None])), None)
    per_pixel = functional.silu(network(timesteps[:, 0]))
    return TimestepEmbedding(per_pixel.permute(0, 3, 1, 2), None)
