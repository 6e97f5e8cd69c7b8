"""Timestep conditioning: sinusoids, the three forms, mixing of levels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.models.timesteps import LevelTimesteps, TimeMLP, level_timesteps, sinusoids

VALUES = np.array([[100.0, 333.25, 870.0], [20.0, 500.0, 999.0]], np.float32)


@pytest.fixture(scope="module")
def levels():
    return np.random.default_rng(0).integers(0, 3, (2, 8, 4))


def per_pixel(levels):
    return np.take_along_axis(VALUES[:, None, None, :], levels[..., None], axis=-1)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 2, 3)])
def test_sinusoids_against_the_formula(shape):
    t = np.random.default_rng(0).uniform(0, 1000, shape).astype(np.float32)
    frequencies = 10000.0 ** (-np.arange(160) / 160)
    angles = t.astype(np.float64)[..., None] * frequencies
    expected = np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)
    np.testing.assert_allclose(sinusoids(jnp.asarray(t), 320), expected, atol=2e-4)


def test_levels_give_every_pixel_its_value(levels):
    timesteps = level_timesteps(jnp.asarray(VALUES), jnp.asarray(levels))
    assert timesteps.weights.shape == (2, 8, 4, 3)
    np.testing.assert_array_equal(timesteps.at_pixels(timesteps.values), per_pixel(levels))
    vectors = jnp.stack([timesteps.values, -timesteps.values], axis=-1)
    expected = np.concatenate([per_pixel(levels), -per_pixel(levels)], axis=-1)
    np.testing.assert_array_equal(timesteps.at_pixels(vectors), expected)


@pytest.mark.parametrize("height", [8, 4, 2])
def test_mixing_levels_equals_embedding_every_pixel(levels, height):
    import flax.linen as nn

    mlp, dense = TimeMLP(32, 64), nn.Dense(24)
    by_level = level_timesteps(jnp.asarray(VALUES), jnp.asarray(levels))
    by_pixel = jnp.asarray(per_pixel(levels))
    variables = mlp.init(jax.random.key(0), by_level)
    projection = dense.init(jax.random.key(1), jnp.zeros((1, 64)))
    bound = dense.bind(projection)
    mixed, dense_map = (
        mlp.apply(variables, form).project(bound, height) for form in (by_level, by_pixel)
    )
    assert mixed.shape == dense_map.shape == (2, height, height // 2, 24)
    np.testing.assert_allclose(mixed, dense_map, atol=2e-6)


def test_one_timestep_per_image_broadcasts():
    mlp = TimeMLP(8, 16)
    variables = mlp.init(jax.random.key(0), jnp.zeros(1))
    embedding = mlp.apply(variables, jnp.asarray([1.0, 2.0])).project(lambda x: x, 4)
    assert embedding.shape == (2, 1, 1, 16)
    assert not np.allclose(embedding[0], embedding[1])


def test_soft_weights_mix_embeddings():
    weights = jnp.full((1, 2, 2, 2), 0.5)
    timesteps = LevelTimesteps(jnp.asarray([[0.0, 100.0]]), weights)
    np.testing.assert_allclose(timesteps.at_pixels(timesteps.values), np.full((1, 2, 2, 1), 50.0))
