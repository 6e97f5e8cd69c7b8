"""The plug-and-play module for a frozen codec: latent transform, and what trains it.

    fusion = Fusion.from_config(config.fusion, networks)
    params = fusion.init(jax.random.key(0))     {"transform", "auxiliary", "discriminator"}

(2412.11379.) The transform is a small U-Net that runs a latent diffusion process conditioned on
the decoded latent (`rdc_jax.diffusion.residual`). The auxiliary encoder and the discriminator
exist in training only. Everything the module asks of a base codec is `Networks.encode`,
`Networks.denoise`, `Networks.decode` and the entropy model's mean and scale, so it plugs into
every codec that has them; file and base weights stay as they are.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rdc_jax.diffusion import preconditioning, residual
from rdc_jax.models.discriminator import PatchDiscriminator
from rdc_jax.models.layers import conv, space_to_depth
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import Timesteps
from rdc_jax.models.unet import UNet

MIN_DEVIATION = 2.0**-6  # of a latent unit; keeps logarithms and quotients finite


class Decoded(NamedTuple):
    """What a base codec's decoder knows, all [B,h,w,C] float32, and the coding timesteps."""

    latent: jax.Array  # y_c, what synthesis makes the faithful picture of
    deviation: jax.Array  # w, expected standard deviation of the clean latent around it
    standardized: jax.Array  # the noisy latent in the coordinates of the entropy model's prior
    timesteps: Timesteps


def decoded_latent(
    networks: Networks,
    params: Mapping[str, Any],
    yhat: jax.Array,
    timesteps: Timesteps,
    mean: jax.Array,
    scale: jax.Array,
) -> Decoded:
    """The base codec's faithful (one-step) latent with what is known of its error.

    w = s kappa / sqrt(s^2 + kappa^2), the deviation that the prior (mean, scale s) leaves after
    yhat with quantisation noise of deviation kappa = Delta / sqrt(12) has been seen.
    """
    step = networks.steps_at_pixels(params, timesteps)
    z = preconditioning.standardize(yhat, step, mean, scale)
    latent = networks.denoise(params, yhat, timesteps, mean, scale)
    return Decoded(latent, scale * z.sigma, z.noisy, timesteps)


class AuxiliaryEncoder(nn.Module):
    """g_a'(x, y_c) -> y_p: sees the original, so exists in training only.

    Starts as the clean latent (its last layer is zero) and learns the latent from which the
    frozen synthesis makes the picture that looks best.
    """

    width: int
    blocks: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, clean: jax.Array, decoded: Decoded) -> jax.Array:
        """image [B,H,W,3] in [-1,1], clean latent [B,h,w,C] -> y_p [B,h,w,C]."""
        missing = (clean - decoded.latent) / decoded.deviation
        blocks = space_to_depth(image, image.shape[1] // clean.shape[1])
        x = jnp.concatenate([blocks, missing, decoded.standardized], axis=-1)
        x = conv(self.width, dtype=self.dtype, name="conv_in")(x)
        for i in range(self.blocks):
            h = conv(self.width, dtype=self.dtype, name=f"block_{i}_conv1")(nn.silu(x))
            x = x + conv(self.width, dtype=self.dtype, name=f"block_{i}_conv2")(nn.silu(h))
        zeros = nn.initializers.zeros
        x = conv(clean.shape[-1], dtype=self.dtype, name="conv_out", kernel_init=zeros)(nn.silu(x))
        return clean + decoded.deviation * x.astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class Fusion:
    """The module's networks; holds no parameters."""

    transform: UNet
    auxiliary: AuxiliaryEncoder
    discriminator: PatchDiscriminator
    latent_channels: int
    latent_unit: float
    downsampling: int

    @classmethod
    def from_config(
        cls, fusion: Mapping[str, Any], networks: Networks, dtype: Any = jnp.float32
    ) -> "Fusion":
        """`fusion`: the section of that name of a config (plain mapping), see configs/fusion.py."""
        unet = {k: tuple(v) if isinstance(v, list) else v for k, v in fusion["transform"].items()}
        return cls(
            transform=UNet(networks.latent_channels, **unet, dtype=dtype),
            auxiliary=AuxiliaryEncoder(**fusion["auxiliary"], dtype=dtype),
            discriminator=PatchDiscriminator(**fusion["discriminator"], dtype=dtype),
            latent_channels=networks.latent_channels,
            latent_unit=networks.hyperprior.latent_unit,
            downsampling=networks.downsampling,
        )

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Fresh parameters, plain nested dicts of float32 (works under eval_shape and jit)."""
        keys = jax.random.split(key, 3)
        latent = jnp.zeros((1, 8, 8, self.latent_channels))
        image = jnp.zeros((1, 8 * self.downsampling, 8 * self.downsampling, 3))
        decoded = Decoded(latent, latent + 1.0, latent, jnp.zeros((1,)))
        inputs = self.transform_inputs(latent, jnp.zeros((1,)), decoded)
        pair = jnp.concatenate([image, image], axis=-1)
        return {
            "transform": self.transform.init(keys[0], inputs, decoded.timesteps)["params"],
            "auxiliary": self.auxiliary.init(keys[1], image, latent, decoded)["params"],
            "discriminator": self.discriminator.init(keys[2], pair)["params"],
        }

    def transform_inputs(self, noisy: jax.Array, u: jax.Array, decoded: Decoded) -> jax.Array:
        """What the U-Net sees, [B,h,w,4C+2]: r_u, y_c, standardised yhat, log2 w, and the clock."""
        deviation = decoded.deviation / self.latent_unit
        deviation = jnp.log2(jnp.maximum(deviation, MIN_DEVIATION)) / 4.0
        plane = (*noisy.shape[:3], 1)
        amplitudes = [jnp.broadcast_to(a, plane) for a in residual.alpha_sigma(u)]
        latent = decoded.latent / self.latent_unit
        parts = [noisy, latent, decoded.standardized, deviation, *amplitudes]
        return jnp.concatenate(parts, axis=-1)

    def velocity(
        self, params: Mapping[str, Any], noisy: jax.Array, u: jax.Array, decoded: Decoded
    ) -> jax.Array:
        """The U-Net's v for a noisy residual [B,h,w,C] at clock u [B]."""
        inputs = self.transform_inputs(noisy, u, decoded)
        return self.transform.apply({"params": params["transform"]}, inputs, decoded.timesteps)

    def better_latent(
        self, params: Mapping[str, Any], image: jax.Array, clean: jax.Array, decoded: Decoded
    ) -> jax.Array:
        """y_p of the auxiliary encoder, [B,h,w,C]."""
        return self.auxiliary.apply({"params": params["auxiliary"]}, image, clean, decoded)

    def judge(self, params: Mapping[str, Any], image: jax.Array, faithful: jax.Array) -> jax.Array:
        """Patch logits [B,h',w',1], high for an original; both pictures [B,H,W,3] in [-1,1]."""
        pair = jnp.concatenate([image, faithful], axis=-1)
        return self.discriminator.apply({"params": params["discriminator"]}, pair)
