"""The fusion module of a codec: the latent transform, and the networks that train it.

    fusion = Fusion.from_config(config.fusion, networks)
    params = fusion.init(jax.random.key(0))     {"transform", "auxiliary", "discriminator"}

(2412.11379.) The transform is a small U-Net that runs a latent diffusion process conditioned on
the decoded latent (`rdc_jax.diffusion.residual`). The auxiliary encoder and the discriminator
exist in training only. The module uses `Networks.encode`, `Networks.denoise`, `Networks.decode` and
the entropy model's mean and scale, so it fits every codec that has them. Files and weights of the
base codec stay as they are.
"""

import dataclasses
import math
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
GRAIN_AT_START = 0.15  # of the deviation: best LPIPS of a constant share over all rates


class Decoded(NamedTuple):
    """What a base codec's decoder knows, [B,h,w,C] float32 where no other shape is given."""

    latent: jax.Array  # y_c, from which synthesis makes the faithful image
    deviation: jax.Array  # w, expected standard deviation of the clean latent around it
    features: jax.Array  # [B,h,w,3C], see `Networks.prior_features`
    output: jax.Array | None  # v of the base's denoiser, if it has one that predicts v
    timesteps: Timesteps


def decoded_latent(
    networks: Networks,
    params: Mapping[str, Any],
    yhat: jax.Array,
    timesteps: Timesteps,
    mean: jax.Array,
    scale: jax.Array,
) -> Decoded:
    """The base codec's faithful (one-step) latent, and what is known of its error.

    w = s kappa / sqrt(s^2 + kappa^2) is the deviation of the clean latent given the prior (mean,
    scale s) and yhat with quantisation noise of deviation kappa = Delta / sqrt(12).

    Args:
        networks: Of the base codec.
        params: Of the base codec.
        yhat: The latent that the decoder received, [B,h,w,C].
        timesteps: Of the pixels or levels.
        mean: Of the entropy model's prior.
        scale: Of the same prior.
    """
    step = networks.steps_at_pixels(params, timesteps)
    z = preconditioning.standardize(yhat, step, mean, scale, networks.silent_below)
    latent, output = yhat, None
    if networks.unet is not None:
        output, own = networks.run_unet(params, yhat, timesteps, mean, scale)
        latent = preconditioning.clean_estimate(output, own, networks.prediction)
    if not can_start_from_base(networks):
        output = None
    return Decoded(latent, scale * z.sigma, networks.prior_features(z), output, timesteps)


def can_start_from_base(networks: Networks) -> bool:
    """Whether a transform can begin as the base's denoiser: one that knows the prior, with v."""
    known = networks.prior_conditioning and networks.prediction == "v"
    return networks.unet is not None and known


