"""5x5 convolutions of stride 2, down and up, with PyTorch's geometry (padding 2, output padding 1).

    down  y[o] = sum_k w[k] x[2 o + k - 2]           [B,2h,2w,c] -> [B,h,w,features]
    up    y[o] = sum over 2 i + k - 2 = o of w[k] x[i]     [B,h,w,c] -> [B,2h,2w,features]

Going up, each of the four output phases (row and column even or odd) is a 3x3 convolution of the
input: one convolution to 4 x features, then depth-to-space. XLA's gradient of a dilated
convolution is twenty times slower on CPUs.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange

from rdc_jax.models.layers import depth_to_space

KERNEL = 5
NHWC = ("NHWC", "HWIO", "NHWC")


def phase_kernel(kernel: jax.Array) -> jax.Array:
    """Upward kernel [5,5,c,o] -> kernel [3,3,c,4 o] of the four phases (row major).

    With o = 2 u + p and i = u + d, the tap is k = p + 2 - 2 d, d = -1, 0, 1; k = 5 is zero.
    """
    padded = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
    phases = rearrange(padded, "(u i) (v j) c o -> u v c (i j o)", i=2, j=2)
    return jnp.flip(phases, (0, 1))


def fan_in_init(gain: float) -> nn.initializers.Initializer:
    """Normal weights whose layer multiplies the variance by `gain`."""
    return nn.initializers.variance_scaling(gain, "fan_in", "truncated_normal")


class Downsample(nn.Module):
    """Halves height and width; both must be even."""

    features: int
    dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = fan_in_init(1.0)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (KERNEL, KERNEL, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = jax.lax.conv_general_dilated(
            x.astype(self.dtype), kernel.astype(self.dtype), (2, 2), ((2, 2), (2, 2)),
            dimension_numbers=NHWC,
        )  # fmt: skip
        return y + bias.astype(self.dtype).reshape(1, 1, 1, -1)


class Upsample(nn.Module):
    """Doubles height and width (a transposed convolution)."""

    features: int
    dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = fan_in_init(4.0)  # a quarter of the taps meet data

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (KERNEL, KERNEL, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = jax.lax.conv_general_dilated(
            x.astype(self.dtype), phase_kernel(kernel).astype(self.dtype), (1, 1), "SAME",
            dimension_numbers=NHWC,
        )  # fmt: skip
        return depth_to_space(y, 2) + bias.astype(self.dtype).reshape(1, 1, 1, -1)
