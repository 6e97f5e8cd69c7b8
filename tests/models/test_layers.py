"""Resampling and norms in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.models import layers
from rdc_jax.models.step_profile import GAIN, StepProfile


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 6, 8)), jnp.float32)


def test_space_to_depth_is_the_inverse_of_depth_to_space(x):
    y = layers.depth_to_space(x, 2)
    assert y.shape == (2, 8, 12, 2)
    np.testing.assert_array_equal(y[:, 1, 0], x[:, 0, 0, 4:6])  # row first, then column
    np.testing.assert_array_equal(layers.space_to_depth(y, 2), x)


def test_area_pool_inverts_nearest_upsampling(x):
    up = layers.nearest_upsample(x, 2)
    np.testing.assert_array_equal(up[:, 2:4, 2:4], jnp.broadcast_to(x[:, 1:2, 1:2], (2, 2, 2, 8)))
    np.testing.assert_allclose(layers.area_pool(up, 2), x, rtol=1e-6)
    assert layers.area_pool(x, 1) is x


def test_pixel_norm_is_local_and_of_unit_power(x):
    norm = layers.PixelNorm()
    variables = norm.init(jax.random.key(0), x)
    y = norm.apply(variables, x)
    np.testing.assert_allclose(jnp.mean(y**2, axis=-1), np.ones((2, 4, 6)), rtol=1e-4)
    np.testing.assert_array_equal(norm.apply(variables, x[:, :1]), y[:, :1])


def test_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="norm must be"):
        layers.normalization("batch", 8, 1e-5, jnp.float32, "norm")


def test_step_profile_starts_flat_and_interpolates_octaves():
    profile = StepProfile(channels=3, knots=5)
    t = jnp.asarray([0.0, 125.0, 250.0, 1000.0])
    variables = profile.init(jax.random.key(0), t)
    np.testing.assert_array_equal(profile.apply(variables, t), jnp.ones((4, 3)))
    octaves = jnp.zeros((5, 3)).at[1, 2].set(1 / GAIN).at[4, 0].set(100.0).at[0, 1].set(-100.0)
    ratio = np.asarray(profile.apply({"params": {"octaves": octaves}}, t))
    np.testing.assert_allclose(ratio[:, 2], [1, 2**0.5, 2, 1], rtol=1e-5)
    assert ratio[3, 0] == 2.0**6 and ratio[0, 1] == 2.0**-2  # limits
