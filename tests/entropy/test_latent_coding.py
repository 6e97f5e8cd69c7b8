"""The real encode and decode path of a latent, with random weights and random maps."""

import hashlib

import numpy as np
import pytest

from rdc_jax.entropy import hyper_coding, latent_coding, tables
from rdc_jax.entropy.integer_network import condition_table
from rdc_jax.errors import RdcError
from tests.entropy.latents import SIZES, SKIPPED, random_latent, round_trip

ADDITIONS = {"hyper_step": True, "hyper_context": True}


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_decoder_sees_what_the_encoder_saw(rng, random_model, make_conditions, height, width):
    conditions = make_conditions(height, width)
    *_, coded, decoded = round_trip(random_model, random_latent(rng, height, width), conditions)
    assert decoded.symbol_hash == coded.symbol_hash
    for name in ("yhat", "mean", "scale"):
        array = getattr(decoded, name)
        assert array.dtype == np.float32 and array.shape == (height, width, 4)
        assert np.all(np.isfinite(array))
        np.testing.assert_array_equal(array, getattr(coded, name))
    assert decoded.scale.min() > 0
    assert coded.hyper_bits + coded.latent_bits > 0
    assert coded.bits_map.sum() == pytest.approx(coded.latent_bits)


@pytest.mark.parametrize(("skipped_scales", "additions"), [(0, {}), (SKIPPED, {}), (0, ADDITIONS)])
def test_mean_and_scale_are_those_of_the_float_network(
    rng, random_hyperprior, make_model, make_conditions, skipped_scales, additions
):
    """The whole path, context included, against the network that training uses."""
    import jax.numpy as jnp

    from rdc_jax.models.conditions import condition_features
    from rdc_jax.models.hyperprior import silence_threshold

    silent_below = silence_threshold(skipped_scales) if skipped_scales else None
    module, params = random_hyperprior(silent_below=silent_below, **additions)
    random_model = make_model(params, skipped_scales=skipped_scales)
    conditions, latent = make_conditions(16, 12), random_latent(rng, 16, 12)
    coded = latent_coding.encode_latent(random_model, latent, conditions)[2]
    levels = conditions.levels[None, ..., None]
    timesteps = jnp.asarray(conditions.timesteps[levels], jnp.float32)
    condition = condition_features(timesteps, jnp.asarray(levels / 2, jnp.float32))
    table = condition_table(conditions.timesteps, 3)[conditions.levels].astype(np.float64)
    exact = random_model.network.hyper_analysis(np.rint(latent / 32.0 * 1024), table)

    def nearest(where, lattice, scale_index, phase, shift):
        return lattice.nearest(exact[where]).reshape(shift.shape) + shift

    coding = random_model.network, table, nearest, hashlib.sha256()
    z = hyper_coding.code_hyper_latent(*coding, count_bits=False)[0] / 1024
    step = random_model.step_fixed[conditions.timesteps][conditions.levels] * 32 / 2**20
    log2_step = jnp.log2(jnp.asarray(step[None], jnp.float32))
    mean, log2_scale = module.apply(
        {"params": params}, jnp.asarray(z[None], jnp.float32), jnp.asarray(coded.yhat[None]),
        condition, log2_step, method="parameters_given",
    )  # fmt: skip
    assert np.std(mean) > 3
    np.testing.assert_allclose(coded.mean, mean[0], atol=0.02 * 32)
    low, high = tables.relative_scale(0) * step, tables.relative_scale(tables.NUM_SCALES) * step
    expected = np.clip(2.0 ** np.asarray(log2_scale[0]), low, high)
    np.testing.assert_allclose(coded.scale, expected, rtol=0.02)


def test_symbol_hash_tells_symbols_apart(rng, random_model, make_conditions):
    latent, conditions = random_latent(rng, 8, 8), make_conditions(8, 8)
    hashes = {
        latent_coding.encode_latent(random_model, x, c)[2].symbol_hash
        for x, c in (
            (latent, conditions),
            (latent + 5, conditions),
            (latent, make_conditions(8, 8, seed=8)),
        )
    }
    assert len(hashes) == 3


@pytest.fixture(scope="module")
def noise(random_hyperprior, make_model, make_conditions):
    """(yhat - y) / step, y, mean, step of 2**18 elements; steps differ by pixel and channel."""
    rng = np.random.default_rng(5)
    base = 0.5 * 128 ** (np.arange(1001) / 1000)
    model = make_model(random_hyperprior(8)[1], base[:, None] * np.linspace(0.5, 3, 8))
    timesteps = np.linspace(900, 20, 16).astype(np.int64)
    conditions = make_conditions(192, 176, timesteps)
    latent = random_latent(rng, 192, 176, 8)
    coded = latent_coding.encode_latent(model, latent, conditions)[2]
    step = model.step_fixed[conditions.timesteps][conditions.levels] * 32 / 2**20
    return (coded.yhat.astype(np.float64) - latent) / step, latent, coded.mean, step


def test_noise_is_uniform_through_the_real_path(noise):
    u = noise[0].ravel()
    assert np.abs(u).max() <= 0.5 + 1e-4  # float32 of yhat
    assert u.mean() == pytest.approx(0, abs=3e-3)
    assert u.var() == pytest.approx(1 / 12, rel=0.01)
    histogram = np.histogram(u, 20, (-0.5, 0.5))[0] / u.size * 20
    np.testing.assert_allclose(histogram, 1, atol=0.04)


def test_noise_is_independent_through_the_real_path(noise):
    u, *others = noise
    others += [np.roll(u, 1, axis=axis) for axis in (0, 1, 2)]
    for other in others:
        assert abs(np.corrcoef(u.ravel(), other.ravel())[0, 1]) < 0.01
    for channel in range(8):
        assert u[..., channel].var() == pytest.approx(1 / 12, rel=0.03)


def test_values_beyond_the_tables_are_clipped_and_still_decode(random_model, make_conditions):
    latent = np.full((6, 5, 4), 1e9, np.float32)
    latent[::2] *= -1
    *_, coded, decoded = round_trip(random_model, latent, make_conditions(6, 5, (0,)))
    assert decoded.symbol_hash == coded.symbol_hash
    np.testing.assert_array_equal(decoded.yhat, coded.yhat)
    assert np.all(np.isfinite(decoded.yhat)) and np.abs(decoded.yhat).max() > 1e5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_latent_that_is_not_finite_is_refused(random_model, make_conditions, value):
    latent = np.zeros((4, 4, 4), np.float32)
    latent[1, 2, 3] = value
    with pytest.raises(RdcError, match="non-finite"):
        latent_coding.encode_latent(random_model, latent, make_conditions(4, 4))
