"""Skip mode: elements of small scale cost nothing and decode to their mean with dither."""

import numpy as np
import pytest

from rdc_jax.entropy import latent_coding, tables
from rdc_jax.entropy.dither import dither_phases
from tests.entropy.latents import SIZES, SKIPPED, random_latent, round_trip


@pytest.fixture(scope="module")
def skipping_model(random_hyperprior, make_model):
    return make_model(random_hyperprior()[1], skipped_scales=SKIPPED)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_skipped_element_costs_nothing_and_is_its_mean_with_dither(
    rng, skipping_model, random_model, make_conditions, height, width
):
    conditions, latent = make_conditions(height, width), random_latent(rng, height, width)
    hyper, body, coded, decoded = round_trip(skipping_model, latent, conditions)
    assert decoded.symbol_hash == coded.symbol_hash
    for name in ("yhat", "mean", "scale"):
        np.testing.assert_array_equal(getattr(decoded, name), getattr(coded, name))
    levels = conditions.levels[:height, :width]
    log2_step = skipping_model.log2_step_fixed[conditions.timesteps][levels] / 1024
    index = np.rint(6 * (np.log2(coded.scale) - log2_step + 7) + 1e-4)
    skipped = index < SKIPPED
    if height * width > 16:
        assert 0.1 < skipped.mean() < 0.9
    phases = dither_phases(conditions.dither_seed, height, width, 4)
    noise = np.exp2(log2_step) * ((2 * phases.astype(float) + 1) / 64 - 0.5)
    np.testing.assert_allclose((coded.yhat - coded.mean)[skipped], noise[skipped], rtol=2e-3)
    assert np.abs((coded.yhat - coded.mean - noise)[~skipped]).max() > 10
    assert not np.any(coded.bits_map[np.all(skipped, -1)])
    everything = latent_coding.encode_latent(random_model, latent, conditions)
    assert len(body) <= len(everything[1]) and hyper == everything[0]


def test_all_elements_skipped(rng, random_hyperprior, make_model, make_conditions):
    model = make_model(random_hyperprior()[1], skipped_scales=tables.NUM_SCALES)
    conditions, latent = make_conditions(9, 6), random_latent(rng, 9, 6)
    _, body, coded, decoded = round_trip(model, latent, conditions)
    assert coded.latent_bits == 0 and len(body) <= 8
    np.testing.assert_array_equal(decoded.mean, coded.mean)
