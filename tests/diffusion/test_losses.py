"""Loss terms against closed forms in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from rdc_jax.diffusion import losses


def reference_bits(residual, step, scale):
    """The same code length in float64, by the difference of log-CDFs on the lower tail."""
    r, step, scale = (np.asarray(a, np.float64) for a in (residual, step, scale))
    upper = special.log_ndtr((-np.abs(r) + step / 2) / scale)
    lower = special.log_ndtr((-np.abs(r) - step / 2) / scale)
    return -(upper + np.log(-np.expm1(lower - upper))) / np.log(2)


def bits(residual, step, scale):
    arrays = np.broadcast_arrays(*(np.asarray(a, np.float32) for a in (residual, step, scale)))
    return np.asarray(losses.gaussian_bits(*(jnp.asarray(a) for a in arrays)))


@pytest.mark.parametrize("step", [0.02, 0.3, 1.0, 5.0, 100.0])
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_gaussian_bits_against_float64(step, scale):
    residual = np.linspace(-8 * max(scale, step), 8 * max(scale, step), 201).astype(np.float32)
    expected = reference_bits(residual, step, scale)
    np.testing.assert_allclose(bits(residual, step, scale), expected, rtol=1e-4, atol=2e-3)


def test_far_tails_stay_finite_and_right():
    residual = np.asarray([20.0, 100.0, 1000.0, -1000.0])
    value = bits(residual, 1.0, 1.0)
    assert np.all(np.isfinite(value))
    np.testing.assert_allclose(value, reference_bits(residual, 1.0, 1.0), rtol=1e-4)
    assert value[2] == value[3]


def test_a_tiny_step_costs_the_density():
    scale, step = 1.0, 1e-3
    residual = np.linspace(-2, 2, 41)
    density = residual**2 / 2 / np.log(2) + 0.5 * np.log2(2 * np.pi) - np.log2(step)
    np.testing.assert_allclose(bits(residual, step, scale), density, atol=2e-3)


def test_bits_are_never_negative():
    assert bits(np.zeros(3), [1.0, 100.0, 1e4], 0.01).min() >= 0


@pytest.mark.parametrize("ratio", [0.02, 0.3, 1.0, 8.0])
@pytest.mark.parametrize("dither", [-0.5, -0.1, 0.25])
def test_probabilities_sum_to_one(ratio, dither):
    reach = int(np.ceil(8 * ratio)) + 2
    symbols = np.arange(-reach, reach + 1)
    assert np.exp2(-bits(symbols + dither, 1.0, ratio)).sum() == pytest.approx(1, abs=2e-4)


def test_gradients_are_finite_and_point_downhill():
    residual = jnp.asarray([0.0, 0.3, -4.0, 60.0, 500.0])
    step, scale = jnp.full(5, 1.0), jnp.asarray([0.01, 1.0, 0.2, 1.0, 30.0])
    total = lambda r, d, s: jnp.sum(losses.gaussian_bits(r, d, s))  # noqa: E731
    gradients = jax.grad(total, argnums=(0, 1, 2))(residual, step, scale)
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in gradients)
    by_residual, _, by_scale = (np.asarray(g) for g in gradients)
    assert by_residual[1] > 0 > by_residual[2]
    assert by_scale[3] < 0  # a residual of 60 standard deviations wants a larger scale


def test_gradient_matches_differences():
    step, h = 0.7, 1e-4
    for residual, scale in ((0.2, 0.5), (-1.5, 1.0), (6.0, 1.3)):
        gradient = jax.grad(lambda s, r=residual: losses.gaussian_bits(r, step, s))(scale)
        difference = reference_bits(residual, step, scale + h)
        difference -= reference_bits(residual, step, scale - h)
        assert float(gradient) == pytest.approx(difference / (2 * h), rel=2e-3, abs=1e-3)


def test_squared_error_is_in_8_bit_units():
    x = jnp.zeros((1, 2, 2, 3))
    error = losses.squared_error(x, x + jnp.asarray(2 / 255).reshape(1, 1, 1, 1))
    assert error.shape == (1, 2, 2, 1)
    np.testing.assert_allclose(error, np.ones((1, 2, 2, 1)), rtol=1e-5)


def test_rate_distortion_adds_up():
    step = jnp.asarray([2.0, 4.0]).reshape(2, 1, 1, 1) * jnp.ones((2, 16, 16, 1))
    pixel = jnp.full((2, 16, 16, 1), 12.0)
    coarse = jnp.full((2, 2, 2, 1), 4.0)  # one eighth of the resolution
    weight = jnp.asarray([0.5, 1.5])
    loss, metrics = losses.rate_distortion(
        {"y": jnp.asarray([256.0, 512.0]), "z": jnp.asarray([64.0, 0.0])},
        {"pixel": pixel, "latent": coarse}, step, 0.1, weight,
    )  # fmt: skip
    rate = np.array([320, 512]) / 256
    distortion = 0.1 * (12 + 4) / np.array([4, 16])
    assert float(loss) == pytest.approx(np.mean([0.5, 1.5] * (rate + distortion)), rel=1e-6)
    assert float(metrics["bpp"]) == pytest.approx(rate.mean())
    assert float(metrics["bpp_z"]) == pytest.approx(0.125)
    assert float(metrics["mse_pixel"]) == pytest.approx(12)
    assert float(metrics["distortion"]) == pytest.approx(distortion.mean())


def test_prediction_error_is_a_mean_square():
    a = jnp.asarray([[1.0, 2.0]])
    assert float(losses.prediction_error(a, a + 3.0)) == pytest.approx(9)
