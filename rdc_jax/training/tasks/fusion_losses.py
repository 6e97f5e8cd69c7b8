"""The losses of a fusion module for a frozen codec: auxiliary, transform, realism.

    auxiliary   g_a'(x, y_c) learns the latent y_p of the best-looking image
    transform   the latent diffusion learns y_p given y_c
    realism     images of the transform's few-step samples learn to look like the original

Each is a pure function (trained, frozen, batch, key) -> (loss, metrics) like those of
`codec_losses`. "perceptual" among the frozen parameters are the LPIPS networks. `looks.score` says
how good an image looks. The squared error counts relative to the base codec's, so one trade-off
serves all rates.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from rdc_jax.diffusion import losses, residual
from rdc_jax.models.fusion import Decoded, Fusion
from rdc_jax.models.networks import Networks
from rdc_jax.training.tasks import coding, looks
from rdc_jax.training.tasks.codec_losses import Loss
from rdc_jax.training.tasks.coding import Noised
from rdc_jax.training.tasks.recipe import Recipe

TRAINED = {
    "auxiliary": ("auxiliary",),
    "transform": ("transform",),
    "realism": ("transform", "discriminator"),
}
"""Parts of the parameters that each stage trains."""


@dataclasses.dataclass(frozen=True)
class FusionRecipe:
    """Numbers of a config that the losses need; see configs/defaults.py."""

    base: Recipe
    looks: looks.Looks
    pixel_weight: float
    adversarial_weight: float
    pull_weight: float
    diffusion_weight: float
    two_step_share: float
    realism_weight: float


def fusion_recipe(config: ml_collections.ConfigDict, lattice: int, base: Recipe) -> FusionRecipe:
    """The recipe of a config.

    Args:
        config: Of a run that trains a fusion module.
        lattice: Downsampling of the base codec.
        base: The recipe of the base codec.
    """
    training = config.training
    fields = [field.name for field in dataclasses.fields(FusionRecipe)]
    weights = {name: training[name] for name in fields if name not in ("base", "looks")}
    return FusionRecipe(base, looks.Looks.from_config(training.to_dict(), lattice), **weights)


class Example(NamedTuple):
    """A batch as both sides of the base codec see it."""

    noised: Noised
    decoded: Decoded
    faithful: jax.Array  # image at tau = 0, [B,H,W,3]
    bits: dict[str, jax.Array]  # of latent "y" and hyper-latent "z", [B] each


def code(networks: Networks, recipe: FusionRecipe, params, batch, key: jax.Array) -> Example:
    """Codes a batch with the base codec at random timesteps.

    Args:
        networks: Of the base codec.
        recipe: How timesteps are drawn.
        params: Of the base codec.
        batch: See `coding.add_coding_noise`.
        key: Draws timesteps and noise.
    """
    keys = jax.random.split(key, 3)
    coded = coding.code_batch(networks, recipe.base, params, batch, keys)
    decoded = coding.decode(networks, params, coded)
    faithful = networks.decode(params, decoded.latent)
    return Example(coded.noised, decoded, faithful, coded.bits)


def image_terms(
    recipe: FusionRecipe, params, example: Example, image: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """The terms that judge an image, and the means of all terms as metrics.

    Args:
        recipe: Weights of the looks.
        params: Holds "perceptual", the LPIPS networks.
        example: The batch that the image was decoded from.
        image: To be judged, [B,H,W,3].
        key: Draws the views of `looks.score`.

    Returns:
        The score of `looks.score` [B], the squared error over that of the faithful image [B], and
        scalars: "mse" in squared 8-bit units, "mse_ratio", "score", and the score's terms.
    """

    def mse(reconstruction):
        return jnp.mean(losses.squared_error(example.noised.x, reconstruction), (1, 2, 3))

    error, faithful = mse(image), jax.lax.stop_gradient(mse(example.faithful))
    ratio = (error + 1.0) / (faithful + 1.0)
    score, terms = looks.score(
        recipe.looks, params["perceptual"], key, example.noised.x, example.faithful, image
    )
    means = {"mse": jnp.mean(error), "mse_ratio": jnp.mean(ratio), "score": jnp.mean(score)}
    return score, ratio, means | terms


def auxiliary_loss(networks: Networks, fusion: Fusion, recipe: FusionRecipe) -> Loss:
    """Terms of the image of y_p, and a pull towards the decoded latent.

    The pull, mean squared (y_p - y_c) / w, keeps detail out of y_p that no decoder could guess.
    """

    def loss(trained, frozen, batch, key):
        params = {**frozen, **trained}
        code_key, looks_key = jax.random.split(key)
        example = code(networks, recipe, params, batch, code_key)
        decoded = example.decoded
        better = fusion.better_latent(params, example.noised.x, example.noised.latent, decoded)
        image = networks.decode(params, better)
        score, ratio, metrics = image_terms(recipe, params, example, image, looks_key)
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
    """Mean squared error of v on the residual between y_p and the decoded latent, scalar.

    Args:
        fusion: The module's networks.
        params: Parameters of base and module.
        example: The batch.
        key: Draws clock values and noise.
    """
    u_key, noise_key = jax.random.split(key)
    decoded = example.decoded
    better = fusion.better_latent(params, example.noised.x, example.noised.latent, decoded)
    clean = (better - decoded.latent) / decoded.deviation
    noise = residual.unit_noise(noise_key, clean.shape)
    batch = clean.shape[0]
    u = (jax.random.uniform(u_key) + jnp.arange(batch) / batch) % 1.0
    output = fusion.velocity(params, residual.diffuse(clean, noise, u), u, decoded)
    return losses.prediction_error(output, residual.velocity(clean, noise, u))


def realism_loss(networks: Networks, fusion: Fusion, recipe: FusionRecipe) -> Loss:
    """`image_terms` and a hinge adversarial game on one- and two-step samples.

    Most examples are judged after one step from pure noise. A share is judged after a DDIM step to
    a random clock value and one more from there, as samplers of more steps take them. The
    discriminator learns in the same step, from the same images.
    """

    def loss(trained, frozen, batch, key):
        params = {**frozen, **trained}
        code_key, noise_key, u_key, diffusion_key, looks_key = jax.random.split(key, 5)
        example = code(networks, recipe, params, batch, code_key)
        decoded, x = example.decoded, example.noised.x
        noise = residual.unit_noise(noise_key, decoded.latent.shape)
        transformed = few_step_latent(fusion, params, decoded, noise, u_key, recipe.two_step_share)
        image = networks.decode(params, transformed)
        score, ratio, metrics = image_terms(recipe, params, example, image, looks_key)
        value = jnp.mean(score + recipe.pixel_weight * ratio)
        if recipe.diffusion_weight:
            error = prediction_error(fusion, params, example, diffusion_key)
            value += recipe.diffusion_weight * error
            metrics["prediction_error"] = error
        if recipe.adversarial_weight:
            game, game_metrics = adversarial_terms(recipe, fusion, params, x, image, example)
            value, metrics = value + game, metrics | game_metrics
        return value, metrics

    return loss


def few_step_latent(
    fusion: Fusion,
    params,
    decoded: Decoded,
    noise: jax.Array,
    key: jax.Array | None = None,
    share: float = 0.0,
) -> jax.Array:
    """y_d of every example: a share of the batch after two steps, the others after one.

    Args:
        fusion: The module's networks.
        params: Parameters of base and module.
        decoded: The base's decoded latent.
        noise: Where sampling starts, unit variance, [B,h,w,C].
        key: Draws the clock value of the second step; not needed where `share` is 0.
        share: Share of the examples that take two steps.
    """
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
    recipe: FusionRecipe, fusion: Fusion, params, x, image, example: Example
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Hinge losses of both players, each differentiated for its own parameters only.

    Args:
        recipe: Weight of the generator's loss.
        fusion: The module's networks.
        params: Holds the discriminator.
        x: Originals, [B,H,W,3].
        image: Decoded images, the same shape.
        example: The batch, whose faithful images are the condition.

    Returns:
        The weighted sum, and both losses as metrics.
    """
    judge = {"discriminator": params["discriminator"]}
    fooled = fusion.judge(jax.lax.stop_gradient(judge), image, example.faithful)
    real = fusion.judge(judge, x, example.faithful)
    fake = fusion.judge(judge, jax.lax.stop_gradient(image), example.faithful)
    generator = -jnp.mean(fooled)
    discriminator = jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + fake))
    metrics = {"generator": generator, "discriminator": discriminator}
    return recipe.adversarial_weight * generator + discriminator, metrics


LOSSES = {"auxiliary": auxiliary_loss, "transform": transform_loss, "realism": realism_loss}
