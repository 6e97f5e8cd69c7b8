"""The three losses of a codec: joint (stage 0), diffusion (stage 1), entropy (stage 2).

Each is a pure function (trained, frozen, batch, key) -> (loss, metrics). Timesteps are drawn per
example and spread over the example's importance map (`coding.draw_levels`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from rdc_jax.diffusion import losses, preconditioning
from rdc_jax.diffusion.quantization import add_gaussian_noise, add_uniform_noise
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.models.autoencoder import LATENT_GAIN
from rdc_jax.models.conditions import blinded
from rdc_jax.models.layers import nearest_upsample
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import LevelTimesteps
from rdc_jax.training.tasks import coding
from rdc_jax.training.tasks.coding import Noised
from rdc_jax.training.tasks.recipe import Recipe

Params = Mapping[str, Any]
Loss = Callable[[Params, Params, Mapping[str, jax.Array], jax.Array], tuple[jax.Array, dict]]

TRAINED = {
    "joint": ("autoencoder", "hyperprior", "unet", "step_profile"),
    "diffusion": ("unet",),
    "entropy": ("hyperprior",),
}
"""Parts of the parameters that each stage trains, where the model has them."""

UNUSED = {"entropy": ("unet",)}
"""Frozen parts that the loss of a stage does not use."""

FROM_LATENTS = ("diffusion", "entropy")
"""Stages that need no images."""


def move_some_later(
    networks: Networks, params: Params, noised: Noised, share: float, key: jax.Array
) -> tuple[jax.Array, LevelTimesteps]:
    """Noisy latents and timesteps where a share of the examples is further along the clock.

    Those examples are at t (1 - n/N) for a uniform n/N (the proportional clock), with fresh noise
    of that level, like the input of a sampler's later steps.

    Args:
        networks: The codec's networks.
        params: Parameters of the codec.
        noised: The batch.
        share: Share of the examples that are further along.
        key: Draws n/N and the noise.
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
        *keys, later_key = jax.random.split(key, 4)
        coded = coding.code_batch(networks, recipe, params, batch, keys)
        noised, share = coded.noised, recipe.later_clock_share
        if networks.unet is None:
            x0 = coding.received_latent(networks, params, noised, coded.mean)
        else:
            noisy, now = move_some_later(networks, params, noised, share, later_key)
            x0 = networks.denoise(params, noisy, now, coded.mean, coded.scale)
        errors = {"pixel": losses.squared_error(noised.x, networks.decode(params, x0))}
        if networks.unet is not None:
            errors["latent"] = recipe.latent_weight * latent_error(networks, noised.latent, x0)
        return rate_distortion(networks, recipe, noised, coded.bits, errors)

    return loss


def latent_error(networks: Networks, latent: jax.Array, x0: jax.Array) -> jax.Array:
    """Squared error of the denoiser's estimate in squared 8-bit units of pixels: [B,h,w,1].

    It keeps the denoiser's output a clean latent, on which sampling in several steps relies.

    Args:
        networks: The codec's networks.
        latent: Clean, [B,h,w,C].
        x0: The estimate, the same shape.
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
    """`losses.rate_distortion` at the timesteps of the batch, examples weighed by `balance`.

    Args:
        networks: The codec's networks.
        recipe: Distortion weight and balance.
        noised: The batch.
        bits: Named code lengths, [B] each.
        errors: Named squared errors.
    """
    step, weight = pixel_steps_and_weight(networks, recipe, noised)
    return losses.rate_distortion(bits, errors, step, recipe.distortion_weight, weight)


def pixel_steps_and_weight(
    networks: Networks, recipe: Recipe, noised: Noised
) -> tuple[jax.Array, jax.Array]:
    """The schedule's step at every pixel [B,H,W,1], and each example's weight [B], mean 1.

    Args:
        networks: The codec's networks.
        recipe: Its `balance` is the exponent of the weights.
        noised: The batch.
    """
    base_step = noised.timesteps.at_pixels(networks.schedule.step(noised.timesteps.values))
    weight = jnp.mean(base_step, (1, 2, 3)) ** recipe.balance
    return nearest_upsample(base_step, networks.downsampling), weight / jnp.mean(weight)


def diffusion_loss(networks: Networks, recipe: Recipe) -> Loss:
    """Stage 1: prediction error of the U-Net under uniform noise, at and below coding timesteps.

    Where the entropy model's prior conditions the U-Net, it is the prior of the coding timesteps,
    as in decoding. Autoencoder and entropy model are frozen. The network sees a little more noise
    than its target accounts for, as a sampler's errors will add (Ning et al. 2023).
    """

    def loss(trained, frozen, batch, key):
        params = {**frozen, **trained}
        level_key, noise_key, z_key, later_key, perturbation_key = jax.random.split(key, 5)
        noised = coding.add_coding_noise(networks, recipe, params, batch, level_key, noise_key)
        mean, scale = jnp.zeros(()), jnp.ones(())
        if networks.prior_conditioning:
            _, _, mean, scale = coding.code(networks, params, noised, z_key)
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
        coded = coding.code_batch(networks, recipe, params, batch, jax.random.split(key, 3))
        bits, (_, height, width, _) = coded.bits, coded.noised.latent.shape
        pixels = networks.downsampling**2 * height * width
        bpp = jnp.mean(bits["y"] + bits["z"]) / pixels
        return bpp, {"bpp": bpp, "bpp_z": jnp.mean(bits["z"]) / pixels}

    return loss


LOSSES = {"joint": joint_loss, "diffusion": diffusion_loss, "entropy": entropy_loss}
