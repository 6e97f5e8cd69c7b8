"""Coding as training simulates it: the one place where losses and validation code a batch.

    noised  = add_coding_noise(...)     what quantisation does to the latent, at random timesteps
    coded   = code(...)                 bits, and what the entropy model knows
    decoded = decode(...)               the latent that a decoder makes the faithful image of

The noise added here is exactly the noise that coding adds (`rdc_jax.diffusion.quantization`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rdc_jax.diffusion import losses
from rdc_jax.diffusion.quantization import add_uniform_noise, round_to_grid
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.importance.timesteps import TRAINED_MARGIN
from rdc_jax.models.conditions import condition_features
from rdc_jax.models.fusion import Decoded, decoded_latent
from rdc_jax.models.hyperprior import bounded_log2_scale
from rdc_jax.models.layers import nearest_upsample
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import LevelTimesteps, level_timesteps
from rdc_jax.training.tasks.recipe import Recipe

Params = Mapping[str, Any]

SKIPPED_GRADIENT = 0.1
"""Share of the gradient that an element keeps where it is skipped."""


class Noised(NamedTuple):
    """A batch after the forward process: what an encoder has, and what a decoder will see."""

    x: jax.Array | None  # images [B,H,W,3] in [-1,1], where the batch has them
    latent: jax.Array  # clean, [B,h,w,C]
    yhat: jax.Array  # latent + uniform noise of the steps, the law of coding
    timesteps: LevelTimesteps
    importance: jax.Array  # [B,h,w,1] in [0,1]


class Coded(NamedTuple):
    """A batch after entropy coding."""

    noised: Noised
    bits: dict[str, jax.Array]  # of latent "y" and hyper-latent "z", per image [B]
    mean: jax.Array  # the entropy model's prior of the clean latent, [B,h,w,C]
    scale: jax.Array


def draw_levels(
    key: jax.Array, importance: jax.Array, recipe: Recipe, cells_to_latent: int
) -> tuple[LevelTimesteps, jax.Array]:
    """Random timesteps for a batch of importance maps.

    Every example gets a mean timestep (one uniform draw shifted across the batch, so a batch always
    covers the range) and a gap between background and region of interest (none for a share of the
    examples).

    Args:
        key: Draws the timesteps.
        importance: Level indices, uint8 [B,gh,gw].
        recipe: The range of the timesteps, the largest gap and the share without one.
        cells_to_latent: Latent pixels per cell of the map along a side.

    Returns:
        The timesteps, and the importance values [B,h,w,1] in [0,1] at latent resolution.
    """
    batch = importance.shape[0]
    shift_key, gap_key, uniform_key = jax.random.split(key, 3)
    low, high = recipe.timestep_range
    u = (jax.random.uniform(shift_key) + jnp.arange(batch) / batch) % 1.0
    middle = low + (high - low) * u
    gap = recipe.timestep_gap * jax.random.uniform(gap_key, (batch,))
    uniform = jax.random.uniform(uniform_key, (batch,)) < recipe.uniform_map_share
    gap = jnp.where(uniform, 0.0, gap)
    value = jnp.arange(recipe.num_levels, dtype=jnp.float32) / max(1, recipe.num_levels - 1)
    t = middle[:, None] - gap[:, None] * (value[None, :] - 0.5)
    levels = nearest_upsample(importance.astype(jnp.int32)[..., None], cells_to_latent)
    # The ends may leave the range a little, so that the range itself is never an edge.
    margin = float(TRAINED_MARGIN)
    timesteps = level_timesteps(jnp.clip(t, low - margin, high + margin), levels[..., 0])
    return timesteps, value[levels]


def add_coding_noise(
    networks: Networks,
    recipe: Recipe,
    params: Params,
    batch: Mapping[str, jax.Array],
    level_key: jax.Array,
    noise_key: jax.Array,
) -> Noised:
    """Draws timesteps for the batch's importance maps and adds the noise that coding adds.

    Args:
        networks: The codec's networks.
        recipe: How timesteps are drawn.
        params: Parameters of the codec.
        batch: "importance" uint8 [B,gh,gw], and "image" uint8 [B,H,W,3] or, encoded before (`rdc
            data encode-latents`), "latent" [B,h,w,C], or both.
        level_key: Draws the timesteps.
        noise_key: Draws the noise.
    """
    x = None
    if "image" in batch:
        x = batch["image"].astype(jnp.float32) / PIXEL_RANGE - 1.0
    y = batch["latent"].astype(jnp.float32) if "latent" in batch else networks.encode(params, x)
    ratio = y.shape[1] // batch["importance"].shape[1]
    timesteps, importance = draw_levels(level_key, batch["importance"], recipe, ratio)
    yhat = add_uniform_noise(noise_key, y, networks.steps_at_pixels(params, timesteps))
    return Noised(x, y, yhat, timesteps, importance)


def code_batch(
    networks: Networks,
    recipe: Recipe,
    params: Params,
    batch: Mapping[str, jax.Array],
    keys: tuple[jax.Array, jax.Array, jax.Array],
) -> Coded:
    """`add_coding_noise`, then `code`.

    Args:
        networks: The codec's networks.
        recipe: How timesteps are drawn.
        params: Parameters of the codec.
        batch: See `add_coding_noise`.
        keys: Draw timesteps, noise, and the noise of the hyper-latent.
    """
    level_key, noise_key, z_key = keys
    noised = add_coding_noise(networks, recipe, params, batch, level_key, noise_key)
    return code(networks, params, noised, z_key)


def code(networks: Networks, params: Params, noised: Noised, key: jax.Array) -> Coded:
    """Ideal code lengths of a batch, and the prior that both sides know.

    Args:
        networks: The codec's networks.
        params: Parameters of the codec.
        noised: The batch after the forward process.
        key: Draws the noise of the hyper-latent.
    """
    variables = {"params": params["hyperprior"]}
    apply, timesteps = networks.hyperprior.apply, noised.timesteps
    condition = condition_features(timesteps.at_pixels(timesteps.values), noised.importance)
    z = apply(variables, noised.latent, condition, method="hyper_analysis")
    coded = apply(variables, z, condition, method="hyper_latent_given")
    z_noisy = add_uniform_noise(key, coded.scaled, jnp.ones((1, 1, 1, 1)))
    z_scale = bounded_scale(coded.log2_scale, 0.0)
    z_bits = losses.gaussian_bits(z_noisy - coded.mean, jnp.ones(()), z_scale)
    step = networks.steps_at_pixels(params, timesteps)
    log2_step = jnp.log2(step)
    mean, log2_scale = apply(
        variables, coded.value, noised.yhat, condition, log2_step,
        method="parameters_given",
    )  # fmt: skip
    scale = bounded_scale(log2_scale, log2_step)
    yhat = noised.yhat
    if networks.silent_below is None:
        bits = losses.gaussian_bits(yhat - mean, step, scale)
    else:
        # A skipped element costs nothing, but its prior has to stay right, or it might be skipped
        # for ever: a share of the gradient by mean and scale remains. A larger share would make
        # the hyper-latent pay for describing skipped elements.
        skipped = scale < 2.0**networks.silent_below * step
        yhat, step = (jnp.where(skipped, jax.lax.stop_gradient(v), v) for v in (yhat, step))
        bits = losses.gaussian_bits(yhat - mean, step, scale)
        unsent = SKIPPED_GRADIENT * (bits - jax.lax.stop_gradient(bits))
        bits = jnp.where(skipped, unsent, bits)
    bits = {"y": jnp.sum(bits, (1, 2, 3)), "z": jnp.sum(z_bits, (1, 2, 3))}
    return Coded(noised, bits, mean, scale)


def bounded_scale(log2_scale: jax.Array, log2_step: jax.Array | float) -> jax.Array:
    """The scale (not its logarithm), kept where the coder's tables are; gradient passes through."""
    return jnp.exp2(bounded_log2_scale(log2_scale, log2_step))


def received_latent(
    networks: Networks, params: Params, noised: Noised, mean: jax.Array
) -> jax.Array:
    """The latent that a decoder receives, [B,h,w,C].

    With dither that is yhat, without it the latent rounded around the prior's mean. The rate is
    that of yhat in both cases (Balle et al. 2017); the decoder learns from the latent that it will
    see (Minnen & Singh 2020).

    Args:
        networks: The codec's networks.
        params: Parameters of the codec.
        noised: The batch.
        mean: Of the entropy model's prior.
    """
    if networks.dither:
        return noised.yhat
    return round_to_grid(noised.latent, mean, networks.steps_at_pixels(params, noised.timesteps))


def decode(networks: Networks, params: Params, coded: Coded) -> Decoded:
    """The faithful (one-step) latent of a decoder, and what is known of its error.

    Args:
        networks: The codec's networks.
        params: Parameters of the codec.
        coded: The batch.
    """
    noised = coded.noised
    received = received_latent(networks, params, noised, coded.mean)
    return decoded_latent(networks, params, received, noised.timesteps, coded.mean, coded.scale)
