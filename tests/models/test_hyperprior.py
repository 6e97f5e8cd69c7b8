"""The entropy model's network: shapes, causality of the passes, the bases of its conditions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.entropy import tables
from rdc_jax.models.conditions import CONDITION_CHANNELS, blinded, condition_features, hats
from rdc_jax.models.growth import grown
from rdc_jax.models.hyperprior import (
    LOG2_RATIO_RANGE,
    Hyperprior,
    pass_masks,
    silence_threshold,
    wiener_weight,
)

SHAPE = (1, 8, 12, 5)
LOG2_STEP = jnp.full((1, 1, 1, 1), 2.0)


@pytest.fixture(scope="module")
def network():
    """(module, random variables, latent, condition)."""
    module = Hyperprior(latent_channels=5, hyper_channels=3, width=8)
    rng = np.random.default_rng(0)
    latent = jnp.asarray(rng.normal(0, 32, SHAPE), jnp.float32)
    t = jnp.asarray(rng.uniform(0, 1000, (*SHAPE[:3], 1)), jnp.float32)
    m = jnp.asarray(rng.uniform(0, 1, (*SHAPE[:3], 1)), jnp.float32)
    condition = condition_features(t, m)
    shapes = jax.eval_shape(module.init, jax.random.key(0), latent, latent, condition, LOG2_STEP)
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32), shapes
    )
    return module, variables, latent, condition


def test_shapes(network):
    module, variables, latent, condition = network
    z, z_mean, z_log2_scale, mean, log2_scale = module.apply(
        variables, latent, latent, condition, LOG2_STEP
    )
    assert z.shape == z_mean.shape == z_log2_scale.shape == (1, 2, 3, 3)
    assert mean.shape == log2_scale.shape == SHAPE


def test_context_is_causal(network):
    module, variables, latent, condition = network
    z = jnp.round(module.apply(variables, latent, condition, method="hyper_analysis"))

    def parameters(yhat):
        return np.stack(
            module.apply(variables, z, yhat, condition, LOG2_STEP, method="parameters_given")
        )

    def pixels_changed_by(row, column):
        changed = parameters(latent.at[0, row, column].add(500.0))
        difference = np.abs(changed - reference).max(axis=(0, 1, 4))
        return sorted(map(tuple, np.argwhere(difference > 0).tolist()))

    reference = parameters(latent)
    diagonals = [(3, 3), (3, 5), (5, 3), (5, 5)]
    sides = [(3, 4), (4, 3), (4, 5), (5, 4)]
    through_pass_1 = [(2, 3), (2, 5), (3, 2), (3, 6), (5, 2), (5, 6), (6, 3), (6, 5)]
    # pass 0 informs both others, and the last one also by way of the means of pass 1
    assert pixels_changed_by(4, 4) == sorted(diagonals + sides + through_pass_1)
    assert pixels_changed_by(3, 5) == [(2, 5), (3, 4), (3, 6), (4, 5)]  # pass 1 the last one
    assert pixels_changed_by(3, 4) == pixels_changed_by(6, 7) == []  # pass 2 nobody


def passes_by_hand(network, z, yhat, estimate):
    """Mean and log2 scale of each pass, fed what `estimate(mean, log2 scale)` makes of yhat."""
    module, variables, _, condition = network
    features = module.apply(variables, z, condition, method="hyper_synthesis")
    known, total = jnp.zeros(SHAPE), jnp.zeros((2, *SHAPE))
    for number, mask in enumerate(pass_masks(*SHAPE[1:3])):
        own = module.apply(variables, number, features, known, method="pass_parameters")
        known = jnp.where(mask > 0, estimate(*own), known)
        total = jnp.where(mask[None] > 0, jnp.stack(own), total)
    return total


@pytest.mark.parametrize("log2_step", [-100.0, 2.0, 100.0])
def test_later_passes_see_the_wiener_estimate(network, log2_step):
    """Of a tiny step that is yhat, of a huge one the mean, else the formula with clipped s."""
    module, variables, latent, condition = network
    z = jnp.round(module.apply(variables, latent, condition, method="hyper_analysis"))
    yhat = latent + 3.0

    def estimate(mean, log2_scale):
        if log2_step < -50:
            return yhat
        if log2_step > 50:
            return mean
        low, high = LOG2_RATIO_RANGE
        scale = jnp.exp2(jnp.clip(log2_scale, log2_step + low, log2_step + high))
        w = scale**2 / (scale**2 + 2.0 ** (2 * log2_step) / 12)
        assert 0.1 < float(w.min()) < float(w.max()) < 0.9
        return mean + w * (yhat - mean)

    result = module.apply(
        variables, z, yhat, condition, jnp.full((1, 1, 1, 1), log2_step), method="parameters_given"
    )
    exact = 0 < log2_step < 50  # else up to the ends of the range of w
    tolerance = {"rtol": 2e-5, "atol": 1e-3} if exact else {"rtol": 2e-3, "atol": 0.1}
    expected = passes_by_hand(network, z, yhat, estimate)
    np.testing.assert_allclose(jnp.stack(result), expected, **tolerance)
    raw = passes_by_hand(network, z, yhat, lambda *_: yhat)
    assert log2_step < 0 or np.abs(expected - raw).max() > 5  # the estimate matters


def test_the_noise_of_a_silenced_channel_stays_out_of_the_context(network):
    """Channel 2 has a step far above its scale; its noise, as large, leaves all else alone."""
    module, variables, latent, condition = network
    z = jnp.round(module.apply(variables, latent, condition, method="hyper_analysis"))
    step = 2.0**12

    def largest_change(steps):
        noise = np.zeros(SHAPE, np.float32)
        noise[..., 2] = np.random.default_rng(1).uniform(-step / 2, step / 2, SHAPE[:3])
        log2_step = jnp.log2(jnp.asarray(steps, jnp.float32)).reshape(1, 1, 1, 5)
        clean, noisy = (
            np.stack(
                module.apply(variables, z, yhat, condition, log2_step, method="parameters_given")
            )
            for yhat in (latent, latent + noise)
        )
        return np.abs(noisy - clean).max()

    assert largest_change([1, 1, 1, 1, 1]) > 100  # of full weight it spoils everything
    assert largest_change([1, 1, step, 1, 1]) < 0.2


def test_wiener_weight_is_finite_bounded_and_differentiable():
    log2_scale = jnp.asarray([-1e4, -300.0, -1.0, 0.0, 3.0, 300.0, 1e4])
    power = 4.0 ** np.clip(np.asarray(log2_scale, np.float64), *LOG2_RATIO_RANGE)
    weight = power / (power + 1 / 12)
    np.testing.assert_allclose(wiener_weight(log2_scale, 0.0), weight, rtol=1e-6)
    slope = jax.grad(lambda x: jnp.sum(wiener_weight(x, 0.0)))(log2_scale)
    expected = 2 * np.log(2) * weight * (1 - weight)
    np.testing.assert_allclose(slope, expected, rtol=1e-5)
    down = jax.grad(lambda x: jnp.sum(wiener_weight(log2_scale, x)))(jnp.zeros(7))
    np.testing.assert_allclose(down, -slope, rtol=1e-5)


def test_a_silent_element_has_no_weight():
    log2_scale = jnp.linspace(-4.0, 3.0, 29)
    weight = wiener_weight(log2_scale, 1.0, silent_below=-0.9)
    np.testing.assert_array_equal(weight[log2_scale < 0.1], 0)
    plain = wiener_weight(log2_scale, 1.0)
    np.testing.assert_array_equal(weight[log2_scale >= 0.1], plain[log2_scale >= 0.1])


@pytest.mark.parametrize("silent_scales", [1, 24, 36, 79])
def test_the_silence_of_training_is_the_coders(silent_scales):
    fixed = np.arange(-8 << 10, 7 << 10)  # log2(scale / step), 10 fractional bits
    index = tables.scale_index_from_log2(fixed, 10)
    silent = fixed / 1024 < silence_threshold(silent_scales)
    np.testing.assert_array_equal(silent, index < silent_scales)


def test_gradients_reach_earlier_passes_through_the_context(network):
    module, variables, latent, condition = network
    z = jnp.round(module.apply(variables, latent, condition, method="hyper_analysis"))
    last = pass_masks(*SHAPE[1:3])[2]

    def mean_of_the_last_pass(variables, log2_step):
        mean = module.apply(variables, z, latent, condition, log2_step, method="parameters_given")[
            0
        ]
        return jnp.sum(last * mean)

    by_variables, by_step = jax.grad(mean_of_the_last_pass, (0, 1))(variables, LOG2_STEP)
    of_mean, of_scale = jnp.split(by_variables["params"]["pass0_1"]["bias"], 2)
    for gradient in (of_mean, of_scale, by_step):
        assert np.all(np.isfinite(gradient)) and np.all(np.abs(gradient) > 1e-3)


def test_masks_share_out_the_pixels():
    masks = [np.asarray(mask)[0, :, :, 0] for mask in pass_masks(3, 4)]
    turn = sum(number * mask for number, mask in enumerate(masks))
    np.testing.assert_array_equal(sum(masks), np.ones((3, 4)))
    np.testing.assert_array_equal(turn, [[0, 2, 0, 2], [2, 1, 2, 1], [0, 2, 0, 2]])


@pytest.mark.parametrize("count", [2, 4, 12])
def test_hats_are_a_partition_of_unity(count):
    x = jnp.linspace(0.0, 1.0, 333)
    basis = np.asarray(hats(x, count))
    assert basis.shape == (333, count) and basis.min() >= 0
    np.testing.assert_allclose(basis.sum(-1), np.ones(333), atol=2e-6)
    np.testing.assert_allclose(basis @ np.linspace(0, 1, count), x, atol=1e-6)  # linear exactly


def test_condition_features_are_two_bases():
    ones = jnp.ones((1, 2, 2, 1))
    features = np.asarray(condition_features(1000.0 * ones, 0.0 * ones))
    assert features.shape == (1, 2, 2, CONDITION_CHANNELS)
    expected = np.zeros(CONDITION_CHANNELS)
    expected[[11, 12]] = 1
    np.testing.assert_allclose(features[0, 0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("additions", [False, True])
@pytest.mark.parametrize("condition", ["timestep", "importance"])
def test_a_blinded_network_is_not_told(network, condition, additions):
    """Its answers no longer depend on the one condition, and still on the other."""
    module, variables, latent, _ = network
    if additions:
        module, variables = with_additions(network)
        variables = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    params = {"params": blinded(variables["params"], condition)}

    def answers(t, m):
        planes = (jnp.full((*SHAPE[:3], 1), value) for value in (t, m))
        told = condition_features(*planes)
        return jnp.concatenate(
            [x.reshape(-1) for x in module.apply(params, latent, latent, told, LOG2_STEP)]
        )

    by_timestep = np.abs(answers(100.0, 0.3) - answers(700.0, 0.3)).max()
    by_importance = np.abs(answers(100.0, 0.3) - answers(100.0, 0.9)).max()
    unseen, seen = by_timestep, by_importance
    if condition == "importance":
        unseen, seen = seen, unseen
    assert unseen < 1e-4 and seen > 0.1


ADDITIONS = {"hyper_step": True, "hyper_context": True}


def with_additions(network):
    """The module with a step and context for z, and its parameters: fresh where it has more."""
    module, variables, latent, condition = network
    larger = module.clone(**ADDITIONS)
    fresh = larger.init(jax.random.key(3), latent, latent, condition, LOG2_STEP)
    return larger, {"params": grown(fresh["params"], variables["params"])}


def test_a_network_grown_by_step_and_context_of_z_starts_as_it_was(network):
    module, variables, latent, condition = network
    larger, grown_variables = with_additions(network)
    old = module.apply(variables, latent, latent, condition, LOG2_STEP)
    new = larger.apply(grown_variables, latent, latent, condition, LOG2_STEP)
    for ours, theirs in zip(new, old, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    coded = larger.apply(grown_variables, old[0], condition, method="hyper_latent_given")
    np.testing.assert_array_equal(coded.value, jnp.round(old[0]))


def test_context_of_the_hyper_latent_is_causal(network, rng):
    """A pass of z sees what earlier ones coded, less the prior's mean, and nothing else."""
    _, _, _, condition = network
    larger, variables = with_additions(network)
    variables = jax.tree.map(
        lambda leaf: leaf + jnp.asarray(rng.normal(0, 0.3, leaf.shape), jnp.float32), variables
    )
    condition = jnp.tile(condition, (1, 3, 2, 1))  # z is 6 x 6
    z = jnp.asarray(rng.normal(0, 9, (1, 6, 6, 3)), jnp.float32)

    def priors(z):
        coded = larger.apply(variables, z, condition, method="hyper_latent_given")
        return np.stack([coded.mean, coded.log2_scale])

    def cells_changed_by(row, column):
        difference = np.abs(priors(z.at[0, row, column].add(90.0)) - priors(z))
        return sorted(map(tuple, np.argwhere(difference.max((0, 1, 4)) > 0).tolist()))

    assert cells_changed_by(1, 1) == [(0, 1), (1, 0), (1, 2), (2, 1)]  # pass 1 the last one
    assert cells_changed_by(1, 2) == cells_changed_by(2, 3) == []  # pass 2 nobody
    of_pass_0 = cells_changed_by(2, 2)
    assert {(1, 1), (1, 3), (3, 1), (3, 3), (1, 2), (2, 1), (2, 3), (3, 2)} <= set(of_pass_0)
    assert all(row % 2 or column % 2 for row, column in of_pass_0)

    prior = larger.apply(variables, condition, method="hyper_latent_prior")
    step = larger.apply(variables, condition, method="hyper_latent_log2_step")
    first = larger.apply(variables, z, condition, method="hyper_latent_given")
    np.testing.assert_allclose((first.log2_scale + step)[0, ::2, ::2], prior[1][0, ::2, ::2],
                               atol=1e-4)  # fmt: skip


def test_the_step_of_the_hyper_latent_has_a_gradient_from_the_start(network):
    _, _, latent, condition = network
    larger, variables = with_additions(network)

    def bits(variables):
        z = larger.apply(variables, latent, condition, method="hyper_analysis")
        coded = larger.apply(variables, z, condition, method="hyper_latent_given")
        power = jnp.square(coded.scaled - coded.mean) * jnp.exp2(-2 * coded.log2_scale)
        return jnp.sum(coded.log2_scale + power)

    slope = jax.grad(bits)(variables)["params"]
    for layer in ("hyper_log2_step", "hyper1_1", "hyper2_1"):
        assert np.all(np.isfinite(slope[layer]["kernel"]))
        assert np.abs(slope[layer]["kernel"]).max() > 1e-3
