"""Stage end_to_end: base codec and fusion module learn together.

The loss is the squared error of the image at tau 0, the looks of the image at tau 1, and the rate
of the one file for both. Conventions as in `fusion_losses`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rdc_jax.diffusion import losses, residual
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.models.fusion import Fusion
from rdc_jax.models.networks import Networks
from rdc_jax.training.tasks import codec_losses, fusion_losses
from rdc_jax.training.tasks.codec_losses import Loss
from rdc_jax.training.tasks.fusion_losses import FusionRecipe

TRAINED = (*codec_losses.TRAINED["joint"], "transform", "discriminator")
"""Parts of the parameters that the stage trains."""

SMALL_SCORE = 0.01
"""Score of `looks` below which a further per cent counts less."""


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
    """Rate, lambda(Delta) distortion at tau 0, and the looks of the one-step sample at tau 1.

    The looks are a logarithm of the score in units of the distortion: with a `realism_weight` of
    1, 1 % of the score counts as much as 1 % of squared error, at every rate.

    Args:
        networks: Of the base codec.
        fusion: The module's networks.
        recipe: Weights of all terms.

    Returns:
        A function (trained, frozen, batch, key) -> (parts, metrics). The parts "rate",
        "distortion", "looks" and, with a discriminator, "game" are scalars that add up to the loss.
    """

    def parts_of(trained, frozen, batch, key):
        params = {**frozen, **trained}
        code_key, noise_key, u_key, looks_key = jax.random.split(key, 4)
        example = fusion_losses.code(networks, recipe, params, batch, code_key)
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

        noise = residual.unit_noise(noise_key, decoded.latent.shape)
        transformed = fusion_losses.few_step_latent(
            fusion, params, decoded, noise, u_key, recipe.two_step_share
        )
        image = networks.decode(params, transformed)
        score, ratio, found = fusion_losses.image_terms(recipe, params, example, image, looks_key)
        looks_of = jnp.log(score + SMALL_SCORE) + recipe.pixel_weight * ratio
        parts["looks"] = recipe.realism_weight * jnp.mean(jax.lax.stop_gradient(unit) * looks_of)
        metrics |= {f"{name}_tau_1": term for name, term in found.items()}
        if recipe.adversarial_weight:
            parts["game"], found = fusion_losses.adversarial_terms(
                recipe, fusion, params, noised.x, image, example
            )
            metrics |= found
        return parts, metrics

    return parts_of


def encoder_shares(
    networks: Networks, fusion: Fusion, recipe: FusionRecipe
) -> Callable[..., dict[str, jax.Array]]:
    """How much each part of the loss moves the encoder: (trained, frozen, batch, key) -> scalars.

    The scalars "encoder_share_rate", "_distortion" and "_looks" are the norm of the part's gradient
    by the clean latent over the sum of the three norms. Each costs a backward pass.

    Args:
        networks: Of the base codec.
        fusion: The module's networks.
        recipe: Weights of all terms.
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
