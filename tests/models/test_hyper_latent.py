"""The lattice of the hyper-latent: a learnt step, a centre near the mean, exactly integers at 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.models.hyper_latent import bounded_log2_step, coded_hyper_latent, step_of


@pytest.fixture
def numbers(rng):
    """z, mean, log2 scale, each [50]."""
    return (jnp.asarray(rng.normal(0, 20, 50), jnp.float32) for _ in range(3))


def test_the_step_is_a_power_of_two_at_integers_and_linear_between():
    np.testing.assert_array_equal(step_of(jnp.arange(-3.0, 7.0)), 2.0 ** np.arange(-3, 7))
    np.testing.assert_allclose(step_of(jnp.array([-0.5, 0.25, 3.5])), [0.75, 1.25, 12.0])


def test_the_step_is_clipped_and_its_gradient_is_not():
    x = jnp.array([-9.0, 1.5, 9.0])
    np.testing.assert_array_equal(bounded_log2_step(x), [-3.0, 1.5, 6.0])
    slope = jax.grad(lambda x: jnp.sum(step_of(bounded_log2_step(x))))(x)
    np.testing.assert_array_equal(slope, [0.125, 2.0, 64.0])


def test_a_step_of_one_rounds_to_integers_whatever_the_mean(numbers):
    z, mean, log2_scale = numbers
    plain = coded_hyper_latent(z, mean, log2_scale)
    stepped = coded_hyper_latent(z, mean, log2_scale, jnp.zeros(50))
    for ours, theirs in zip(stepped, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(plain.value, jnp.round(z))


@pytest.mark.parametrize("log2_step", [-2.3, 0.7, 4.2])
def test_values_are_whole_steps_from_the_rounded_mean(numbers, log2_step):
    z, mean, log2_scale = numbers
    step = float(step_of(jnp.array(log2_step)))
    coded = coded_hyper_latent(z, mean, log2_scale, jnp.full(50, log2_step))
    steps = (coded.value - jnp.round(mean)) / step
    np.testing.assert_allclose(steps, jnp.round(steps), atol=1e-3)
    assert np.abs(coded.value - z).max() <= step / 2 + 1e-3
    np.testing.assert_allclose(coded.scaled - coded.mean, (z - mean) / step, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(coded.log2_scale, log2_scale - log2_step, rtol=1e-6)


def test_gradients_of_the_value(numbers):
    """By z the identity, by the step the rounding error in steps: a finer step errs less."""
    z, mean, log2_scale = numbers

    def value(z, log2_step):
        return jnp.sum(coded_hyper_latent(z, mean, log2_scale, log2_step).value)

    log2_step = jnp.full(50, 2.5)
    by_z, by_log2_step = jax.grad(value, (0, 1))(z, log2_step)
    np.testing.assert_allclose(by_z, 1, rtol=1e-6)
    exact = (z - jnp.round(mean)) / 6.0
    np.testing.assert_allclose(by_log2_step / 4.0, jnp.round(exact) - exact, atol=1e-4)
