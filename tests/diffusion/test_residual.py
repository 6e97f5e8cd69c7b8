"""The module's latent diffusion: closed forms of its clock, of DDIM, and of tau."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.diffusion import residual

U = (0.0, 0.2, 0.5, 0.93, 1.0)
SHAPE = (len(U), 3, 4, 2)


def normal(seed):
    return jnp.asarray(np.random.default_rng(seed).normal(0, 1, SHAPE), jnp.float32)


@pytest.fixture(scope="module")
def clean():
    return normal(0)


@pytest.fixture(scope="module")
def noise():
    return normal(1)


@pytest.fixture(scope="module")
def u():
    return jnp.asarray(U, jnp.float32)


def test_amplitudes_run_from_signal_to_noise(u):
    alpha, sigma = map(np.asarray, residual.alpha_sigma(u))
    assert alpha.shape == sigma.shape == (len(U), 1, 1, 1)
    assert (alpha[0].item(), sigma[0].item(), sigma[-1].item()) == (1, 0, 1)
    assert abs(alpha[-1].item()) < 1e-6
    np.testing.assert_allclose(alpha**2 + sigma**2, 1, rtol=1e-6)
    assert np.all(np.diff(alpha.ravel()) < 0) and np.all(np.diff(sigma.ravel()) > 0)


def test_the_ends_of_diffusion_are_exact(clean, noise, u):
    noisy = np.asarray(residual.diffuse(clean, noise, u))
    np.testing.assert_array_equal(noisy[0], clean[0])
    np.testing.assert_allclose(noisy[-1], noise[-1], atol=1e-6)


def test_velocity_and_clean_residual_are_inverse(clean, noise, u):
    noisy, v = residual.diffuse(clean, noise, u), residual.velocity(clean, noise, u)
    np.testing.assert_allclose(residual.clean_residual(noisy, v, u), clean, atol=2e-6)
    # And back: the velocity of what an output stands for is that output.
    output = normal(2)
    meant = residual.clean_residual(noisy, output, u)
    alpha, sigma = residual.alpha_sigma(u)
    meant_noise = sigma * noisy + alpha * output
    np.testing.assert_allclose(residual.diffuse(meant, meant_noise, u), noisy, atol=2e-6)
    np.testing.assert_allclose(residual.velocity(meant, meant_noise, u), output, atol=2e-6)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 50])
def test_ddim_with_the_exact_velocity_walks_the_exact_path(clean, noise, steps):
    noisy = noise
    for pair in itertools.pairwise(residual.clock(steps)):
        now, after = (jnp.full((len(U),), value, jnp.float32) for value in pair)
        noisy = residual.ddim_step(noisy, residual.velocity(clean, noise, now), now, after)
        np.testing.assert_allclose(noisy, residual.diffuse(clean, noise, after), atol=2e-5)
    np.testing.assert_allclose(noisy, clean, atol=2e-5)


@pytest.mark.parametrize("steps", [1, 2, 4, 9])
def test_an_output_of_zero_rotates_towards_the_signal(noise, steps):
    """Zero is the exact velocity of a residual that is Gaussian and of unit variance.

    Each step turns by pi / (2 steps), so that cos(pi / (2 steps)) ** steps of the noise is left:
    nothing after one step, all of it after ever more.
    """
    noisy = noise
    for pair in itertools.pairwise(residual.clock(steps)):
        now, after = (jnp.full((len(U),), value, jnp.float32) for value in pair)
        noisy = residual.ddim_step(noisy, jnp.zeros_like(noisy), now, after)
    left = np.cos(np.pi / (2 * steps)) ** steps
    np.testing.assert_allclose(noisy, left * np.asarray(noise), atol=2e-6)


@pytest.mark.parametrize("steps", [1, 2, 5, 255])
def test_clock_has_even_steps_from_one_to_zero(steps):
    values = residual.clock(steps)
    assert len(values) == steps + 1
    assert (values[0], values[-1]) == (1.0, 0.0)
    np.testing.assert_allclose(np.diff(values), -1 / steps, rtol=1e-9)


@pytest.mark.parametrize("tau", [0.0, 1.0, "map"])
def test_the_ends_of_tau_are_exact(clean, noise, tau):
    value = jnp.asarray(tau) if tau != "map" else (normal(3)[..., :1] > 0).astype(jnp.float32)
    value = jnp.broadcast_to(value, (*SHAPE[:3], 1))
    expected = np.where(np.asarray(value) == 0, clean, noise)
    np.testing.assert_array_equal(residual.fuse(clean, noise, value), expected)


def test_tau_is_linear_between(clean, noise):
    tau = jnp.full((1, 1, 1, 1), 0.25)
    expected = 0.75 * np.asarray(clean) + 0.25 * np.asarray(noise)
    np.testing.assert_allclose(residual.fuse(clean, noise, tau), expected, atol=1e-6)
