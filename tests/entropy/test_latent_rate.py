"""What a latent costs: ideal lengths, bytes, and where the bits of a region lie."""

import dataclasses

import numpy as np
import pytest
from scipy import special

from rdc_jax.entropy import latent_coding
from tests.entropy.latents import random_latent

FAR = 20  # distance in latent pixels without any influence: the receptive field is 16


def test_bytes_are_close_to_the_ideal_length(rng, gaussian_model, make_conditions):
    latent = rng.normal(0, 20, (64, 64, 4)).astype(np.float32)
    hyper, body, coded = latent_coding.encode_latent(
        gaussian_model, latent, make_conditions(64, 64)
    )
    assert len(hyper) <= coded.hyper_bits / 8 * 1.01 + 64
    assert coded.latent_bits / 8 > 2000
    assert coded.latent_bits / 8 <= len(body) <= coded.latent_bits / 8 * 1.01 + 64


def test_ideal_length_is_that_of_the_gaussian(rng, gaussian_model, make_conditions):
    """Against the integral of N(0, 20^2) over each bin. Scales are quantised to 1/6 octave."""
    latent = rng.normal(0, 20, (64, 64, 4))
    conditions = make_conditions(64, 64)
    coded = latent_coding.encode_latent(gaussian_model, latent, conditions)[2]
    np.testing.assert_allclose(coded.scale, 20, rtol=0.005)
    np.testing.assert_array_equal(coded.mean, np.zeros_like(coded.mean))
    step = gaussian_model.step_fixed[conditions.timesteps][conditions.levels] * 32 / 2**20
    r = -np.abs(coded.yhat.astype(np.float64))
    upper, lower = special.log_ndtr((r + step / 2) / 20), special.log_ndtr((r - step / 2) / 20)
    bits = -(upper + np.log(-np.expm1(lower - upper))) / np.log(2)
    assert coded.latent_bits == pytest.approx(bits.sum(), rel=0.003)
    np.testing.assert_allclose(coded.bits_map, bits.sum(-1), rtol=0.1, atol=1.0)


def test_rate_falls_with_the_timestep(rng, gaussian_model, make_conditions):
    latent = rng.normal(0, 20, (32, 32, 4))
    bits = []
    for t in (0, 50, 200, 400, 600, 800, 1000):
        conditions = make_conditions(32, 32, (t,))
        coded = latent_coding.encode_latent(gaussian_model, latent, conditions)[2]
        bits.append(coded.hyper_bits + coded.latent_bits)
    assert np.all(np.diff(bits) < 0)


def test_a_finer_region_costs_bits_there_and_leaves_the_far_symbols(
    rng, random_model, make_conditions
):
    latent = random_latent(rng, 24, 72)
    levels = np.zeros((24, 72), np.uint8)
    finer = levels.copy()
    finer[8:16, 4:16] = 1
    plain, region = (
        latent_coding.encode_latent(
            random_model, latent, make_conditions(24, 72, (700, 300), grid)
        )[2]
        for grid in (levels, finer)
    )
    assert region.bits_map[8:16, 4:16].sum() > plain.bits_map[8:16, 4:16].sum() + 100
    far = slice(16 + FAR, None)
    for name in ("yhat", "mean", "scale", "bits_map"):
        a, b = getattr(plain, name), getattr(region, name)
        np.testing.assert_array_equal(a[:, far], b[:, far])
        assert np.any(a[8:16, 4:16] != b[8:16, 4:16])


@pytest.mark.parametrize(("down", "right"), [(4, 8), (8, 4)])
def test_translating_everything_translates_the_bits(
    rng, random_model, make_conditions, down, right
):
    """Interior bits move with map, latent and dither by whole cells of the hyper-latent."""
    canvas = random_latent(rng, 72, 72)
    levels = np.kron(rng.integers(0, 3, (18, 18)), np.ones((4, 4), np.int64))

    def encode(top, left):
        window = slice(top, top + 56), slice(left, left + 56)
        conditions = make_conditions(56, 56, levels=levels[window])
        conditions = dataclasses.replace(conditions, row0=top, col0=left)
        return latent_coding.encode_latent(random_model, canvas[window], conditions)[2].bits_map

    still, moved = encode(0, 0), encode(down, right)
    interior = still[FAR + down : 56 - FAR + down, FAR + right : 56 - FAR + right]
    interior = interior[: 56 - 2 * FAR - down, : 56 - 2 * FAR - right]
    np.testing.assert_array_equal(
        moved[FAR : FAR + interior.shape[0], FAR : FAR + interior.shape[1]], interior
    )
    assert interior.size > 40 and interior.std() > 0
