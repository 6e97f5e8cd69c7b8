"""The trade-off along tau: figures, monotony, and where to look."""

import numpy as np
import pytest

from rdc_jax.evaluation import tradeoff
from rdc_jax.evaluation.metrics.distortion import psnr


def points(*figures):
    return [tradeoff.Point(n / 4, *pair, None) for n, pair in enumerate(figures)]


def test_sweep_measures_every_tau(rng):
    original = rng.integers(0, 256, (32, 40, 3), np.uint8)

    def decode(tau):
        return np.clip(original + 20.0 * tau, 0, 255).astype(np.uint8)

    found = tradeoff.sweep(decode, original, [0.5, 1], lambda a, b: float(np.abs(a - b).max()))
    assert [point.tau for point in found] == [0.5, 1.0]
    for point in found:
        np.testing.assert_array_equal(point.image, decode(point.tau))
        assert point.psnr == pytest.approx(psnr(original, point.image))
        assert point.distance == np.abs(original - point.image).max()


@pytest.mark.parametrize(
    ("figures", "monotone"),
    [
        ([(30, 0.3), (29, 0.2), (28, 0.1)], True),
        ([(30, 0.3), (30, 0.3)], True),
        ([(30, 0.3), (31, 0.2)], False),
        ([(30, 0.3), (29, 0.4)], False),
        ([(30, 0.3), (29, 0.2), (28, 0.25)], False),
    ],
)
def test_monotone_means_both_fall(figures, monotone):
    assert tradeoff.is_monotone(points(*figures)) is monotone
    assert tradeoff.is_monotone(points(*figures)[::-1]) is monotone


def test_the_busiest_window_is_where_the_detail_is(rng):
    original = np.full((100, 160, 3), 128, np.uint8)
    original[40:80, 100:140] = rng.integers(0, 256, (40, 40, 3))
    rows, columns = tradeoff.busiest_window(original, 40)
    assert rows.stop - rows.start == columns.stop - columns.start == 40
    assert original[rows, columns].std() > 60


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (50, 3)])
def test_small_images_have_a_window(size):
    rows, columns = tradeoff.busiest_window(np.zeros((*size, 3), np.uint8), 40)
    assert rows == slice(0, min(size)) or columns == slice(0, min(size))
