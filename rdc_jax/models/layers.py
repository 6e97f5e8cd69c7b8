"""Layers shared by the networks: convolutions, norms, resampling."""

from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange, reduce

Norm = Literal["group", "pixel"]
Padding = Literal["zeros", "edge"]


def conv(
    features: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    name: str | None = None,
    dtype: Any = jnp.float32,
    use_bias: bool = True,
    kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal(),
    padding: Padding = "zeros",
) -> nn.Conv:
    """A square convolution padded by kernel // 2 on every side (the PyTorch convention).

    Args:
        features: Output channels.
        kernel: Side of the kernel.
        stride: In both directions.
        name: Of the layer in the tree of parameters.
        dtype: Of the computation.
        use_bias: Whether a bias is added.
        kernel_init: Initial kernel.
        padding: What is beyond the sides: "zeros", or the values at the "edge" repeated.
    """
    if padding not in ("zeros", "edge"):
        raise ValueError(f"padding must be 'zeros' or 'edge', got {padding!r}")
    kind = nn.Conv if padding == "zeros" else EdgeConv
    return kind(
        features,
        (kernel, kernel),
        (stride, stride),
        padding=kernel // 2 if padding == "zeros" else "VALID",
        name=name,
        dtype=dtype,
        use_bias=use_bias,
        kernel_init=kernel_init,
    )


class EdgeConv(nn.Conv):
    """A convolution of images [B,h,w,c] that repeats their edges, where nn.Conv has zeros."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        rows, columns = ((size // 2, size // 2) for size in self.kernel_size)
        return super().__call__(jnp.pad(x, ((0, 0), rows, columns, (0, 0)), mode="edge"))


class PixelNorm(nn.Module):
    """RMS norm over the channels of each pixel with a learnt gain; local, so windows agree."""

    epsilon: float = 1e-6
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        gain = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        x = x.astype(jnp.float32)
        power = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        gain = gain.reshape((1,) * (x.ndim - 1) + (-1,))
        return (x * jax.lax.rsqrt(power + self.epsilon) * gain).astype(self.dtype)


def normalization(kind: Norm, groups: int, epsilon: float, dtype: Any, name: str) -> nn.Module:
    """A norm layer.

    Args:
        kind: "group": group norm as in Stable Diffusion. "pixel": the norm of the small models.
        groups: Of the group norm.
        epsilon: Of the group norm.
        dtype: Of the result.
        name: Of the layer in the tree of parameters.
    """
    if kind == "group":
        return nn.GroupNorm(groups, epsilon=epsilon, dtype=dtype, name=name)
    if kind == "pixel":
        return PixelNorm(dtype=dtype, name=name)
    raise ValueError(f"norm must be 'group' or 'pixel', got {kind!r}")


def depth_to_space(x: jax.Array, factor: int) -> jax.Array:
    """[B,h,w,f*f*c] -> [B,h*f,w*f,c]."""
    return rearrange(x, "b h w (i j c) -> b (h i) (w j) c", i=factor, j=factor)


def space_to_depth(x: jax.Array, factor: int) -> jax.Array:
    """[B,H,W,c] -> [B,H/f,W/f,f*f*c]; H and W must be multiples of f."""
    return rearrange(x, "b (h i) (w j) c -> b h w (i j c)", i=factor, j=factor)


def area_pool(x: jax.Array, factor: int) -> jax.Array:
    """[B,h,w,c] -> [B,h/f,w/f,c] by averaging f x f areas."""
    if factor == 1:
        return x
    return reduce(x, "b (h i) (w j) c -> b h w c", "mean", i=factor, j=factor)


def nearest_upsample(x: jax.Array, factor: int = 2) -> jax.Array:
    """[B,h,w,c] -> [B,h*f,w*f,c] by repetition."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None, :], (b, h, factor, w, factor, c))
    return x.reshape(b, h * factor, w * factor, c)
