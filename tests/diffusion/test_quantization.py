"""Universal quantisation as a forward process: the law of its error, for maps of any steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rdc_jax.diffusion import quantization
from rdc_jax.diffusion.schedule import scaled_linear

SHAPE = (4, 128, 512, 4)  # 2**20 elements


@pytest.fixture(scope="module")
def forward():
    """y, y_t - alpha y in units of sigma, and the steps, all with random per-pixel timesteps."""
    rng = np.random.default_rng(0)
    t = jnp.asarray(rng.uniform(20, 900, (*SHAPE[:3], 1)), jnp.float32)
    y = jnp.asarray(rng.normal(0, 1, SHAPE), jnp.float32)
    schedule = scaled_linear()
    step = schedule.step(t)
    yhat = quantization.add_uniform_noise(jax.random.key(0), y, step)
    alpha, sigma = schedule.alpha_sigma(t)
    noise = (alpha * yhat - alpha * y) / sigma
    return tuple(np.asarray(a, np.float64) for a in (y, noise, step))


def test_noise_is_uniform_of_unit_variance(forward):
    noise = forward[1].ravel()
    assert np.abs(noise).max() <= np.sqrt(3) * (1 + 1e-5)
    assert noise.mean() == pytest.approx(0, abs=4e-3)
    assert noise.var() == pytest.approx(1, rel=3e-3)
    law = stats.uniform(-np.sqrt(3), 2 * np.sqrt(3))
    assert stats.kstest(noise, law.cdf).pvalue > 1e-3


def test_noise_is_independent_of_latent_step_and_neighbours(forward):
    y, noise, step = forward
    step = np.broadcast_to(step, noise.shape)
    for other in (y, step, y**2, np.roll(noise, 1, axis=2)):
        assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 4e-3
    # The variance does not depend on the step either.
    coarse = step > np.median(step)
    assert noise[coarse].var() == pytest.approx(noise[~coarse].var(), rel=5e-3)


def test_training_noise_has_the_law_of_coding_noise():
    y = jnp.zeros((1, 256, 512, 4))
    step = jnp.asarray(np.linspace(0.5, 20.0, 512), jnp.float32)[None, None, :, None]
    noisy = quantization.add_uniform_noise(jax.random.key(0), y, step)
    unit = np.asarray(noisy / step, np.float64).ravel()
    assert stats.kstest(unit, stats.uniform(-0.5, 1.0).cdf).pvalue > 1e-3


def test_gaussian_noise_has_the_same_variance():
    step = jnp.asarray(np.linspace(0.5, 20.0, 512), jnp.float32)[None, None, :, None]
    noisy = quantization.add_gaussian_noise(jax.random.key(0), jnp.zeros((1, 256, 512, 4)), step)
    unit = np.asarray(noisy / step, np.float64).ravel()
    assert stats.kstest(unit, stats.norm(0, 12**-0.5).cdf).pvalue > 1e-3


def test_straight_through_rounding():
    x = jnp.asarray([-1.6, -0.4, 0.2, 2.7])
    np.testing.assert_array_equal(
        quantization.round_straight_through(x), jnp.asarray([-2.0, 0.0, 0.0, 3.0])
    )
    gradient = jax.grad(lambda x: jnp.sum(3.0 * quantization.round_straight_through(x)))(x)
    np.testing.assert_array_equal(gradient, np.full(4, 3.0))
