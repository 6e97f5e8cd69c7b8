"""DDIM per pixel: clocks, closed forms for a Gaussian prior, the oracle."""

import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.diffusion import sampling
from rdc_jax.diffusion.schedule import scaled_linear
from tests.diffusion.reference_sampler import sample

SCHEDULE = scaled_linear()
CLOCKS = ("proportional", "clamped")
MEAN, SCALE = 0.4, 0.8


@pytest.fixture(scope="module")
def timesteps():
    return jnp.asarray(np.random.default_rng(0).uniform(50, 900, (1, 6, 5, 1)), jnp.float32)


@pytest.fixture(scope="module")
def yhat():
    return jnp.asarray(np.random.default_rng(1).normal(0, 2, (1, 6, 5, 3)), jnp.float32)


def wiener(yhat, t):
    """The exact posterior mean under a Gaussian prior and Gaussian noise."""
    kappa2 = SCHEDULE.step(t) ** 2 / 12
    return MEAN + SCALE**2 / (SCALE**2 + kappa2) * (yhat - MEAN)


def test_proportional_clock(timesteps):
    clocks = sampling.clock_timesteps(timesteps, 4, "proportional")
    assert clocks.shape == (5, *timesteps.shape)
    for n in range(5):
        np.testing.assert_allclose(clocks[n], timesteps * (1 - n / 4), rtol=1e-6)


def test_clamped_clock_lets_quiet_pixels_wait(timesteps):
    clocks = np.asarray(sampling.clock_timesteps(timesteps, 4, "clamped"))
    top = float(timesteps.max())
    for n in range(5):
        np.testing.assert_allclose(clocks[n], np.minimum(timesteps, top * (1 - n / 4)), rtol=1e-6)
    given = sampling.clock_timesteps(timesteps, 2, "clamped", t_max=2000.0)
    np.testing.assert_allclose(given[1], np.minimum(timesteps, 1000.0), rtol=1e-6)


def test_unknown_clock_is_refused(timesteps):
    with pytest.raises(ValueError, match="clock"):
        sampling.clock_timesteps(timesteps, 4, "random")


@pytest.mark.parametrize("clock", CLOCKS)
def test_one_step_is_the_denoiser(clock, yhat, timesteps):
    result = sample(wiener, yhat, timesteps, SCHEDULE.step, num_steps=1, clock=clock)
    np.testing.assert_array_equal(result, wiener(yhat, timesteps))


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("steps", [2, 7])
def test_an_oracle_leads_to_the_clean_latent(clock, steps, yhat, timesteps):
    clean = yhat * 0.3 + 1.0
    result = sample(
        lambda y, t: clean, yhat, timesteps, SCHEDULE.step, num_steps=steps, clock=clock
    )
    np.testing.assert_array_equal(result, clean)


@pytest.mark.parametrize("clock", CLOCKS)
def test_gaussian_prior_few_steps_in_closed_form(clock, yhat, timesteps):
    steps = 5
    result = sample(wiener, yhat, timesteps, SCHEDULE.step, num_steps=steps, clock=clock)
    clocks = np.asarray(sampling.clock_timesteps(timesteps, steps, clock))
    factor = np.ones(timesteps.shape)
    for n in range(steps):
        now = np.asarray(SCHEDULE.step(clocks[n]), np.float64)
        gain = SCALE**2 / (SCALE**2 + now**2 / 12)
        after = np.asarray(SCHEDULE.step(clocks[n + 1]), np.float64)
        factor *= gain + (after / now) * (1 - gain) if n < steps - 1 else gain
    np.testing.assert_allclose(result, MEAN + factor * (yhat - MEAN), atol=2e-5)


@pytest.mark.parametrize("clock", CLOCKS)
def test_gaussian_prior_many_steps_restore_the_spread_of_the_prior(clock, yhat, timesteps):
    """The probability flow maps N(m, s^2 + k^2) onto N(m, s^2): a factor s / sqrt(s^2 + k^2)."""
    result = sample(wiener, yhat, timesteps, SCHEDULE.step, num_steps=400, clock=clock)
    kappa2 = np.asarray(SCHEDULE.step(timesteps), np.float64) ** 2 / 12
    factor = SCALE / np.sqrt(SCALE**2 + kappa2)
    np.testing.assert_allclose(result, MEAN + factor * (yhat - MEAN), rtol=0.02, atol=0.01)
    one_step = np.asarray(wiener(yhat, timesteps))
    assert np.std(result) > np.std(one_step)


def test_waiting_pixels_keep_their_state(yhat):
    timesteps = jnp.asarray([100.0, 800.0]).reshape(1, 1, 2, 1)
    yhat, seen = yhat[:, :1, :2], []

    def denoise(y, t):
        seen.append(np.asarray(y))
        return wiener(y, t)

    sample(denoise, yhat, timesteps, SCHEDULE.step, num_steps=8, clock="clamped")
    assert len(seen) == 8
    for n in range(8):  # the clock reaches 100 = 800 (1 - 7/8) in the last step
        np.testing.assert_allclose(seen[n][:, :, 0], yhat[:, :, 0], atol=1e-5)
    assert np.abs(seen[1][:, :, 1] - seen[0][:, :, 1]).max() > 1e-3
