"""The three losses: joint (stage 0), diffusion (stage 1), entropy (stage 2).

Each is a pure function (trained, frozen, batch, key) -> (loss, metrics). The noise it adds is
exactly the noise that coding adds, at timesteps drawn per example and spread over the example's
importance map.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rdc_jax.diffusion import losses, preconditioning
from rdc_jax.diffusion.quantization import (
    add_gaussian_noise,
    add_uniform_noise,
    round_to_grid,
)
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.importance.timesteps import TRAINED_MARGIN
from rdc_jax.models.autoencoder import LATENT_GAIN
from rdc_jax.models.hyperprior import blinded, bounded_log2_scale, condition_features
from rdc_jax.models.layers import nearest_upsample
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import LevelTimesteps, level_timesteps

Params = Mapping[str, Any]
Loss = Callable[[Params, Params, Mapping[str, jax.Array], jax.Array], tuple[jax.Array, dict]]

SILENT_GRADIENT = 0.1  # of the bits that a silent element would have cost

TRAINED = {
    "joint": ("autoencoder", "hyperprior", "unet", "step_profile"),
    "diffusion": ("unet",),
    "entropy": ("hyperprior",),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Numbers of a config that the losses need; see configs/tiny.py for meaning and defaults."""

    num_levels: int
    timestep_range: tuple[int, int]
    timestep_gap: float
    uniform_map_share: float
    distortion_weight: float = 0.0
    latent_weight: float = 0.0
    balance: float = 0.0
    later_clock_share: float = 0.0
    input_perturbation: float = 0.0
    blind_to: str = ""  # what the entropy model is not told, in ablations
    gaussian_noise: bool = False  # in stage diffusion, an ablation


def draw_levels(
    key: jax.Array, importance: jax.Array, recipe: Recipe, cells_to_latent: int
) -> tuple[LevelTimesteps, jax.Array]:
    """Random timesteps for a batch of importance maps.

    importance: uint8 [B,gh,gw] level indices. Every example gets a mean timestep (one uniform
    draw shifted across the batch, so a batch always covers the range) and a gap between
    background and region of interest (none for a share of the examples). Returns the
    timesteps and the importance values [B,h,w,1] in [0,1] at latent resolution.
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


class Noised(NamedTuple):
    """A batch after the forward process: what an encoder has, and what a decoder will see."""

    x: jax.Array | None  # images [B,H,W,3] in [-1,1], where the batch has them
    latent: jax.Array  # clean, [B,h,w,C]
    yhat: jax.Array  # latent + uniform noise of the steps, the law of coding
    timesteps: LevelTimesteps
    importance: jax.Array  # [B,h,w,1] in [0,1]


def entropy_bits(
    networks: Networks, params: Params, noised: Noised, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Bits per image of latent and hyper-latent [B], and the prior (mean, scale) [B,h,w,C]."""
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
        # What is not sent costs nothing, but the prior of a silent element has to stay right, or
        # it might never speak again: a share of the gradient by mean and scale remains. More would
        # have the hyper-latent pay for knowing them.
        silent = scale < 2.0**networks.silent_below * step
        yhat, step = (jnp.where(silent, jax.lax.stop_gradient(v), v) for v in (yhat, step))
        bits = losses.gaussian_bits(yhat - mean, step, scale)
        unsent = SILENT_GRADIENT * (bits - jax.lax.stop_gradient(bits))
        bits = jnp.where(silent, unsent, bits)
    return jnp.sum(bits, (1, 2, 3)), jnp.sum(z_bits, (1, 2, 3)), mean, scale


def bounded_scale(log2_scale: jax.Array, log2_step: jax.Array | float) -> jax.Array:
    """The scale (not its logarithm), kept where the coder's tables are; gradient passes through."""
    return jnp.exp2(bounded_log2_scale(log2_scale, log2_step))


def add_coding_noise(
    networks: Networks,
    recipe: Recipe,
    params: Params,
    batch: Mapping[str, jax.Array],
    level_key: jax.Array,
    noise_key: jax.Array,
) -> Noised:
    """Draws timesteps for the batch's importance maps and adds the noise that coding adds.

    batch: "importance" uint8 [B,gh,gw], and "image" uint8 [B,H,W,3] or, encoded before (`rdc data
    encode-latents`), "latent" [B,h,w,C], or both.
    """
    x = None
    if "image" in batch:
        x = batch["image"].astype(jnp.float32) / PIXEL_RANGE - 1.0
    y = batch["latent"].astype(jnp.float32) if "latent" in batch else networks.encode(params, x)
    ratio = y.shape[1] // batch["importance"].shape[1]
    timesteps, importance = draw_levels(level_key, batch["importance"], recipe, ratio)
    yhat = add_uniform_noise(noise_key, y, networks.steps_at_pixels(params, timesteps))
    return Noised(x, y, yhat, timesteps, importance)


def received_latent(
    networks: Networks, params: Params, noised: Noised, mean: jax.Array
) -> jax.Array:
    """What a decoder gets [B,h,w,C]: yhat with dither, else rounded around the prior's mean.

    The rate is that of yhat in both cases (Balle et al. 2017); the decoder learns from what it
    will see (Minnen & Singh 2020).
    """
    if networks.dither:
        return noised.yhat
    return round_to_grid(noised.latent, mean, networks.steps_at_pixels(params, noised.timesteps))