class AuxiliaryEncoder(nn.Module):
    """g_a'(x, y_c) -> y_p: sees the original, so exists in training only.

    Starts as the clean latent (its last layer is zero) and learns the latent from which the
    frozen synthesis makes the best-looking image.
    """

    width: int
    blocks: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, clean: jax.Array, decoded: Decoded) -> jax.Array:
        """image [B,H,W,3] in [-1,1], clean latent [B,h,w,C] -> y_p [B,h,w,C]."""
        missing = (clean - decoded.latent) / decoded.deviation
        blocks = space_to_depth(image, image.shape[1] // clean.shape[1])
        x = jnp.concatenate([blocks, missing, decoded.features], axis=-1)
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
    from_base: bool  # the transform is a copy of the base's denoiser that learns to differ
    auxiliary: AuxiliaryEncoder
    discriminator: PatchDiscriminator
    latent_channels: int
    latent_unit: float
    downsampling: int

    @classmethod
    def from_config(cls, fusion: Mapping[str, Any], networks: Networks) -> "Fusion":
        """The networks of a config's `fusion` section, computing in the dtype of the base.

        With `from_base` the transform is a copy of the base's denoiser, if there is one to copy.
        Otherwise the field `transform` describes its `UNet`.

        Args:
            fusion: That section as a plain mapping, see configs/fusion.py.
            networks: Of the base codec.
        """
        dtype = networks.dtype
        from_base = bool(fusion["from_base"]) and can_start_from_base(networks)
        unet = {k: tuple(v) if isinstance(v, list) else v for k, v in fusion["transform"].items()}
        channels = 2 * networks.latent_channels  # a shift and a share of noise
        transform = UNet(channels, **unet, dtype=dtype)
        if from_base:
            transform = networks.unet.clone(out_channels=channels, dtype=dtype)
        return cls(
            transform=transform,
            from_base=from_base,
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
        features = jnp.concatenate([latent] * 3, axis=-1)
        decoded = Decoded(latent, latent + 1.0, features, latent, jnp.zeros((1,)))
        inputs = self.transform_inputs(latent, jnp.zeros((1,)), decoded)
        pair = jnp.concatenate([image, image], axis=-1)
        return {
            "transform": self.transform.init(keys[0], inputs, decoded.timesteps)["params"],
            "auxiliary": self.auxiliary.init(keys[1], image, latent, decoded)["params"],
            "discriminator": self.discriminator.init(keys[2], pair)["params"],
        }

    def start(self, params: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
        """Fresh parameters so that the module begins as the base decode with a little grain.

        A transform that is `from_base` takes over the denoiser's weights; its further inputs and
        outputs begin with zero weights. Another one has a last layer of zeros already.
        """
        transform = dict(params["transform"])
        if self.from_base:
            unet, fresh = base["unet"], transform
            transform = dict(unet)
            kernel, bias = unet["conv_in"]["kernel"], unet["conv_in"]["bias"]
            more = fresh["conv_in"]["kernel"].shape[2] - kernel.shape[2]
            kernel = jnp.pad(kernel, [(0, 0), (0, 0), (0, more), (0, 0)])
            transform["conv_in"] = {"kernel": kernel, "bias": bias}
            kernel = jnp.pad(unet["conv_out"]["kernel"], [(0, 0)] * 3 + [(0, self.latent_channels)])
            transform["conv_out"] = {"kernel": kernel, "bias": unet["conv_out"]["bias"]}
        last = transform["conv_out"]
        shift = last["bias"][: self.latent_channels]
        share = jnp.full_like(shift, math.log(math.expm1(GRAIN_AT_START)))
        transform["conv_out"] = {**last, "bias": jnp.concatenate([shift, share])}
        return params | {"transform": transform}

    def transform_inputs(self, noisy: jax.Array, u: jax.Array, decoded: Decoded) -> jax.Array:
        """Input of the U-Net, [B,h,w,6C+2]: the base's input, r_u, y_c, log2 w, the clock.

        Args:
            noisy: Residual r_u, [B,h,w,C].
            u: Clock values, [B].
            decoded: The base's decoded latent.
        """
        deviation = decoded.deviation / self.latent_unit
        deviation = jnp.log2(jnp.maximum(deviation, MIN_DEVIATION)) / 4.0
        plane = (*noisy.shape[:3], 1)
        amplitudes = [jnp.broadcast_to(a, plane) for a in residual.alpha_sigma(u)]
        latent = decoded.latent / self.latent_unit
        parts = [decoded.features, noisy, latent, deviation, *amplitudes]
        return jnp.concatenate(parts, axis=-1)

    def velocity(
        self, params: Mapping[str, Any], noisy: jax.Array, u: jax.Array, decoded: Decoded
    ) -> jax.Array:
        """v, [B,h,w,C].

        v = delta - share * r_u with a share of noise per element that is never negative: from pure
        noise, one step draws from a Gaussian around y_c - w delta, and the network chooses its
        width by context. For a copy of the base's denoiser, delta is the difference to the base's
        own output o: both are in units of w, and o + delta instead of o is y_c - w delta.

        Args:
            params: Of the module.
            noisy: Residual r_u, [B,h,w,C].
            u: Clock values, [B].
            decoded: The base's decoded latent.
        """
        inputs = self.transform_inputs(noisy, u, decoded)
        output = self.transform.apply({"params": params["transform"]}, inputs, decoded.timesteps)
        delta, share = jnp.split(output, 2, axis=-1)
        if self.from_base:
            delta = delta - decoded.output
        return delta - jax.nn.softplus(share) * noisy

    def better_latent(
        self, params: Mapping[str, Any], image: jax.Array, clean: jax.Array, decoded: Decoded
    ) -> jax.Array:
        """y_p of the auxiliary encoder, [B,h,w,C].

        Args:
            params: Of the module.
            image: Original, [B,H,W,3] in [-1,1].
            clean: Its latent, [B,h,w,C].
            decoded: The base's decoded latent.
        """
        return self.auxiliary.apply({"params": params["auxiliary"]}, image, clean, decoded)

    def judge(self, params: Mapping[str, Any], image: jax.Array, faithful: jax.Array) -> jax.Array:
        """Patch logits [B,h',w',1], high for an original.

        Args:
            params: Of the module.
            image: To be judged, [B,H,W,3] in [-1,1].
            faithful: The image at tau = 0, the same shape.
        """
        pair = jnp.concatenate([image, faithful], axis=-1)
        return self.discriminator.apply({"params": params["discriminator"]}, pair)
