"""The losses of the plug-and-play module: auxiliary, transform, realism; and of all, end_to_end.

    auxiliary   g_a'(x, y_c) learns the latent y_p of the best-looking picture
    transform   the latent diffusion learns y_p given y_c
    realism     pictures of the transform's few-step samples learn to look like the original
    end_to_end  base codec and module learn together: squared error of the picture at tau 0, looks
                of the picture at tau 1, and the rate of the one file for both

Each is a pure function (trained, frozen, batch, key) -> (loss, metrics) like those of
`training.stages`. The base codec is frozen in the first three; "perceptual" among the frozen
parameters are the LPIPS networks. What a picture looks like is the score of `training.looks`. The
squared error counts *relative to the base codec's*, so one trade-off serves all rates.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rdc_jax.diffusion import losses, residual
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.models.fusion import Decoded, Fusion, decoded_latent
from rdc_jax.models.networks import Networks
from rdc_jax.training.tasks import codec_losses, looks
from rdc_jax.training.tasks.codec_losses import Loss, Noised

TRAINED = {
    "auxiliary": ("auxiliary",),
    "transform": ("transform",),
    "realism": ("transform", "discriminator"),
    "end_to_end": (*codec_losses.TRAINED["joint"], "transform", "discriminator"),
}
MODULE = ("auxiliary", "transform", "discriminator")  # what is not the base codec's
WITH_BASE = ("end_to_end",)  # stages that make a new base codec, too
SMALL_SCORE = 0.01  # below which a further per cent counts less


@dataclasses.dataclass(frozen=True)
class FusionRecipe:
    """Numbers of a config that the losses need; see configs/fusion.py for meaning and defaults."""

    base: codec_losses.Recipe
    looks: looks.Looks
    pixel_weight: float
    adversarial_weight: float
    pull_weight: float
    diffusion_weight: float
    two_step_share: float
    realism_weight: float


class Example(NamedTuple):
    """A batch as both sides of the base codec see it."""

    noised: Noised
    decoded: Decoded
    faithful: jax.Array  # picture at tau = 0, [B,H,W,3]
    bits: dict[str, jax.Array]  # of latent "y" and hyper-latent "z", [B] each


def code(networks: Networks, recipe: FusionRecipe, params, batch, key: jax.Array) -> Example:
    """Codes a batch with the base codec at random timesteps and maps."""
    level_key, noise_key, z_key = jax.random.split(key, 3)
    noised = codec_losses.add_coding_noise(
        networks, recipe.base, params, batch, level_key, noise_key
    )
    y_bits, z_bits, mean, scale = codec_losses.entropy_bits(networks, params, noised, z_key)
    received = codec_losses.received_latent(networks, params, noised, mean)
    decoded = decoded_latent(networks, params, received, noised.timesteps, mean, scale)
    bits = {"y": y_bits, "z": z_bits}
    return Example(noised, decoded, networks.decode(params, decoded.latent), bits)


def picture_terms(
    recipe: FusionRecipe, params, example: Example, picture: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """What a picture is judged by, and the means of all terms as metrics.

    Returns:
        The score of `looks.score` [B], the squared error over that of the base codec's picture
        [B], and scalars: "mse" in squared 8-bit units, "mse_ratio", "score", and the score's terms.
    """

    def mse(image):
        return jnp.mean(losses.squared_error(example.noised.x, image), (1, 2, 3))

    error, faithful = mse(picture), jax.lax.stop_gradient(mse(example.faithful))
    ratio = (error + 1.0) / (faithful + 1.0)
    score, terms = looks.score(
        recipe.looks, params["perceptual"], key, example.noised.x, example.faithful, picture
    )
    means = {"mse": jnp.mean(error), "mse_ratio": jnp.mean(ratio), "score": jnp.mean(score)}
    return score, ratio, means | terms


def auxiliary_loss(networks: Networks, fusion: Fusion, recipe: FusionRecipe) -> Loss:
    """Terms of the picture of y_p, and a pull, mean squared (y_p - y_c) / w, towards what the
    decoder has, which keeps out of y_p what no decoder could guess.
    """

    def loss(trained, frozen, batch, key):
        params = {**frozen, **trained}
        code_key, looks_key = jax.random.split(key)
        example = code(networks, recipe, params, batch, code_key)
        decoded = example.decoded
        better = fusion.better_latent(params, example.noised.x, example.noised.latent, decoded)
        picture = networks.decode(params, better)
        score, ratio, metrics = picture_terms(recipe, params, example, picture, looks_key)
        pull = jnp.mean(jnp.square((better - decoded.latent) / decoded.deviation))
        value = jnp.mean(score + recipe.pixel_weight * ratio) + recipe.pull_weight * pull
        return value, metrics | {"pull": pull}

    return loss


def transform_loss(networks: Networks, fusion: Fusion, recipe: FusionRecipe) -> Loss:
    """Prediction error of the transform on y_p, at clock values spread evenly over the batch."""

    def loss(trained, frozen, batch, key):
        params = {**frozen, **trained}
        code_key, key = jax.random.split(key)
        example = code(networks, recipe, params, batch, code_key)
        error = prediction_error(fusion, params, example, key)
        return error, {"prediction_error": error}

    return loss


def prediction_error(fusion: Fusion, params, example: Example, key: jax.Array) -> jax.Array:
    """Mean squared error of v on the residual that y_p leaves, scalar."""
    u_key, noise_key = jax.random.split(key)
    decoded = example.decoded
    better = fusion.better_latent(params, example.noised.x, example.noised.latent, decoded)
    clean = (better - decoded.latent) / decoded.deviation
    noise = unit_noise(noise_key, clean.shape)
    batch = clean.shape[0]
    u = (jax.random.uniform(u_key) + jnp.arange(batch) / batch) % 1.0
    output = fusion.velocity(params, residual.diffuse(clean, noise, u), u, decoded)
    return losses.prediction_error(output, residual.velocity(clean, noise, u))


def realism_loss(networks: Networks, fusion: Fusion, recipe: FusionRecipe) -> Loss:
    """Picture terms and a hinge adversarial game on one- and two-step samples.

    Most examples are looked at after one step from pure noise; a share after a DDIM step to a
    random clock value and one more from there, which is what samplers of more steps meet.
    The discriminator learns in the same step, from the same pictures.
    """

    def loss(trained, frozen, batch, key):
        params = {**frozen, **trained}
        code_key, noise_key, u_key, diffusion_key, looks_key = jax.random.split(key, 5)
        example = code(networks, recipe, params, batch, code_key)
        decoded, x = example.decoded, example.noised.x
        noise = unit_noise(noise_key, decoded.latent.shape)
        transformed = few_step_latent(fusion, params, decoded, noise, u_key, recipe.two_step_share)
        picture = networks.decode(params, transformed)
        score, ratio, metrics = picture_terms(recipe, params, example, picture, looks_key)
        value = jnp.mean(score + recipe.pixel_weight * ratio)
        if recipe.diffusion_weight:
            error = prediction_error(fusion, params, example, diffusion_key)
            value += recipe.diffusion_weight * error
            metrics["prediction_error"] = error
        if recipe.adversarial_weight:
            game, game_metrics = adversarial_terms(recipe, fusion, params, x, picture, example)
            value, metrics = value + game, metrics | game_metrics
        return value, metrics

    return loss


def end_to_end_loss(networks: Networks, fusion: Fusion, recipe: FusionRecipe) -> Loss:
    """The sum of `end_to_end_parts`."""
    parts_of = end_to_end_parts(networks, fusion, recipe)

    def loss(trained, frozen, batch, key):
        parts, metrics = parts_of(trained, frozen, batch, key)
        return sum(parts.values()), metrics

    return loss


def end_to_end_parts(
    networks: Networks, fusion: Fusion, recipe: FusionRecipe
) -> Callable[..., tuple[dict[str, jax.Array], dict[str, jax.Array]]]:
    """Rate, lambda(Delta) distortion at tau 0, and how the one-step sample at tau 1 looks.

    The looks are a logarithm of the score in units of the distortion: with a `realism_weight` of
    1, a per cent of the score is worth a per cent of squared error, at every rate.

    Returns a function (trained, frozen, batch, key) -> (parts, metrics); the parts "rate",
    "distortion", "looks" and, with a discriminator, "game" are scalars that add up to the loss.
    """

    def parts_of(trained, frozen, batch, key):
        params = {**frozen, **trained}
        code_key, noise_key, u_key, looks_key = jax.random.split(key, 4)
        example = code(networks, recipe, params, batch, code_key)
        noised, decoded = example.noised, example.decoded
        errors = {"pixel": losses.squared_error(noised.x, example.faithful)}
        if networks.unet is not None:
            error = codec_losses.latent_error(networks, noised.latent, decoded.latent)
            errors["latent"] = recipe.base.latent_weight * error
        both, metrics = codec_losses.rate_distortion(
            networks, recipe.base, noised, example.bits, errors
        )
        step, weight = codec_losses.pixel_steps_and_weight(networks, recipe.base, noised)
        distortion = losses.weighed_distortion(errors, step, recipe.base.distortion_weight)
        unit = weight * distortion
        parts = {"rate": both - jnp.mean(unit), "distortion": jnp.mean(unit)}

        noise = unit_noise(noise_key, decoded.latent.shape)
        transformed = few_step_latent(fusion, params, decoded, noise, u_key, recipe.two_step_share)
        picture = networks.decode(params, transformed)
        score, ratio, found = picture_terms(recipe, params, example, picture, looks_key)
        looks_of = jnp.log(score + SMALL_SCORE) + recipe.pixel_weight * ratio
        parts["looks"] = recipe.realism_weight * jnp.mean(jax.lax.stop_gradient(unit) * looks_of)
        metrics |= {f"{name}_tau_1": term for name, term in found.items()}
        if recipe.adversarial_weight:
            parts["game"], found = adversarial_terms(
                recipe, fusion, params, noised.x, picture, example
            )
            metrics |= found
        return parts, metrics

    return parts_of


def encoder_shares(
    networks: Networks, fusion: Fusion, recipe: FusionRecipe
) -> Callable[..., dict[str, jax.Array]]:
    """What moves the encoder in stage end_to_end: (trained, frozen, batch, key) -> scalars.

    "encoder_share_rate", "_distortion" and "_looks": the norm of the part's gradient by the clean
    latent over the sum of the three norms. Costs a backward pass for each.
    """
    parts_of = end_to_end_parts(networks, fusion, recipe)

    def shares(trained, frozen, batch, key):
        x = batch["image"].astype(jnp.float32) / PIXEL_RANGE - 1.0
        latent = networks.encode({**frozen, **trained}, x)

        names = ("rate", "distortion", "looks")

        def chosen_parts(latent):
            parts, _ = parts_of(trained, frozen, {**batch, "latent": latent}, key)
            return jnp.stack([parts[name] for name in names])

        _, pull_back = jax.vjp(chosen_parts, latent)
        (gradients,) = jax.vmap(pull_back)(jnp.eye(len(names)))
        norms = jnp.sqrt(jnp.sum(jnp.square(gradients), (1, 2, 3, 4)))
        shares = norms / jnp.sum(norms)
        return {f"encoder_share_{name}": shares[i] for i, name in enumerate(names)}

    return shares


def few_step_latent(
    fusion: Fusion, params, decoded: Decoded, noise: jax.Array, key: jax.Array, share: float
) -> jax.Array:
    """y_d of every example: a share of the batch after two steps, the others after one."""
    batch, start = noise.shape[0], jnp.ones((noise.shape[0],))
    v = fusion.velocity(params, noise, start, decoded)
    if share == 0:  # `where` would compute the second step for nothing
        return decoded.latent + decoded.deviation * residual.clean_residual(noise, v, start)
    middle = 0.1 + 0.8 * jax.random.uniform(key, (batch,))
    later = residual.ddim_step(noise, v, start, middle)
    second = fusion.velocity(params, later, middle, decoded)
    number = jnp.arange(batch, dtype=jnp.float32)
    in_two = jnp.floor((number + 1.0) * share) > jnp.floor(number * share)
    clean = jnp.where(
        in_two[:, None, None, None],
        residual.clean_residual(later, second, middle),
        residual.clean_residual(noise, v, start),
    )
    return decoded.latent + decoded.deviation * clean


def adversarial_terms(
    recipe: FusionRecipe, fusion: Fusion, params, x, picture, example: Example
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Hinge losses of both players, each differentiated for its own parameters only."""
    judge = {"discriminator": params["discriminator"]}
    fooled = fusion.judge(jax.lax.stop_gradient(judge), picture, example.faithful)
    real = fusion.judge(judge, x, example.faithful)
    fake = fusion.judge(judge, jax.lax.stop_gradient(picture), example.faithful)
    generator = -jnp.mean(fooled)
    discriminator = jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + fake))
    metrics = {"generator": generator, "discriminator": discriminator}
    return recipe.adversarial_weight * generator + discriminator, metrics


def unit_noise(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Uniform noise of unit variance: decoders draw it from the file's dither generator."""
    return jax.random.uniform(key, shape, jnp.float32, -(3.0**0.5), 3.0**0.5)


LOSSES = {
    "auxiliary": auxiliary_loss,
    "transform": transform_loss,
    "realism": realism_loss,
    "end_to_end": end_to_end_loss,
}
