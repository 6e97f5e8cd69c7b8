"""What the network sees and predicts: inverses, special cases, the Wiener estimate."""

import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.diffusion import preconditioning
from rdc_jax.diffusion.schedule import scaled_linear

PREDICTIONS = ("eps", "v", "x0")


@pytest.fixture(scope="module")
def example():
    rng = np.random.default_rng(0)
    shape = (2, 8, 6, 3)
    clean, noise, mean = (jnp.asarray(rng.normal(0, 1, shape), jnp.float32) for _ in range(3))
    step = jnp.asarray(rng.uniform(0.2, 8, (2, 8, 6, 1)), jnp.float32)
    scale = jnp.asarray(np.exp(rng.normal(0, 1, shape)), jnp.float32)
    yhat = clean + step / np.sqrt(12.0).astype(np.float32) * noise
    return clean, noise, yhat, step, mean, scale


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_target_and_clean_estimate_are_inverse(example, prediction):
    clean, _, yhat, step, mean, scale = example
    z = preconditioning.standardize(yhat, step, mean, scale)
    output = preconditioning.target(clean, z, prediction)
    assert output.shape == clean.shape
    estimate = preconditioning.clean_estimate(output, z, prediction)
    np.testing.assert_allclose(estimate, clean, atol=2e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_without_a_prior_it_is_plain_diffusion(prediction):
    rng = np.random.default_rng(1)
    schedule = scaled_linear()
    t = jnp.asarray(rng.uniform(20, 900, (1, 5, 7, 1)), jnp.float32)
    x0, eps = (jnp.asarray(rng.normal(0, 1, (1, 5, 7, 4)), jnp.float32) for _ in range(2))
    alpha, sigma = schedule.alpha_sigma(t)
    noisy = alpha * x0 + sigma * eps
    z = preconditioning.standardize(noisy / alpha, schedule.step(t))
    np.testing.assert_allclose(z.noisy, noisy, atol=1e-5)
    np.testing.assert_allclose(z.alpha, jnp.broadcast_to(alpha, z.alpha.shape), rtol=1e-5)
    np.testing.assert_allclose(z.sigma, jnp.broadcast_to(sigma, z.sigma.shape), rtol=1e-5)
    expected = {"x0": x0, "eps": eps, "v": alpha * eps - sigma * x0}[prediction]
    np.testing.assert_allclose(
        preconditioning.target(x0, z, prediction), expected, atol=1e-4, rtol=1e-4
    )


def test_zero_v_output_is_the_wiener_estimate(example):
    _, _, yhat, step, mean, scale = example
    z = preconditioning.standardize(yhat, step, mean, scale)
    estimate = preconditioning.clean_estimate(jnp.zeros_like(yhat), z, "v")
    wiener = mean + scale**2 / (scale**2 + step**2 / 12) * (yhat - mean)
    np.testing.assert_allclose(estimate, wiener, atol=2e-6, rtol=2e-5)


@pytest.mark.parametrize("prediction", ["v", "x0"])
def test_an_element_that_was_not_sent_is_at_the_end_of_the_process(example, prediction):
    clean, _, yhat, step, mean, scale = example
    silent = np.asarray(scale < 0.5 * step)
    assert 0.2 < silent.mean() < 0.8
    garbage = jnp.where(silent, 1e9, yhat)
    z = preconditioning.standardize(garbage, step, mean, scale, silent_below=-1.0)
    plain = preconditioning.standardize(yhat, step, mean, scale)
    for name, end in (("noisy", 0.0), ("alpha", 0.0), ("sigma", 1.0)):
        found = np.asarray(getattr(z, name))
        np.testing.assert_array_equal(found[silent], end)
        np.testing.assert_array_equal(found[~silent], getattr(plain, name)[~silent])
    np.testing.assert_array_equal(z.log2_snr, plain.log2_snr)
    np.testing.assert_allclose(plain.log2_snr, np.log2(plain.alpha / plain.sigma), atol=1e-5)
    output = preconditioning.target(clean, z, prediction)
    estimate = preconditioning.clean_estimate(output, z, prediction)
    np.testing.assert_allclose(estimate, clean, atol=2e-4)
    nothing = preconditioning.clean_estimate(jnp.zeros_like(yhat), z, prediction)
    np.testing.assert_allclose(nothing[silent], mean[silent], atol=1e-6)  # the prior alone


def test_standardised_latent_has_unit_variance():
    rng = np.random.default_rng(2)
    shape = (1, 256, 256, 2)
    scale = jnp.asarray(np.exp(rng.normal(0, 1, shape)), jnp.float32)
    step = jnp.asarray(rng.uniform(0.2, 8, (1, 256, 256, 1)), jnp.float32)
    clean = 3.0 + scale * jnp.asarray(rng.normal(0, 1, shape), jnp.float32)
    yhat = clean + step * jnp.asarray(rng.uniform(-0.5, 0.5, shape), jnp.float32)
    z = preconditioning.standardize(yhat, step, 3.0, scale)
    assert float(jnp.var(z.noisy)) == pytest.approx(1, rel=0.02)
    np.testing.assert_allclose(z.alpha**2 + z.sigma**2, np.ones(shape), atol=1e-6)
