"""The pieces of the losses: random timesteps, bounded scales, later points of the clock."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import tiny
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import LevelTimesteps
from rdc_jax.training.tasks import codec_losses, coding, initialization

LEVELS = 4
BATCH = 64


@pytest.fixture(scope="module")
def recipe():
    return codec_losses.Recipe(
        num_levels=LEVELS, timestep_range=(200, 800), timestep_gap=400, uniform_map_share=0.3,
        distortion_weight=0.08, latent_weight=0.1, balance=0.5, later_clock_share=0.2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def importance():
    return jnp.asarray(np.random.default_rng(0).integers(0, LEVELS, (BATCH, 3, 2)), jnp.uint8)


def test_timesteps_cover_the_range_and_fall_with_importance(recipe, importance):
    timesteps, value = coding.draw_levels(jax.random.key(0), importance, recipe, 2)
    assert timesteps.values.shape == (BATCH, LEVELS)
    assert timesteps.weights.shape == (BATCH, 6, 4, LEVELS)
    values = np.asarray(timesteps.values)
    assert values.min() >= 140 and values.max() <= 860
    assert np.all(np.diff(values, axis=1) <= 0)
    middle = np.sort(values.mean(axis=1))
    assert np.diff(middle).max() < 40 and middle[0] < 240 and middle[-1] > 760
    expected = np.repeat(np.repeat(np.asarray(importance), 2, 1), 2, 2)[..., None] / 3
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert np.all(values[:, 0] - values[:, -1] <= recipe.timestep_gap + 1e-3)


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.5, 16, 48), (1.0, 64, 64)])
def test_share_of_uniform_maps(recipe, importance, share, low, high):
    recipe = dataclasses.replace(recipe, uniform_map_share=share)
    values = coding.draw_levels(jax.random.key(1), importance, recipe, 2)[0].values
    uniform = int(np.sum(np.ptp(np.asarray(values), axis=1) == 0))
    assert low <= uniform <= high


def test_bounded_scale_clips_forward_and_passes_gradients():
    log2_scale = jnp.asarray([-20.0, 0.0, 20.0])
    scale = coding.bounded_scale(log2_scale, 1.0)
    np.testing.assert_allclose(scale, [2.0**-6, 1.0, 2.0**7], rtol=1e-6)
    gradient = jax.grad(lambda x: jnp.sum(coding.bounded_scale(x, 1.0)))(log2_scale)
    np.testing.assert_allclose(gradient, scale * np.log(2), rtol=1e-5)


def test_bounds_are_those_of_the_tables():
    from rdc_jax.entropy import tables
    from rdc_jax.models.hyperprior import LOG2_RATIO_RANGE

    low, high = LOG2_RATIO_RANGE
    assert low == tables.MIN_LOG2_SCALE
    top = tables.MIN_LOG2_SCALE + (tables.NUM_SCALES - 1) / tables.SCALES_PER_OCTAVE
    assert top - 0.5 <= high <= top + 0.5


@pytest.fixture(scope="module")
def networks():
    return Networks.from_config(tiny.get_config("smoke").model.to_dict())


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_share_of_later_points_of_the_clock(networks, recipe, share):
    params = {"step_profile": {"octaves": jnp.zeros((8, 56))}}
    weights = jax.nn.one_hot(jnp.zeros((8, 4, 4), jnp.int32), LEVELS)
    timesteps = LevelTimesteps(jnp.full((8, LEVELS), 600.0), weights)
    y, yhat = jnp.zeros((8, 4, 4, 56)), jnp.full((8, 4, 4, 56), 100.0)
    noised = coding.Noised(jnp.zeros((8, 32, 32, 3)), y, yhat, timesteps, weights[..., :1])
    noisy, now = codec_losses.move_some_later(networks, params, noised, share, jax.random.key(0))
    remaining = np.asarray(now.values[:, 0]) / 600
    later = remaining < 1
    assert later.sum() == round(8 * share)
    assert np.all(remaining > 0)
    np.testing.assert_array_equal(noisy[~later], yhat[~later])
    step = np.asarray(networks.schedule.step(now.values[:, 0]))
    largest = np.abs(np.asarray(noisy)).max(axis=(1, 2, 3))
    assert np.all(largest[later] <= step[later] / 2 + 1e-5)
    assert np.all(largest[later] > 0.98 * step[later] / 2)


def test_scales_start_at_those_of_the_data(networks, rng):
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    linear = params["autoencoder"]["analysis"]["linear"]
    linear["kernel"] = jnp.asarray(rng.normal(0, 0.1, linear["kernel"].shape), jnp.float32)
    images = rng.integers(0, 256, (3, 16, 24, 3), dtype=np.uint8)
    started = initialization.match_empirical_scales(networks, params, images)
    latent = np.asarray(networks.encode(params, images.astype(np.float32) / 127.5 - 1))
    assert latent.shape == (3, 2, 3, 56)
    for layer in ("pass0_1", "pass1_2", "pass2_2"):
        mean, log2_scale = np.split(np.asarray(started["hyperprior"][layer]["bias"]), 2)
        np.testing.assert_allclose(32 * mean, latent.mean((0, 1, 2)), atol=1e-3)
        np.testing.assert_allclose(2.0**log2_scale, latent.std((0, 1, 2)), rtol=1e-3, atol=2e-3)
    assert not np.any(params["hyperprior"]["pass0_1"]["bias"])  # the argument is left alone


def test_silent_elements_are_free_and_their_prior_still_learns(networks, rng):
    """Bits are those of the sent elements; their prior gets a share of the others' gradient."""
    everything = dataclasses.replace(networks, silent_scales=0)
    assert networks.silent_below is not None
    params = jax.jit(networks.init)(jax.random.key(0))
    y = jnp.asarray(rng.normal(0, 1, (2, 8, 8, 56)) * np.geomspace(0.2, 60, 56), jnp.float32)
    weights = jax.nn.one_hot(jnp.zeros((2, 8, 8), jnp.int32), LEVELS)
    timesteps = LevelTimesteps(jnp.full((2, LEVELS), 500.0), weights)
    noised = coding.Noised(None, y, y + 1.0, timesteps, weights[..., :1])
    bias = params["hyperprior"]["pass0_1"]["bias"].at[56:].set(np.log2(np.geomspace(0.2, 60, 56)))

    def bits(networks, bias, yhat):
        layer = {**params["hyperprior"]["pass0_1"], "bias": bias}
        changed = {**params, "hyperprior": {**params["hyperprior"], "pass0_1": layer}}
        coded = coding.code(networks, changed, noised._replace(yhat=yhat), jax.random.key(1))
        return jnp.sum(coded.bits["y"]), coded.scale

    results = []
    for each in (networks, everything):
        grad = jax.jit(jax.grad(bits, (1, 2), has_aux=True), static_argnums=0)
        (slope, by_yhat), scale = grad(each, bias, noised.yhat)
        results.append((bits(each, bias, noised.yhat)[0], slope, by_yhat, scale))
    (sent, slope, by_yhat, scale), (total, slope_all, by_yhat_all, _) = results
    step = networks.steps_at_pixels(params, timesteps)
    silent = np.asarray(scale < 2.0**networks.silent_below * step)
    coded_first = (slice(None), slice(0, None, 2), slice(0, None, 2))  # pass 0: feels no context
    assert 0.2 < silent[coded_first].mean() < 0.8
    assert sent < 0.99 * total
    share = np.asarray(slope[56:] / slope_all[56:])
    assert np.all(share[:10] < 0.2) and np.all(share[:10] > 0.05)  # always silent
    np.testing.assert_allclose(share[-10:], 1, rtol=1e-3)  # always sent
    np.testing.assert_array_equal(by_yhat[silent], 0)
    assert np.all(by_yhat_all[coded_first][silent[coded_first]] != 0)


