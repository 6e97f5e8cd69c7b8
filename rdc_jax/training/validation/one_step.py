"""What a decoder shows after one step, as one compiled function: the pictures that are validated.

    decoder = one_step.of_module(networks, fusion)
    shown = one_step.show(decoder, params, crop, timesteps, seed)

Rates are ideal code lengths. The noise depends on the seed and the timestep only, so two sets of
weights are compared on the same noise and curves over a training run are smooth.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rdc_jax.diffusion import residual
from rdc_jax.diffusion.quantization import add_uniform_noise
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.models.fusion import Decoded, Fusion, decoded_latent
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import level_timesteps
from rdc_jax.training.tasks import fusion_task
from rdc_jax.training.tasks.codec_losses import Noised, entropy_bits, received_latent
from rdc_jax.training.tasks.fusion_losses import unit_noise

FAITHFUL, REALISTIC, AUXILIARY = "", "_tau_1", "_y_p"
TAUS = {FAITHFUL: 0.0, "_tau_0.5": 0.5, REALISTIC: 1.0}


class Decoder(NamedTuple):
    """The networks of a decoder and its views, the suffixes of its pictures' metrics."""

    networks: Networks
    fusion: Fusion | None
    views: tuple[str, ...]


class Shown(NamedTuple):
    """A crop decoded at T timesteps in K views."""

    bpp: jax.Array  # float32 [T]
    original: jax.Array  # uint8 [S,S,3]; of a latent, what the autoencoder makes of it
    pictures: jax.Array  # uint8 [T,K,S,S,3]


def of_codec(networks: Networks) -> Decoder:
    """A codec without a module: the faithful picture only."""
    return Decoder(networks, None, (FAITHFUL,))


def of_module(networks: Networks, fusion: Fusion) -> Decoder:
    """A codec with its module at tau 0, 0.5 and 1."""
    return Decoder(networks, fusion, tuple(TAUS))


def of_auxiliary(networks: Networks, fusion: Fusion) -> Decoder:
    """The faithful picture, and that of the auxiliary encoder's latent y_p."""
    return Decoder(networks, fusion, (FAITHFUL, AUXILIARY))


def used(decoder: Decoder, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of the parameters that a decoder needs; equal trees share a compiled program."""
    parts = fusion_task.without_module(params)
    if REALISTIC in decoder.views:
        parts["transform"] = params["transform"]
    if AUXILIARY in decoder.views:
        parts["auxiliary"] = params["auxiliary"]
    return parts


@functools.partial(jax.jit, static_argnums=0)
def show(decoder: Decoder, params, crop: jax.Array, timesteps: jax.Array, seed: jax.Array) -> Shown:
    """Codes and decodes one crop at uniform maps.

    Args:
      decoder: networks and views.
      params: of `used`.
      crop: uint8 [S,S,3], or a latent float16 [s,s,C].
      timesteps: int32 [T].
      seed: of the noise, int32 [].
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

    bits, pictures = jax.lax.map(at, timesteps)
    pixels = (y.shape[1] * networks.downsampling) ** 2
    return Shown(bits / pixels, original, pictures)


def _decode(
    decoder: Decoder, params, x, y, timestep: jax.Array, key: jax.Array
) -> tuple[jax.Array, Decoded, jax.Array]:
    """Bits [], the decoded latent, and the key of the module's noise."""
    networks = decoder.networks
    code_key, z_key, noise_key = jax.random.split(key, 3)
    index = jnp.zeros(y.shape[:3], jnp.int32)
    timesteps = level_timesteps(timestep.astype(jnp.float32).reshape(1, 1), index)
    yhat = add_uniform_noise(code_key, y, networks.steps_at_pixels(params, timesteps))
    noised = Noised(x, y, yhat, timesteps, jnp.ones((*y.shape[:3], 1)))
    y_bits, z_bits, mean, scale = entropy_bits(networks, params, noised, z_key)
    received = received_latent(networks, params, noised, mean)
    decoded = decoded_latent(networks, params, received, timesteps, mean, scale)
    return (y_bits + z_bits)[0], decoded, noise_key


def _latents(
    decoder: Decoder, params, x, y, decoded: Decoded, noise_key: jax.Array
) -> list[jax.Array]:
    """The latent of every view, [1,h,w,C] each."""
    if decoder.fusion is None:
        return [decoded.latent]
    if AUXILIARY in decoder.views:
        return [decoded.latent, decoder.fusion.better_latent(params, x, y, decoded)]
    noise, start = unit_noise(noise_key, y.shape), jnp.ones((1,))
    v = decoder.fusion.velocity(params, noise, start, decoded)
    clean = residual.clean_residual(noise, v, start)
    transformed = decoded.latent + decoded.deviation * clean
    return [
        residual.fuse(decoded.latent, transformed, jnp.float32(TAUS[view]))
        for view in decoder.views
    ]


def _pixels(networks: Networks, params, latent: jax.Array) -> jax.Array:
    """What a viewer sees of latents [B,h,w,C]: uint8 [B,S,S,3]."""
    in_range = jnp.clip(networks.decode(params, latent), -1.0, 1.0) + 1.0
    return jnp.round(PIXEL_RANGE * in_range).astype(jnp.uint8)
