"""The images of a decoder after one step, as one compiled function: those that are validated.

    decoder = decoders.of_module(networks, fusion)
    shown = one_step.show(decoder, params, crop, timesteps, seed)

Rates are ideal code lengths. The noise depends on the seed and the timestep only, so two sets of
weights are compared on the same noise and curves over a training run are smooth.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rdc_jax.diffusion import residual
from rdc_jax.diffusion.quantization import add_uniform_noise
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.models.fusion import Decoded
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import level_timesteps
from rdc_jax.training.tasks import coding
from rdc_jax.training.tasks.decoders import AUXILIARY, TAUS, Decoder
from rdc_jax.training.tasks.fusion_losses import few_step_latent


class Shown(NamedTuple):
    """A crop decoded at T timesteps in K views."""

    bpp: jax.Array  # float32 [T]
    original: jax.Array  # uint8 [S,S,3]; of a latent, the autoencoder's image of it
    images: jax.Array  # uint8 [T,K,S,S,3]


@functools.partial(jax.jit, static_argnums=0)
def show(decoder: Decoder, params, crop: jax.Array, timesteps: jax.Array, seed: jax.Array) -> Shown:
    """Codes and decodes one crop at uniform maps.

    Args:
        decoder: Networks and views.
        params: Of `decoders.used`.
        crop: uint8 [S,S,3], or a latent float16 [s,s,C].
        timesteps: int32 [T].
        seed: Of the noise, int32 [].
    """
    networks = decoder.networks
    x, y = None, crop[None].astype(jnp.float32)
    if crop.dtype == jnp.uint8:
        original, x = crop, y / PIXEL_RANGE - 1.0
        y = networks.encode(params, x)
    else:
        original = _pixels(networks, params, y)[0]

    def at(timestep):
        key = jax.random.fold_in(jax.random.key(seed), timestep)
        bits, decoded, noise_key = _decode(decoder, params, x, y, timestep, key)
        latents = _latents(decoder, params, x, y, decoded, noise_key)
        return bits, _pixels(networks, params, jnp.concatenate(latents))

    bits, images = jax.lax.map(at, timesteps)
    pixels = (y.shape[1] * networks.downsampling) ** 2
    return Shown(bits / pixels, original, images)


def _decode(
    decoder: Decoder, params, x, y, timestep: jax.Array, key: jax.Array
) -> tuple[jax.Array, Decoded, jax.Array]:
    """Bits [], the decoded latent, and the key of the module's noise."""
    networks = decoder.networks
    code_key, z_key, noise_key = jax.random.split(key, 3)
    index = jnp.zeros(y.shape[:3], jnp.int32)
    timesteps = level_timesteps(timestep.astype(jnp.float32).reshape(1, 1), index)
    yhat = add_uniform_noise(code_key, y, networks.steps_at_pixels(params, timesteps))
    noised = coding.Noised(x, y, yhat, timesteps, jnp.ones((*y.shape[:3], 1)))
    coded = coding.code(networks, params, noised, z_key)
    bits = coded.bits["y"] + coded.bits["z"]
    return bits[0], coding.decode(networks, params, coded), noise_key


def _latents(
    decoder: Decoder, params, x, y, decoded: Decoded, noise_key: jax.Array
) -> list[jax.Array]:
    """The latent of every view, [1,h,w,C] each."""
    if decoder.fusion is None:
        return [decoded.latent]
    if AUXILIARY in decoder.views:
        return [decoded.latent, decoder.fusion.better_latent(params, x, y, decoded)]
    noise = residual.unit_noise(noise_key, y.shape)
    transformed = few_step_latent(decoder.fusion, params, decoded, noise)
    return [
        residual.fuse(decoded.latent, transformed, jnp.float32(TAUS[view]))
        for view in decoder.views
    ]


def _pixels(networks: Networks, params, latent: jax.Array) -> jax.Array:
    """The 8-bit images of latents [B,h,w,C]: uint8 [B,S,S,3]."""
    in_range = jnp.clip(networks.decode(params, latent), -1.0, 1.0) + 1.0
    return jnp.round(PIXEL_RANGE * in_range).astype(jnp.uint8)
