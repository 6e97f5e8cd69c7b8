"""The end of a tile at an inner border: what continues along it goes, detail of the image stays."""

import numpy as np
import pytest

from rdc_jax.entropy import tile_edges
from rdc_jax.entropy.latent_coding import CodedLatent

SIZE = 32, 32, 3


def coded(mean, sent=False, scale=1.0):
    sent = np.broadcast_to(sent, mean.shape)
    yhat = mean + np.float32(0.25)  # as with dither
    scales = np.full(mean.shape, scale, np.float32)
    return CodedLatent(yhat, mean, scales, 0.0, 0.0, None, "", sent)


@pytest.fixture
def flat():
    """A gradient of means that no tile border disturbs."""
    y, x = np.mgrid[:32, :32].astype(np.float32)
    return np.stack([5 + 0.02 * x, 0.03 * y, 0 * x], axis=-1)


@pytest.fixture
def changed(flat):
    """The same with the change at the end of an image, as a flat area of the shipped model has."""
    mean = flat.copy()
    mean[:, -1] -= 0.5
    mean[-1, :] += 0.4
    mean[-1, -1] -= 1.0
    mean[0, -1] += 0.6
    return mean


def test_the_change_at_an_inner_border_goes(flat, changed):
    both = tile_edges.without_edges(coded(changed), right=True, bottom=True)
    wrong = np.abs(both.mean - flat)
    assert wrong.max() < 0.1 < 0.9 < np.abs(changed - flat).max()
    np.testing.assert_allclose(both.yhat, both.mean + 0.25, atol=1e-5)
    assert both.mean.dtype == both.yhat.dtype == np.float32


def test_ends_of_the_image_stay(changed):
    before = coded(changed)
    assert tile_edges.without_edges(before, right=False, bottom=False) is before
    right = tile_edges.without_edges(before, right=True, bottom=False)
    np.testing.assert_array_equal(right.mean[:, :-1], changed[:, :-1])
    assert np.all(right.mean[2:-2, -1] != changed[2:-2, -1])
    below = tile_edges.without_edges(before, right=False, bottom=True)
    np.testing.assert_array_equal(below.mean[:-1], changed[:-1])


def test_values_that_were_sent_stay(changed):
    before = coded(changed, sent=True)
    after = tile_edges.without_edges(before, right=True, bottom=True)
    np.testing.assert_array_equal(after.yhat, before.yhat)
    assert np.any(after.mean != before.mean)


def test_detail_stays(rng, flat):
    """Noise of the image, and a strong edge along the border."""
    noisy = flat + rng.normal(0, 1, SIZE).astype(np.float32)
    after = tile_edges.without_edges(coded(noisy), right=True, bottom=True)
    assert np.mean((after.mean - noisy)[:, -1] ** 2) < 0.2  # that of the estimate itself is 6
    edge = flat.copy()
    edge[:, -1] += 4
    after = tile_edges.without_edges(coded(edge), right=True, bottom=False)
    np.testing.assert_array_equal(after.mean, edge)


def test_small_tiles_and_unknown_symbols_stay(changed):
    for latent in (coded(changed[:7]), CodedLatent(changed, changed, changed, 0, 0, None, "")):
        assert tile_edges.without_edges(latent, right=True, bottom=True) is latent
