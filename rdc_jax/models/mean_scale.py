"""The mean-scale hyperprior codec (Balle et al. 2018, Minnen et al. 2018), a base without denoiser.

    image -> g_a: 4 x (5x5, stride 2), GDN between       -> y, at 1/16
    y     -> h_a: 3x3, 5x5 stride 2, 5x5 stride 2        -> z, at 1/64, rounded and coded
    z     -> h_s: up, up, 3x3, leaky ReLU between        -> scale and mean of every y
    y     -> g_s: 4 x (5x5 up), inverse GDN between      -> image

Layers carry the numbers that CompressAI's `mbt2018-mean` gives them (g_a.0, g_a.1, ..), so its
weights map key by key. The gains are ours, and 1 for imported weights: they multiply the outputs of
a network that is trained from scratch, because an optimiser moves large weights too slowly.

Everything after z runs twice in the project: here in float32 for training, and in
`rdc_jax.entropy.mean_scale_network` in exact fixed point for coding. Keep the two in step.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rdc_jax.models.gdn import GDN, lower_bound
from rdc_jax.models.hyper_latent import CodedHyperLatent, coded_hyper_latent
from rdc_jax.models.layers import conv
from rdc_jax.models.strided import Downsample, Upsample
from rdc_jax.models.wavelet_init import down_init, up_init

LEAK = 0.01
IMAGE_CHANNELS = 3


class MeanScaleAutoencoder(nn.Module):
    """g_a and g_s; `width` N of the hidden layers, `latent_channels` M.

    Latents are `latent_gain` times the output of g_a; images are in [0,1] inside, as CompressAI's.
    """

    width: int = 128
    latent_channels: int = 192
    latent_gain: float = 1.0
    dtype: Any = jnp.float32

    downsampling = 16

    def setup(self) -> None:
        n, m, dtype = self.width, self.latent_channels, self.dtype
        widths = (IMAGE_CHANNELS, n, n, n, m)

        def down(layer: int) -> Downsample:
            return Downsample(widths[layer + 1], dtype, down_init(widths, layer))

        def up(layer: int) -> Upsample:
            return Upsample(widths[layer], dtype, up_init(widths, layer))

        self.g_a_0, self.g_a_1 = down(0), GDN(dtype=dtype)
        self.g_a_2, self.g_a_3 = down(1), GDN(dtype=dtype)
        self.g_a_4, self.g_a_5 = down(2), GDN(dtype=dtype)
        self.g_a_6 = down(3)
        self.g_s_0, self.g_s_1 = up(3), GDN(inverse=True, dtype=dtype)
        self.g_s_2, self.g_s_3 = up(2), GDN(inverse=True, dtype=dtype)
        self.g_s_4, self.g_s_5 = up(1), GDN(inverse=True, dtype=dtype)
        self.g_s_6 = up(0)

    def encode(self, images: jax.Array) -> jax.Array:
        """images [B,H,W,3] in [-1,1], H and W multiples of 16 -> latent float32 [B,H/16,W/16,M]."""
        x = self.g_a_1(self.g_a_0((images + 1.0) / 2.0))
        x = self.g_a_5(self.g_a_4(self.g_a_3(self.g_a_2(x))))
        return self.latent_gain * self.g_a_6(x).astype(jnp.float32)

    def decode(self, latent: jax.Array) -> jax.Array:
        """latent [B,h,w,M] -> images float32 [B,16h,16w,3], about [-1,1], not clipped."""
        x = self.g_s_1(self.g_s_0(latent / self.latent_gain))
        x = self.g_s_5(self.g_s_4(self.g_s_3(self.g_s_2(x))))
        return 2.0 * self.g_s_6(x).astype(jnp.float32) - 1.0

    def __call__(self, images: jax.Array) -> jax.Array:
        return self.decode(self.encode(images))


class ChannelPrior(nn.Module):
    """The prior of the hyper-latent: a Gaussian (mean, log2_scale) per channel, and a grid offset.

    `median` is the value that rounding keeps (CompressAI's quantiles). A network trained from
    scratch has a median of 0, which is not trained.
    """

    channels: int

    def setup(self) -> None:
        zeros = nn.initializers.zeros
        self.mean = self.param("mean", zeros, (self.channels,))
        self.log2_scale = self.param("log2_scale", zeros, (self.channels,))
        self.median = self.param("median", zeros, (self.channels,))


class MeanScaleHyperprior(nn.Module):
    """h_a and h_s with the interface of `Hyperprior`; the condition is ignored.

    Attributes:
        latent_channels: M.
        width: N, also the number of hyper-latent channels.
        latent_unit: A power of two. Latents are divided by it on the way in, means and scales are
            multiplied by it on the way out.
        scale_bound: Least scale, before that multiplication.
        hyper_gain: Factor on z.
    """

    latent_channels: int
    width: int = 128
    latent_unit: float = 1.0
    scale_bound: float = 0.11
    hyper_gain: float = 1.0

    def setup(self) -> None:
        n, m = self.width, self.latent_channels
        self.h_a_0, self.h_a_2, self.h_a_4 = conv(n), Downsample(n), Downsample(n)
        self.h_s_0, self.h_s_2 = Upsample(m), Upsample(m * 3 // 2)
        self.h_s_4 = conv(2 * m, kernel_init=nn.initializers.zeros)
        self.z_prior = ChannelPrior(n)

    def hyper_analysis(self, latent: jax.Array, condition: jax.Array) -> jax.Array:
        """latent [B,h,w,M], h and w multiples of 4 -> z less its median, [B,h/4,w/4,N]."""
        x = nn.leaky_relu(self.h_a_0(latent / self.latent_unit), LEAK)
        x = self.h_a_4(nn.leaky_relu(self.h_a_2(x), LEAK))
        return self.hyper_gain * x - self._median()

    def hyper_latent_prior(self, condition: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log2 scale of the result of `hyper_analysis`, each [1,1,1,N]."""
        shape = (1, 1, 1, -1)
        return self.z_prior.mean.reshape(shape), self.z_prior.log2_scale.reshape(shape)

    def hyper_latent_given(self, z: jax.Array, condition: jax.Array) -> CodedHyperLatent:
        """z of `hyper_analysis` as both sides of coding see it, with its prior."""
        return coded_hyper_latent(z, *self.hyper_latent_prior(condition))

    def parameters_given(
        self, z: jax.Array, noisy_latent: jax.Array, condition: jax.Array, log2_step: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Mean and log2 scale of every latent element [B,h,w,M], from rounded z alone.

        Args:
            z: As coded.
            noisy_latent: Ignored, as are the others; `Hyperprior` needs them.
            condition: Ignored.
            log2_step: Ignored.
        """
        x = nn.leaky_relu(self.h_s_0((z + self._median()) / self.hyper_gain), LEAK)
        x = self.h_s_4(nn.leaky_relu(self.h_s_2(x), LEAK))
        scale, mean = jnp.split(x, 2, axis=-1)
        scale = self.latent_unit * lower_bound(scale, self.scale_bound)
        return self.latent_unit * mean, jnp.log2(scale)

    def __call__(
        self, latent: jax.Array, noisy_latent: jax.Array, condition: jax.Array, log2_step: jax.Array
    ) -> tuple[jax.Array, ...]:
        """Touches every parameter (for init): returns z, its prior, mean and log2 scale."""
        z = self.hyper_analysis(latent, condition)
        return (
            z,
            *self.hyper_latent_prior(condition),
            *self.parameters_given(z, noisy_latent, condition, log2_step),
        )

    def matched_to(
        self, params: Mapping[str, Any], mean: jax.Array, deviation: jax.Array
    ) -> dict[str, Any]:
        """Parameters whose output starts at each latent channel's mean and deviation.

        Args:
            params: Of this network.
            mean: Of each channel, [M].
            deviation: Of each channel, [M].
        """
        bias = jnp.concatenate([deviation, mean]) / self.latent_unit
        return {**params, "h_s_4": {**params["h_s_4"], "bias": bias}}

    def _median(self) -> jax.Array:
        return jax.lax.stop_gradient(self.z_prior.median).reshape(1, 1, 1, -1)
