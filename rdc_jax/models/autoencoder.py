"""The small, fast autoencoder of the shipped models: a learnt transform that starts as a DCT.

    analysis:  y = gain * (A s2d8(x) + f(x))       A = lowest 8x8 DCT coefficients of Y, Cb, Cr
    synthesis: x = d2s8(S y / gain) + g(y / gain)  S = its pseudo-inverse

A and S are dense layers on 8x8 blocks; f and g are residual conv nets whose last layer starts at
zero, so training starts at the level of JPEG. The gain stands outside the kernels (an optimiser
moves a weight of 30 too slowly) and puts latents in units of about four 8-bit grey levels, so
that quantiser steps of 1 to 30 span the useful rates [ours].

The analysis may be larger than the synthesis, which costs encoders only: `added_blocks` have more
hidden channels and a last layer that starts at zero, so that stored weights can grow by them.

With zeros beyond the edge of an image, the latent changes there, and the entropy model expects this
change at the end of every tile, where it is not. `analysis_padding="edge"` avoids it.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.models.layers import Padding, conv, depth_to_space, space_to_depth

LATENT_GAIN = 32.0
DOWNSAMPLING = 8
RGB_TO_YCBCR = np.array(  # ITU-R BT.601, full range
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)


@functools.cache
def dct_analysis_matrix(luma: int, chroma: int) -> np.ndarray:
    """[192, luma + 2 chroma]: an 8x8 RGB block, flattened (row, column, colour), -> coefficients.

    Orthonormal 2-D DCT-II of Y (the `luma` lowest frequencies by index sum), Cb and Cr.
    """
    n = np.arange(8)
    basis = np.cos(np.pi * (2 * n[None] + 1) * n[:, None] / 16) * np.sqrt(2 / 8)
    basis[0] /= np.sqrt(2)
    order = sorted(((u, v) for u in n for v in n), key=lambda uv: (sum(uv), max(uv), uv))
    columns = []
    for colour, count in enumerate((luma, chroma, chroma)):
        for u, v in order[:count]:
            plane = np.outer(basis[u], basis[v])
            columns.append((plane[..., None] * RGB_TO_YCBCR[colour]).reshape(-1))
    return np.stack(columns, axis=1)


@functools.cache
def dct_synthesis_matrix(luma: int, chroma: int) -> np.ndarray:
    """[luma + 2 chroma, 192]: pseudo-inverse of the analysis matrix.

    Kept, because Flax asks for the initial kernel of a layer each time that it is traced.
    """
    return np.linalg.pinv(dct_analysis_matrix(luma, chroma))


class ConvBlock(nn.Module):
    """conv - silu - conv + identity; no norm, so it is fast and local.

    Attributes:
        channels: In and out.
        dtype: Of the computation.
        hidden: Channels between; 0 for as many.
        added: Whether the last layer starts at zero, so that the block starts as the identity.
        padding: Of both layers.
    """

    channels: int
    dtype: Any
    hidden: int = 0
    added: bool = False
    padding: Padding = "zeros"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layer = functools.partial(conv, dtype=self.dtype, padding=self.padding)
        start = {"kernel_init": nn.initializers.zeros} if self.added else {}
        h = layer(self.hidden or self.channels, name="conv1")(nn.silu(x))
        return x + layer(self.channels, name="conv2", **start)(nn.silu(h))


class Analysis(nn.Module):
    """Image [B,H,W,3] in [-1,1] -> latent / gain [B,H/8,W/8,luma + 2 chroma].

    Each of the two resolutions has `blocks`, then `added_blocks` with `expansion` times as many
    hidden channels.
    """

    luma: int
    chroma: int
    fine_width: int
    width: int
    blocks: int
    dtype: Any
    added_blocks: int = 0
    expansion: int = 2
    padding: Padding = "zeros"

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        def dct(key, shape, dtype):
            return jnp.asarray(dct_analysis_matrix(self.luma, self.chroma), dtype)

        layer = functools.partial(conv, dtype=self.dtype, padding=self.padding)
        out = self.luma + 2 * self.chroma
        linear = nn.Dense(out, use_bias=False, kernel_init=dct, name="linear")(
            space_to_depth(image, DOWNSAMPLING)
        )
        x = layer(self.fine_width, name="conv_in")(space_to_depth(image, 4))
        x = self.refine(x, "fine")
        x = layer(self.width, name="down")(space_to_depth(x, 2))
        x = self.refine(x, "coarse")
        zeros = nn.initializers.zeros
        x = layer(out, name="conv_out", kernel_init=zeros)(nn.silu(x))
        return linear + x.astype(jnp.float32)

    def refine(self, x: jax.Array, name: str) -> jax.Array:
        """All blocks of a resolution, "fine" or "coarse": x [B,h,w,c] -> the same shape."""
        channels, hidden = x.shape[-1], self.expansion * x.shape[-1]
        block = functools.partial(ConvBlock, channels, self.dtype, padding=self.padding)
        for i in range(self.blocks):
            x = block(name=f"{name}_{i}")(x)
        for i in range(self.blocks, self.blocks + self.added_blocks):
            x = block(hidden=hidden, added=True, name=f"{name}_{i}")(x)
        return x


class Synthesis(nn.Module):
    """Latent / gain [B,h,w,C] -> image [B,8h,8w,3], not clipped."""

    luma: int
    chroma: int
    fine_width: int
    width: int
    blocks: int
    dtype: Any

    @nn.compact
    def __call__(self, y: jax.Array) -> jax.Array:
        def inverse_dct(key, shape, dtype):
            return jnp.asarray(dct_synthesis_matrix(self.luma, self.chroma), dtype)

        pixels = 3 * DOWNSAMPLING**2
        linear = nn.Dense(pixels, use_bias=False, kernel_init=inverse_dct, name="linear")(y)
        x = conv(self.width, dtype=self.dtype, name="conv_in")(y)
        for i in range(self.blocks):
            x = ConvBlock(self.width, self.dtype, name=f"coarse_{i}")(x)
        x = depth_to_space(conv(4 * self.fine_width, 1, dtype=self.dtype, name="up")(x), 2)
        for i in range(self.blocks):
            x = ConvBlock(self.fine_width, self.dtype, name=f"fine_{i}")(x)
        zeros = nn.initializers.zeros
        x = conv(48, dtype=self.dtype, name="conv_out", kernel_init=zeros)(nn.silu(x))
        return depth_to_space(linear, DOWNSAMPLING) + depth_to_space(x.astype(jnp.float32), 4)


class TransformAutoencoder(nn.Module):
    """Analysis and synthesis under one name; same interface as `AutoencoderKL`."""

    luma: int = 21
    chroma: int = 6
    fine_width: int = 48
    width: int = 96
    blocks: int = 2
    dtype: Any = jnp.float32
    analysis_added_blocks: int = 0
    analysis_expansion: int = 2
    analysis_padding: Padding = "zeros"

    downsampling = DOWNSAMPLING

    def setup(self) -> None:
        fields = (self.luma, self.chroma, self.fine_width, self.width, self.blocks, self.dtype)
        added = self.analysis_added_blocks, self.analysis_expansion
        self.analysis = Analysis(*fields, *added, self.analysis_padding)
        self.synthesis = Synthesis(*fields)

    def encode(self, images: jax.Array) -> jax.Array:
        """images [B,H,W,3] in [-1,1], H and W multiples of 8 -> latent [B,H/8,W/8,C]."""
        return LATENT_GAIN * self.analysis(images)

    def decode(self, latent: jax.Array) -> jax.Array:
        """latent [B,h,w,C] -> images [B,8h,8w,3], about [-1,1], not clipped."""
        return self.synthesis(latent / LATENT_GAIN)

    def __call__(self, images: jax.Array) -> jax.Array:
        return self.decode(self.encode(images))
