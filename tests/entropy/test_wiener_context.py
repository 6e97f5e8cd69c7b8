"""The context of later passes: residuals, weighted by the share of them that is signal."""

import numpy as np
import pytest

from rdc_jax.entropy import latent_coding, wiener_context
from tests.entropy.latents import random_latent


def test_wiener_weights_follow_the_formula(random_model):
    assert random_model.shrink.shape == (80,) and random_model.shrink.dtype == np.int64
    scale = 2.0 ** (-7 + np.arange(80) / 6)
    expected = np.round(scale**2 / (scale**2 + 1 / 12) * 65536)
    np.testing.assert_array_equal(random_model.shrink, expected)
    assert random_model.shrink[0] == 48 and random_model.shrink[-1] == 65535


def test_weights_between_scale_indexes_are_close_to_the_formula(random_model):
    fixed = np.arange(-9 * 1024, 8 * 1024)
    weight = wiener_context.interpolated_weight(random_model.shrink, fixed)
    power = 4.0 ** np.clip(fixed / 1024, -7, 79 / 6 - 7)
    np.testing.assert_allclose(weight / 65536, power / (power + 1 / 12), atol=8e-4)
    assert np.all(np.diff(weight) >= 0)
    at_index = np.ceil((np.arange(80) / 6 - 7) * 1024).astype(np.int64)
    stored = wiener_context.interpolated_weight(random_model.shrink, at_index)
    assert np.abs(stored - random_model.shrink).max() <= 24  # 1/1024 octave past an index
    np.testing.assert_array_equal(stored[::3], random_model.shrink[::3])  # hits them


def test_a_shrunk_residual_is_exact_to_the_last_bit(rng):
    """Against unbounded integers, up to the largest residual. Full weight only rounds."""
    largest = (2**31 - 1) * (64 * (2**20 - 1) + 31)
    assert largest < 2**57
    residual = np.concatenate(
        [
            [0, largest, -largest],
            rng.integers(-largest, largest, 500),
            rng.integers(-(2**20), 2**20, 500),
        ]
    )
    weight = np.concatenate([[0, 2**16, 2**16], rng.integers(0, 2**16 + 1, 1000)])
    shrunk = wiener_context.shrink_residual(residual, weight)
    expected = [
        ((int(r) >> 12) * int(w) + 2**19) >> 20 for r, w in zip(residual, weight, strict=True)
    ]
    assert shrunk.tolist() == expected
    np.testing.assert_array_equal(
        wiener_context.shrink_residual(residual, np.full(residual.shape, 2**16)),
        (residual + 2**15) >> 16,
    )
    assert not wiener_context.shrink_residual(residual, np.zeros_like(residual)).any()


def test_a_channel_without_information_does_not_disturb_the_others(
    rng, random_hyperprior, make_model, make_conditions
):
    """Another dither changes the noise in a channel of huge step. Other means hardly move."""
    steps = np.full((1001, 4), 0.01)
    params = random_hyperprior()[1]
    latent = random_latent(rng, 16, 16)

    def mean_under(seed, loud_step):
        steps[:, 2] = loud_step
        model = make_model(params, steps)
        conditions = make_conditions(16, 16, levels=np.ones((16, 16)), seed=seed)
        return latent_coding.encode_latent(model, latent, conditions)[2]

    one, other = (mean_under(seed, 2000.0) for seed in (1, 2))
    assert np.abs(one.yhat - other.yhat)[..., 2].mean() > 300
    assert np.abs(one.mean - other.mean).max() < 2


@pytest.mark.parametrize("size", [(8, 12), (9, 11), (1, 6), (2, 1), (7, 4)])
def test_context_continues_only_beyond_partial_cells(rng, size):
    known = rng.integers(-9, 9, (*size, 3))
    h, w = size
    more = wiener_context.continued(known)
    assert more.shape[:2] == (h + (h % 4 > 0 and h > 1), w + (w % 4 > 0 and w > 1))
    np.testing.assert_array_equal(more[:h, :w], known)
    if more.shape[0] > h:
        np.testing.assert_array_equal(more[h, :w], known[h - 2])
    if more.shape[1] > w:
        np.testing.assert_array_equal(more[:, w], more[:, w - 2])
