"""Timestep conditioning that may differ at every pixel.

Three forms of the same thing, so that a constant map equals a scalar:
  [B]          one timestep per image;
  [B,h,w,1]    one per latent pixel, any values;
  levels       a `LevelTimesteps`: L values per image and the share of each at every pixel. Maps
               have few importance levels, so L embeddings are computed and mixed instead of h*w.

The embedding is resized by area to a block's resolution and projected there; both are linear,
so mixing the L projected embeddings gives the same result.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rdc_jax.models.layers import area_pool


class LevelTimesteps(NamedTuple):
    """Timesteps of L levels, and the level of each latent pixel."""

    values: jax.Array  # float32 [B,L], 0..1000
    weights: jax.Array  # float32 [B,h,w,L], sums to 1 over L (one-hot for a quantised map)

    def at_pixels(self, per_level: jax.Array) -> jax.Array:
        """[B,L] values (of timesteps, ...) -> [B,h,w,1]; [B,L,C] -> [B,h,w,C]."""
        if per_level.ndim == 2:
            per_level = per_level[..., None]
        return jnp.einsum("bhwl,blc->bhwc", self.weights, per_level)


Timesteps = jax.Array | LevelTimesteps


def level_timesteps(values: jax.Array, levels: jax.Array) -> LevelTimesteps:
    """values [B,L] float32 and a level index map [B,h,w] -> LevelTimesteps with one-hot weights."""
    return LevelTimesteps(values, jax.nn.one_hot(levels, values.shape[1], dtype=jnp.float32))


def sinusoids(t: jax.Array, dim: int) -> jax.Array:
    """Stable Diffusion's embedding (cosines first, no frequency shift): t [...] -> [..., dim]."""
    half = dim // 2
    frequencies = jnp.exp(-math.log(10000.0) / half * jnp.arange(half, dtype=jnp.float32))
    angles = t[..., None].astype(jnp.float32) * frequencies.reshape((1,) * t.ndim + (-1,))
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


class TimestepEmbedding(NamedTuple):
    """SiLU of the embedding, per level [B,L,E] with weights, or per pixel [B,h,w,E]."""

    embedding: jax.Array
    weights: jax.Array | None  # [B,h,w,L]

    def project(self, dense: nn.Module, height: int) -> jax.Array:
        """A block's projection at feature height `height`, broadcastable to [B,h',w',C]."""
        if self.embedding.ndim == 4:
            return dense(area_pool(self.embedding, self.embedding.shape[1] // height))
        projected = dense(self.embedding)  # b l c
        if self.weights is None:
            return projected[:, :, None, :]
        weights = area_pool(self.weights, self.weights.shape[1] // height)
        return jnp.einsum("bhwl,blc->bhwc", weights.astype(projected.dtype), projected)


class TimeMLP(nn.Module):
    """Sinusoids -> two dense layers, applied per level or per pixel (Linear seen as 1x1)."""

    channels: int
    dim: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, timesteps: Timesteps) -> TimestepEmbedding:
        weights = None
        if isinstance(timesteps, LevelTimesteps):
            t, weights = timesteps
        elif timesteps.ndim == 1:
            t = timesteps[:, None]
        else:
            t = timesteps[..., 0]
        x = nn.Dense(self.dim, dtype=self.dtype, name="linear_1")(sinusoids(t, self.channels))
        x = nn.Dense(self.dim, dtype=self.dtype, name="linear_2")(nn.silu(x))
        return TimestepEmbedding(nn.silu(x), weights)
