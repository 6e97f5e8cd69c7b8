"""The denoiser: a U-Net in the layout of Stable Diffusion 2.x that takes a map of timesteps.

    conv_in -> down blocks (resnets [+ transformer], stride-2 conv)
            -> mid (resnet, transformer, resnet)
            -> up blocks (skip concat, resnets [+ transformer], nearest + conv) -> conv_out

Module names follow diffusers' `UNet2DConditionModel`, so weights map key by key. Self- and
cross-attention are per level and optional: the small models have none. The timestep enters each
residual block through that block's own projection, resized to its resolution (models/timesteps).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rdc_jax.models.attention import Attend, Attention, plain_attention
from rdc_jax.models.gated_gelu import GatedDense
from rdc_jax.models.layers import Norm, conv, nearest_upsample, normalization
from rdc_jax.models.timesteps import TimeMLP, TimestepEmbedding, Timesteps

REMAT = {
    "none": None,  # keep every activation
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,  # keep dense layers
    "blocks": jax.checkpoint_policies.nothing_saveable,  # keep inputs of blocks only
}
"""What the backward pass keeps of a residual or transformer block; the rest is computed again."""


class ResnetBlock(nn.Module):
    """norm-silu-conv, + timestep, norm-silu-conv, + skip."""

    channels: int
    norm: Norm
    groups: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, time: TimestepEmbedding) -> jax.Array:
        def norm(name):
            return normalization(self.norm, self.groups, 1e-5, self.dtype, name)

        h = conv(self.channels, name="conv1", dtype=self.dtype)(nn.silu(norm("norm1")(x)))
        dense = nn.Dense(self.channels, dtype=self.dtype, name="time_emb_proj")
        h = h + time.project(dense, x.shape[1])
        h = conv(self.channels, name="conv2", dtype=self.dtype)(nn.silu(norm("norm2")(h)))
        if x.shape[-1] != self.channels:
            x = conv(self.channels, 1, name="conv_shortcut", dtype=self.dtype)(x)
        return x + h


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention (if there is a context), gated feed-forward."""

    heads: int
    attend: Attend
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, context: jax.Array | None) -> jax.Array:
        def norm(name):
            return nn.LayerNorm(epsilon=1e-5, dtype=self.dtype, name=name)

        def attention(name):
            return Attention(self.heads, self.attend, self.dtype, name=name)

        x = x + attention("attn1")(norm("norm1")(x))
        if context is not None:
            x = x + attention("attn2")(norm("norm2")(x), context)
        h = GatedDense(4 * x.shape[-1], self.dtype, name="ff_net_0_proj")(norm("norm3")(x))
        return x + nn.Dense(x.shape[-1], dtype=self.dtype, name="ff_net_2")(h)


class SpatialTransformer(nn.Module):
    """Group norm, linear in, one transformer block over all positions, linear out, residual."""

    heads: int
    groups: int
    attend: Attend
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, context: jax.Array | None) -> jax.Array:
        b, h, w, c = x.shape
        y = nn.GroupNorm(self.groups, epsilon=1e-6, dtype=self.dtype, name="norm")(x)
        y = nn.Dense(c, dtype=self.dtype, name="proj_in")(y.reshape(b, h * w, c))
        block = TransformerBlock(self.heads, self.attend, self.dtype, name="transformer_blocks_0")
        y = block(y, context)
        y = nn.Dense(c, dtype=self.dtype, name="proj_out")(y)
        return x + y.reshape(b, h, w, c)


