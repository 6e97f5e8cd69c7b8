"""The terms of stage realism: few steps, two players, and terms without a weight."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.diffusion import residual
from rdc_jax.models.fusion import GRAIN_AT_START
from rdc_jax.training.tasks import fusion_losses, fusion_task
from rdc_jax.training.tasks.looks import Looks, Views
from rdc_jax.training.tasks.task import split_parameters

NOTHING = dict(
    looks=Looks(Views(), Views(), max_offset=0, pattern=0.0, colour=0.0),
    pixel_weight=0.0, adversarial_weight=0.0, diffusion_weight=0.0,
)  # fmt: skip


def test_half_of_a_batch_is_seen_after_one_step_and_half_after_two(system, learnt, example, recipe):
    """A fresh transform adds its grain, in one step or two."""
    networks, fusion, fresh = system
    decoded, key = example.decoded, jax.random.key(0)
    noise = residual.unit_noise(jax.random.key(1), decoded.latent.shape)

    @jax.jit
    def run(params):
        latent = fusion_losses.few_step_latent(fusion, params, decoded, noise, key, 0.5)
        picture = networks.decode(params, latent)
        return latent, fusion_losses.image_terms(recipe, params, example, picture, key)[:2]

    latent, _ = run(fresh)
    moved = np.asarray((latent - decoded.latent) / decoded.deviation)
    np.testing.assert_allclose(moved[::2], GRAIN_AT_START * np.asarray(noise)[::2], atol=1e-2)
    # With v = -g r, a step through the angle a multiplies by cos a + g sin a.
    share = np.sum(moved * noise, (1, 2, 3)) / np.sum(noise**2, (1, 2, 3))
    second = (0.1 + 0.8 * np.asarray(jax.random.uniform(key, decoded.latent.shape[:1]))) * np.pi / 2
    first = np.pi / 2 - second
    expected = (np.cos(first) + GRAIN_AT_START * np.sin(first)) * (
        np.cos(second) + GRAIN_AT_START * np.sin(second)
    )
    np.testing.assert_allclose(share[1::2], expected[1::2], rtol=1e-2)
    latent, (score, ratio) = run(learnt)
    assert np.all(np.isfinite(latent))
    assert np.all(np.abs(ratio - 1) > 1e-4) and np.all(score > 0)


def test_the_second_step_costs_nothing_where_no_example_takes_it(system, learnt, example):
    _, fusion, _ = system
    decoded, noise = example.decoded, jnp.zeros_like(example.decoded.latent)

    def operations(share):
        def run(params, key):
            return fusion_losses.few_step_latent(fusion, params, decoded, noise, key, share)

        return str(jax.make_jaxpr(run)(learnt, jax.random.key(0))).count("conv_general_dilated")

    assert operations(0.5) == 2 * operations(0.0) > 0


def only(recipe, **weights):
    return dataclasses.replace(recipe, **(NOTHING | weights))


def test_the_two_players_learn_from_their_own_terms(system, learnt, recipe, example):
    """The picture from the generator's term alone, the judge from the hinges alone."""
    _, fusion, _ = system
    x, faithful, judge = example.noised.x, example.faithful, learnt["discriminator"]
    picture = 0.5 * x

    def game(judge, picture, weight):
        params, now = {"discriminator": judge}, only(recipe, adversarial_weight=weight)
        return fusion_losses.adversarial_terms(now, fusion, params, x, picture, example)[0]

    def logits(judge, picture):
        return fusion.judge({"discriminator": judge}, picture, faithful)

    def hinges(judge):
        real, fake = logits(judge, x), logits(judge, picture)
        return jnp.mean(jax.nn.relu(1 - real)) + jnp.mean(jax.nn.relu(1 + fake))

    gradient = jax.jit(jax.grad(game, (0, 1)), static_argnums=2)
    of_hinges = jax.jit(jax.grad(hinges))(judge)
    fooling = np.asarray(jax.jit(jax.grad(lambda x: -jnp.mean(logits(judge, x))))(picture))
    assert np.any(fooling)
    for weight in (1.0, 4.0):
        of_judge, of_picture = gradient(judge, picture, weight)
        limit = 1e-4 * np.abs(fooling).max()
        np.testing.assert_allclose(of_picture, weight * fooling, rtol=1e-3, atol=limit)
        for a, b in zip(*map(jax.tree.leaves, (of_judge, of_hinges)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
        assert any(np.any(leaf) for leaf in jax.tree.leaves(of_judge))


@pytest.mark.parametrize("weights", [{}, {"diffusion_weight": 1.0}, {"adversarial_weight": 1.0}])
def test_terms_without_a_weight_are_not_computed(system, recipe, learnt, batch, weights):
    networks, fusion, _ = system
    loss = fusion_losses.realism_loss(networks, fusion, only(recipe, **weights))
    trained, frozen = split_parameters(fusion_task.TRAINED["realism"], learnt)
    _, metrics = jax.eval_shape(loss, trained, frozen, batch, jax.random.key(0))
    expected = {"mse", "mse_ratio", "score"}
    expected |= {"prediction_error"} if "diffusion_weight" in weights else set()
    expected |= {"generator", "discriminator"} if "adversarial_weight" in weights else set()
    assert set(metrics) == expected


def test_the_generator_gains_by_what_the_judge_takes_for_real(system, learnt, example, recipe):
    """Signs: hinge losses of two players that cannot both win."""
    _, fusion, _ = system
    recipe, x = only(recipe, adversarial_weight=1.0), example.noised.x
    terms = jax.jit(lambda p: fusion_losses.adversarial_terms(recipe, fusion, p, x, -x, example)[1])
    bias = learnt["discriminator"]["conv_out"]["bias"]

    def shifted(by):
        last = learnt["discriminator"]["conv_out"] | {"bias": bias + by}
        return terms(learnt | {"discriminator": learnt["discriminator"] | {"conv_out": last}})

    kind, harsh = shifted(10.0), shifted(-10.0)
    np.testing.assert_allclose(kind["generator"], harsh["generator"] - 20, rtol=1e-3)
    assert kind["discriminator"] > 5 and harsh["discriminator"] > 5


def test_noise_is_that_of_decoders(system):
    noise = np.asarray(residual.unit_noise(jax.random.key(0), (64, 64, 8)))
    assert np.abs(noise).max() <= np.float32(3**0.5)
    np.testing.assert_allclose(noise.std(), 1, rtol=0.01)
    np.testing.assert_allclose(noise.mean(), 0, atol=0.02)