def move_some_later(
    networks: Networks, params: Params, noised: Noised, share: float, key: jax.Array
) -> tuple[jax.Array, LevelTimesteps]:
    """Noisy latents and timesteps where a share of the examples is further along the clock.

    Those examples are at t (1 - n/N) for a uniform n/N (the proportional clock), with fresh
    noise of that level: what a sampler of several steps meets after its first one.
    """
    clock_key, noise_key = jax.random.split(key)
    index = jnp.arange(noised.latent.shape[0], dtype=jnp.float32)
    later = (jnp.floor((index + 1) * share) > jnp.floor(index * share))[:, None]
    remaining = jnp.where(later, jax.random.uniform(clock_key, later.shape), 1.0)
    now = noised.timesteps._replace(values=noised.timesteps.values * remaining)
    step = networks.steps_at_pixels(params, now)
    fresh = add_uniform_noise(noise_key, noised.latent, step)
    return jnp.where(later[:, :, None, None], fresh, noised.yhat), now


def joint_loss(networks: Networks, recipe: Recipe) -> Loss:
    """Stage 0: rate + lambda(Delta) distortion of autoencoder, entropy model and denoiser."""

    def loss(trained, frozen, batch, key):
        params = {**frozen, **trained}
        level_key, noise_key, z_key, later_key = jax.random.split(key, 4)
        noised = add_coding_noise(networks, recipe, params, batch, level_key, noise_key)
        y_bits, z_bits, mean, scale = entropy_bits(networks, params, noised, z_key)
        if networks.unet is None:
            x0 = received_latent(networks, params, noised, mean)
        else:
            share = recipe.later_clock_share
            noisy, now = move_some_later(networks, params, noised, share, later_key)
            x0 = networks.denoise(params, noisy, now, mean, scale)
        errors = {"pixel": losses.squared_error(noised.x, networks.decode(params, x0))}
        if networks.unet is not None:
            errors["latent"] = recipe.latent_weight * latent_error(networks, noised.latent, x0)
        return rate_distortion(networks, recipe, noised, {"y": y_bits, "z": z_bits}, errors)

    return loss


def latent_error(networks: Networks, latent: jax.Array, x0: jax.Array) -> jax.Array:
    """Squared error of the denoiser's estimate in squared 8-bit units of pixels: [B,h,w,1].

    Keeps the denoiser's output a clean latent, which sampling in several steps relies on.
    """
    error = jnp.sum(jnp.square(x0 - jax.lax.stop_gradient(latent)), -1, keepdims=True)
    return error * (PIXEL_RANGE / LATENT_GAIN) ** 2 / networks.downsampling**2


def rate_distortion(
    networks: Networks,
    recipe: Recipe,
    noised: Noised,
    bits: Mapping[str, jax.Array],
    errors: Mapping[str, jax.Array],
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """`losses.rate_distortion` at the timesteps of the batch, examples weighed by `balance`."""
    step, weight = pixel_steps_and_weight(networks, recipe, noised)
    return losses.rate_distortion(bits, errors, step, recipe.distortion_weight, weight)


def pixel_steps_and_weight(
    networks: Networks, recipe: Recipe, noised: Noised
) -> tuple[jax.Array, jax.Array]:
    """The schedule's step at every pixel [B,H,W,1], and each example's weight [B], mean 1."""
    base_step = noised.timesteps.at_pixels(networks.schedule.step(noised.timesteps.values))
    weight = jnp.mean(base_step, (1, 2, 3)) ** recipe.balance
    return nearest_upsample(base_step, networks.downsampling), weight / jnp.mean(weight)


def diffusion_loss(networks: Networks, recipe: Recipe) -> Loss:
    """Stage 1: prediction error of the U-Net under uniform noise, at and below coding timesteps.

    Where the entropy model's prior conditions the U-Net, it is the prior that decoding has: that
    of the coding timesteps. Autoencoder and entropy model are frozen. The network sees a little
    more noise than its target knows of, as a sampler's errors will add (Ning et al. 2023).
    """

    def loss(trained, frozen, batch, key):
        params = {**frozen, **trained}
        level_key, noise_key, z_key, later_key, perturbation_key = jax.random.split(key, 5)
        noised = add_coding_noise(networks, recipe, params, batch, level_key, noise_key)
        mean, scale = jnp.zeros(()), jnp.ones(())
        if networks.prior_conditioning:
            mean, scale = entropy_bits(networks, params, noised, z_key)[2:]
        noisy, now = move_some_later(networks, params, noised, recipe.later_clock_share, later_key)
        step = networks.steps_at_pixels(params, now)
        if recipe.gaussian_noise:
            noisy = add_gaussian_noise(jax.random.fold_in(later_key, 1), noised.latent, step)
        perturbed = add_uniform_noise(perturbation_key, noisy, recipe.input_perturbation * step)
        output, _ = networks.run_unet(params, perturbed, now, mean, scale)
        z = preconditioning.standardize(noisy, step, mean, scale, networks.silent_below)
        target = preconditioning.target(noised.latent, z, networks.prediction)
        error = losses.prediction_error(output, target)
        return error, {"prediction_error": error}

    return loss


def entropy_loss(networks: Networks, recipe: Recipe) -> Loss:
    """Stage 2: rate alone; the distortion is fixed by the timesteps."""

    def loss(trained, frozen, batch, key):
        params = {**frozen, **trained}
        if recipe.blind_to:
            params["hyperprior"] = blinded(params["hyperprior"], recipe.blind_to)
        level_key, noise_key, z_key = jax.random.split(key, 3)
        noised = add_coding_noise(networks, recipe, params, batch, level_key, noise_key)
        y_bits, z_bits, _, _ = entropy_bits(networks, params, noised, z_key)
        pixels = networks.downsampling**2 * noised.latent.shape[1] * noised.latent.shape[2]
        bpp = jnp.mean(y_bits + z_bits) / pixels
        return bpp, {"bpp": bpp, "bpp_z": jnp.mean(z_bits) / pixels}

    return loss


LOSSES = {"joint": joint_loss, "diffusion": diffusion_loss, "entropy": entropy_loss}
