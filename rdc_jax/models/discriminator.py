"""The patch discriminator that tells originals from decoded images, in training only."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rdc_jax.models.layers import PixelNorm, conv


class PatchDiscriminator(nn.Module):
    """Logits per patch of an image, given the faithful decode of the same file as condition.

    Stride-2 convolutions and leaky ReLUs (Isola et al. 2017), conditioned as in HiFiC (Mentzer et
    al. 2020), with a norm per pixel instead of per batch. A logit sees about 60 x 60 pixels.
    """

    width: int = 48
    levels: int = 3
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pair: jax.Array) -> jax.Array:
        """pair [B,H,W,6]: the image and its condition, in [-1,1] -> float32 [B,H/8,W/8,1]."""
        x = pair
        for level in range(self.levels):
            width = self.width * 2**level
            x = conv(width, 5, 2, dtype=self.dtype, name=f"down_{level}")(x)
            if level:
                x = PixelNorm(dtype=self.dtype, name=f"norm_{level}")(x)
            x = nn.leaky_relu(x, 0.2)
        x = conv(self.width * 2**self.levels // 2, dtype=self.dtype, name="conv")(x)
        x = nn.leaky_relu(PixelNorm(dtype=self.dtype, name="norm")(x), 0.2)
        return conv(1, dtype=self.dtype, name="conv_out")(x).astype(jnp.float32)
