"""The KL autoencoder of Stable Diffusion 1.x and 2.x, in its exact layout.

    encoder  conv_in -> 4 down blocks (2 resnets, stride-2 conv but in the last) -> mid
             -> norm, silu, conv_out -> quant_conv -> (mean, log-variance)
    decoder  post_quant_conv -> conv_in -> mid
             -> 4 up blocks (3 resnets, nearest + conv but in the last) -> norm, silu, conv_out

The mid block is resnet, one-head self-attention over all positions, resnet. Source: Rombach et
al., High-resolution image synthesis with latent diffusion models, 2022 (arXiv 2112.10752), and
diffusers' `AutoencoderKL`, whose parameter names are the tree paths here with '.' for '/' and
'.N' for '_N'. 83,653,863 parameters at the default sizes.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rdc_jax.models.layers import conv, nearest_upsample

NORM_EPSILON = 1e-6


class ResnetBlock(nn.Module):
    """norm-silu-conv, norm-silu-conv, + skip; [B,h,w,c] -> [B,h,w,channels]."""

    channels: int
    groups: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = x
        for i in (1, 2):
            norm = nn.GroupNorm(
                self.groups, epsilon=NORM_EPSILON, dtype=self.dtype, name=f"norm{i}"
            )
            h = conv(self.channels, dtype=self.dtype, name=f"conv{i}")(nn.silu(norm(h)))
        if x.shape[-1] != self.channels:
            x = conv(self.channels, 1, dtype=self.dtype, name="conv_shortcut")(x)
        return x + h


class AttentionBlock(nn.Module):
    """norm, one-head self-attention over the h*w positions, + skip; keeps [B,h,w,c]."""

    groups: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b, h, w, c = x.shape
        norm = nn.GroupNorm(self.groups, epsilon=NORM_EPSILON, dtype=self.dtype, name="group_norm")
        y = norm(x).reshape(b, h * w, c)
        q, k, v = (
            nn.Dense(c, dtype=self.dtype, name=name)(y)[:, :, None]  # b (h w) 1 c
            for name in ("to_q", "to_k", "to_v")
        )
        y = jax.nn.dot_product_attention(q, k, v)[:, :, 0]
        y = nn.Dense(c, dtype=self.dtype, name="to_out_0")(y)
        return x + y.reshape(b, h, w, c)


class Downsample(nn.Module):
    """Halves height and width; pads one row and column at the bottom and right only."""

    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        padding = ((0, 1), (0, 1))
        return nn.Conv(x.shape[-1], (3, 3), (2, 2), padding=padding, dtype=self.dtype, name="conv")(
            x
        )


class Upsample(nn.Module):
    """Doubles height and width: nearest neighbour, then a 3x3 convolution."""

    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return conv(x.shape[-1], dtype=self.dtype, name="conv")(nearest_upsample(x))


class ResolutionBlock(nn.Module):
    """The resnets of one resolution, then a change of resolution or none.

    `resampling` is 'down', 'up' or None.
    """

    channels: int
    layers: int
    resampling: str | None
    groups: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i in range(self.layers):
            x = ResnetBlock(self.channels, self.groups, self.dtype, name=f"resnets_{i}")(x)
        if self.resampling == "down":
            x = Downsample(self.dtype, name="downsamplers_0")(x)
        elif self.resampling == "up":
            x = Upsample(self.dtype, name="upsamplers_0")(x)
        return x


class MidBlock(nn.Module):
    """Resnet, attention, resnet at the lowest resolution."""

    groups: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        x = ResnetBlock(channels, self.groups, self.dtype, name="resnets_0")(x)
        x = AttentionBlock(self.groups, self.dtype, name="attentions_0")(x)
        return ResnetBlock(channels, self.groups, self.dtype, name="resnets_1")(x)


class Encoder(nn.Module):
    """Images [B,H,W,3] -> moments before `quant_conv`, [B,H/f,W/f,2*latent_channels]."""

    latent_channels: int
    block_out_channels: tuple[int, ...]
    layers_per_block: int
    groups: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = conv(self.block_out_channels[0], dtype=self.dtype, name="conv_in")(x)
        last = len(self.block_out_channels) - 1
        for i, channels in enumerate(self.block_out_channels):
            resampling = "down" if i < last else None
            x = ResolutionBlock(
                channels, self.layers_per_block, resampling, self.groups, self.dtype,
                name=f"down_blocks_{i}",
            )(x)  # fmt: skip
        x = MidBlock(self.groups, self.dtype, name="mid_block")(x)
        return _head(x, 2 * self.latent_channels, self.groups, self.dtype)


class Decoder(nn.Module):
    """Latents after `post_quant_conv`, [B,h,w,latent_channels] -> images [B,h*f,w*f,3]."""

    out_channels: int
    block_out_channels: tuple[int, ...]
    layers_per_block: int
    groups: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = conv(self.block_out_channels[-1], dtype=self.dtype, name="conv_in")(x)
        x = MidBlock(self.groups, self.dtype, name="mid_block")(x)
        last = len(self.block_out_channels) - 1
        for i, channels in enumerate(reversed(self.block_out_channels)):
            resampling = "up" if i < last else None
            x = ResolutionBlock(
                channels, self.layers_per_block + 1, resampling, self.groups, self.dtype,
                name=f"up_blocks_{i}",
            )(x)  # fmt: skip
        return _head(x, self.out_channels, self.groups, self.dtype)


def _head(x: jax.Array, channels: int, groups: int, dtype: Any) -> jax.Array:
    """norm-silu-conv at the end of both halves; its layers belong to the calling module."""
    norm = nn.GroupNorm(groups, epsilon=NORM_EPSILON, dtype=dtype, name="conv_norm_out")
    return conv(channels, dtype=dtype, name="conv_out")(nn.silu(norm(x)))


class AutoencoderKL(nn.Module):
    """Encoder, decoder and the two 1x1 convolutions beside the latent.

    Fields are diffusers' config keys; `dtype` is the compute type, parameters are float32.
    The latent leaves and enters scaled to about unit variance (`scaling_factor`). The posterior
    is not sampled: coding uses its mean.
    """

    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    latent_channels: int = 4
    norm_num_groups: int = 32
    scaling_factor: float = 0.18215
    image_channels: int = 3
    dtype: Any = jnp.float32

    @property
    def downsampling(self) -> int:
        """f, the ratio of image to latent sides; 8 at the default sizes."""
        return 2 ** (len(self.block_out_channels) - 1)

    def setup(self) -> None:
        shape = (self.block_out_channels, self.layers_per_block, self.norm_num_groups, self.dtype)
        self.encoder = Encoder(self.latent_channels, *shape)
        self.decoder = Decoder(self.image_channels, *shape)
        self.quant_conv = conv(2 * self.latent_channels, 1, dtype=self.dtype)
        self.post_quant_conv = conv(self.latent_channels, 1, dtype=self.dtype)

    def encode(self, images: jax.Array) -> jax.Array:
        """images [B,H,W,3] in [-1,1], H and W multiples of f -> latent float32 [B,H/f,W/f,4].

        Raises ValueError for other sizes (the convolutions would silently crop).
        """
        if images.shape[1] % self.downsampling or images.shape[2] % self.downsampling:
            raise ValueError(
                f"image size {images.shape[1:3]} must be a multiple of {self.downsampling}"
            )
        moments = self.quant_conv(self.encoder(images.astype(self.dtype)))
        mean = moments[..., : self.latent_channels]
        return mean.astype(jnp.float32) * self.scaling_factor

    def decode(self, latent: jax.Array) -> jax.Array:
        """latent [B,h,w,4] -> images float32 [B,h*f,w*f,3], about [-1,1], not clipped."""
        latent = (latent / self.scaling_factor).astype(self.dtype)
        return self.decoder(self.post_quant_conv(latent)).astype(jnp.float32)

    def __call__(self, images: jax.Array) -> jax.Array:
        """decode(encode(images)), the call that creates all parameters."""
        return self.decode(self.encode(images))
