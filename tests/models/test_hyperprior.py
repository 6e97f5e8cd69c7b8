"""The entropy model's network: shapes, causality of the passes, the bases of its conditions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.models.hyperprior import (
    CONDITION_CHANNELS,
    Hyperprior,
    condition_features,
    hats,
    pass_masks,
)

SHAPE = (1, 8, 12, 5)


@pytest.fixture(scope="module")
def network():
    """(module, random variables, latent, condition)."""
    module = Hyperprior(latent_channels=5, hyper_channels=3, width=8)
    rng = np.random.default_rng(0)
    latent = jnp.asarray(rng.normal(0, 32, SHAPE), jnp.float32)
    t = jnp.asarray(rng.uniform(0, 1000, (*SHAPE[:3], 1)), jnp.float32)
    m = jnp.asarray(rng.uniform(0, 1, (*SHAPE[:3], 1)), jnp.float32)
    condition = condition_features(t, m)
    shapes = jax.eval_shape(module.init, jax.random.key(0), latent, latent, condition)
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32), shapes
    )
    return module, variables, latent, condition


def test_shapes(network):
    module, variables, latent, condition = network
    z, z_mean, z_log2_scale, mean, log2_scale = module.apply(variables, latent, latent, condition)
    assert z.shape == z_mean.shape == z_log2_scale.shape == (1, 2, 3, 3)
    assert mean.shape == log2_scale.shape == SHAPE


def test_context_is_causal(network):
    module, variables, latent, condition = network
    z = jnp.round(module.apply(variables, latent, condition, method="hyper_analysis"))

    def parameters(yhat):
        return np.stack(module.apply(variables, z, yhat, condition, method="parameters_given"))

    def pixels_changed_by(row, column):
        changed = parameters(latent.at[0, row, column].add(500.0))
        difference = np.abs(changed - reference).max(axis=(0, 1, 4))
        return sorted(map(tuple, np.argwhere(difference > 0).tolist()))

    reference = parameters(latent)
    diagonals = [(3, 3), (3, 5), (5, 3), (5, 5)]
    sides = [(3, 4), (4, 3), (4, 5), (5, 4)]
    assert pixels_changed_by(4, 4) == sorted(diagonals + sides)  # pass 0 informs both others
    assert pixels_changed_by(3, 5) == [(2, 5), (3, 4), (3, 6), (4, 5)]  # pass 1 the last one
    assert pixels_changed_by(3, 4) == pixels_changed_by(6, 7) == []  # pass 2 nobody


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