def test_step_and_context_of_the_hyper_latent_learn_and_change_nothing_at_the_start(networks, rng):
    """Stored weights in a config with both: the same bits, and gradients for the new layers."""
    fields = {"hyper_step": True, "hyper_context": True}
    larger = dataclasses.replace(networks, hyperprior=networks.hyperprior.clone(**fields))
    params = jax.device_get(jax.jit(networks.init)(jax.random.key(0)))
    y = jnp.asarray(rng.normal(0, 20, (2, 16, 16, 56)), jnp.float32)
    weights = jax.nn.one_hot(jnp.zeros((2, 16, 16), jnp.int32), LEVELS)
    timesteps = LevelTimesteps(jnp.full((2, LEVELS), 500.0), weights)
    noised = coding.Noised(None, y, y + 1.0, timesteps, weights[..., :1])
    grown = initialization.fitted_to(larger, params, seed=0)
    as_it_is = initialization.fitted_to(networks, params, seed=0)
    assert as_it_is["hyperprior"] is params["hyperprior"]

    def bits(networks, hyperprior):
        own = {**params, "hyperprior": hyperprior}
        coded = coding.code(networks, own, noised, jax.random.key(1))
        return jnp.sum(coded.bits["z"]), (coded.bits, coded.mean, coded.scale)

    (_, before), (_, after) = (
        jax.jit(bits, static_argnums=0)(each, tree["hyperprior"])
        for each, tree in ((networks, params), (larger, grown))
    )
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-4)
    slope, _ = jax.jit(jax.grad(bits, 1, has_aux=True), static_argnums=0)(
        larger, grown["hyperprior"]
    )
    for layer in ("hyper_log2_step", "hyper1_1", "hyper2_1"):
        kernel = np.asarray(slope[layer]["kernel"])
        assert np.all(np.isfinite(kernel)) and np.abs(kernel).max() > 1e-3
    assert slope["hyper_log2_step"]["bias"].max() < 0  # a larger step costs fewer bits


def test_stored_weights_that_do_not_fit_the_config_are_refused(networks):
    params = jax.device_get(jax.jit(networks.init)(jax.random.key(0)))
    narrower = dataclasses.replace(networks, hyperprior=networks.hyperprior.clone(width=8))
    with pytest.raises(RdcError, match="hyperprior/analysis_0"):
        initialization.fitted_to(narrower, params, seed=0)