class UNet(nn.Module):
    """Predicts eps, v or x0 (by config) from a noisy latent.

    Attributes:
        out_channels: C.
        channels: Per resolution level, finest first.
        layers: Residual blocks per level on the way down; there is one more on the way up.
        heads: Per level, 0 for a level without transformer.
        mid_heads: Of the middle block.
        norm: Kind of norm.
        groups: Of group norms.
        dtype: Of the computation; parameters stay float32.
        remat: What the backward pass may keep of a block, see REMAT.
        attend: The attention kernel.
    """

    out_channels: int
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers: int = 2
    heads: tuple[int, ...] = (5, 10, 20, 0)
    mid_heads: int = 20
    norm: Norm = "group"
    groups: int = 32
    dtype: Any = jnp.float32
    remat: str = "none"
    attend: Attend = plain_attention

    @nn.compact
    def __call__(
        self, noisy: jax.Array, timesteps: Timesteps, context: jax.Array | None = None
    ) -> jax.Array:
        """The prediction, float32 [B,h,w,out_channels].

        Args:
            noisy: [B,h,w,Cin]; h and w are multiples of 2 ** (number of levels - 1).
            timesteps: [B], [B,h,w,1] or LevelTimesteps, in 0..1000.
            context: [B,m,d], for the cross-attention where there are transformers.
        """
        self.check_size(noisy)
        resnet_class, transformer_class = self.block_classes()
        time = TimeMLP(self.channels[0], 4 * self.channels[0], self.dtype, name="time_embedding")(
            timesteps
        )

        def resnet(x, channels, name):
            return resnet_class(channels, self.norm, self.groups, self.dtype, name=name)(x, time)

        def transformer(x, heads, name):
            if not heads:
                return x
            block = transformer_class(heads, self.groups, self.attend, self.dtype, name=name)
            return block(x, context)

        x = conv(self.channels[0], name="conv_in", dtype=self.dtype)(noisy.astype(self.dtype))
        skips = [x]
        last = len(self.channels) - 1
        for level, (channels, heads) in enumerate(zip(self.channels, self.heads, strict=True)):
            for i in range(self.layers):
                x = resnet(x, channels, f"down_blocks_{level}_resnets_{i}")
                x = transformer(x, heads, f"down_blocks_{level}_attentions_{i}")
                skips.append(x)
            if level < last:
                name = f"down_blocks_{level}_downsamplers_0_conv"
                x = conv(channels, 3, 2, name=name, dtype=self.dtype)(x)
                skips.append(x)

        x = resnet(x, self.channels[-1], "mid_block_resnets_0")
        x = transformer(x, self.mid_heads, "mid_block_attentions_0")
        x = resnet(x, self.channels[-1], "mid_block_resnets_1")

        for block, level in enumerate(reversed(range(len(self.channels)))):
            for i in range(self.layers + 1):
                x = jnp.concatenate([x, skips.pop()], axis=-1)
                x = resnet(x, self.channels[level], f"up_blocks_{block}_resnets_{i}")
                x = transformer(x, self.heads[level], f"up_blocks_{block}_attentions_{i}")
            if level > 0:
                name = f"up_blocks_{block}_upsamplers_0_conv"
                x = conv(self.channels[level], name=name, dtype=self.dtype)(nearest_upsample(x))

        x = nn.silu(normalization(self.norm, self.groups, 1e-5, self.dtype, "conv_norm_out")(x))
        zeros = nn.initializers.zeros
        x = conv(self.out_channels, name="conv_out", dtype=self.dtype, kernel_init=zeros)(x)
        return x.astype(jnp.float32)

    def check_size(self, noisy: jax.Array) -> None:
        """Raises ValueError for a latent that the levels cannot halve evenly."""
        stride = 2 ** (len(self.channels) - 1)
        if noisy.shape[1] % stride or noisy.shape[2] % stride:
            raise ValueError(f"latent size {noisy.shape[1:3]} must be a multiple of {stride}")

    def block_classes(self) -> tuple[type[nn.Module], type[nn.Module]]:
        """Residual block and transformer, rematerialised as the field `remat` says."""
        if self.remat == "none":
            return ResnetBlock, SpatialTransformer
        policy = REMAT[self.remat]
        return tuple(nn.remat(block, policy=policy) for block in (ResnetBlock, SpatialTransformer))
