"""The noise schedules: published operating points, monotone, and the identities between them."""

import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.diffusion.schedule import geometric, scaled_linear
from rdc_jax.diffusion.units import MAX_TIMESTEP

SCHEDULES = {"scaled_linear": scaled_linear(), "geometric": geometric(0.5, 64.0)}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)


@pytest.mark.parametrize(
    ("count", "step", "snr_db"),
    [
        (10, 0.324, 20.6),
        (50, 0.773, 13.0),
        (100, 1.184, 9.3),
        (200, 1.97, 4.9),
        (300, 2.88, 1.6),
        (400, 4.02, -1.3),
        (600, 7.89, -7.1),
    ],
)
def test_stable_diffusion_operating_points(count, step, snr_db):
    """After `count` betas; timesteps are numbered from 0, as the pretrained networks have it."""
    schedule, timestep = SCHEDULES["scaled_linear"], jnp.asarray(count - 1)
    assert float(schedule.step(timestep)) == pytest.approx(step, rel=3e-3)
    assert 10 / np.log(10) * float(schedule.log_snr(timestep)) == pytest.approx(snr_db, abs=0.1)


def test_scaled_linear_is_the_cumulative_product_of_its_betas():
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alpha_bar = SCHEDULES["scaled_linear"].alpha_bar(jnp.arange(1000))
    np.testing.assert_allclose(alpha_bar, np.cumprod(1 - betas), rtol=3e-5)


@every_schedule
def test_noise_grows_with_the_timestep(name):
    t = jnp.linspace(0.0, 999.0, 4000)
    assert np.all(np.diff(np.asarray(SCHEDULES[name].log_snr(t))) < 0)
    assert np.all(np.diff(np.asarray(SCHEDULES[name].step(t))) > 0)


@every_schedule
def test_identities(name):
    schedule, t = SCHEDULES[name], jnp.linspace(0.0, 1000.0, 501).reshape(3, 167)
    alpha, sigma = schedule.alpha_sigma(t)
    assert alpha.shape == sigma.shape == schedule.step(t).shape == t.shape
    np.testing.assert_allclose(alpha**2 + sigma**2, np.ones(t.shape), atol=1e-6)
    np.testing.assert_allclose(alpha**2, schedule.alpha_bar(t), rtol=2e-6)
    np.testing.assert_allclose(schedule.step(t), np.sqrt(12) * sigma / alpha, rtol=2e-6)


@every_schedule
def test_a_fractional_timestep_lies_between_its_neighbours_in_log_snr(name):
    schedule = SCHEDULES[name]
    low, middle, high = (float(schedule.log_snr(jnp.asarray(t))) for t in (500.0, 500.25, 501.0))
    assert middle == pytest.approx(0.75 * low + 0.25 * high, rel=1e-5)


@every_schedule
def test_timesteps_outside_the_knots_are_clamped(name):
    step = SCHEDULES[name].step(jnp.asarray([-5.0, 0.0, 1000.0, 2000.0]))
    assert step[0] == step[1] and step[2] == step[3]


def test_geometric_ends_and_ratio():
    step = np.asarray(geometric(0.5, 64.0).step(jnp.asarray([0.0, 250.0, 500.0, MAX_TIMESTEP])))
    np.testing.assert_allclose(step, [0.5, 0.5 * 128**0.25, 0.5 * 128**0.5, 64.0], rtol=1e-6)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (2.0, 2.0), (3.0, 1.0)])
def test_geometric_refuses_bad_ends(ends):
    with pytest.raises(ValueError, match="step_min < step_max"):
        geometric(*ends)
