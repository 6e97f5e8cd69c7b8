"""The error of mean colours of areas, on pictures whose error is known."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.area_colour import TO_YCBCR, colour_error


def test_texture_that_keeps_its_mean_costs_nothing(rng):
    picture = rng.integers(60, 190, (64, 96, 3), np.uint8)
    checks = np.indices((64, 96)).sum(0) % 2 * 2 - 1
    decoded = (picture + 40 * checks[..., None]).astype(np.uint8)
    assert colour_error(picture, decoded) == pytest.approx(0.0)


def test_a_shift_of_brightness_counts_in_one_component_of_three():
    picture = np.full((64, 64, 3), 100, np.uint8)
    assert colour_error(picture, picture + 6) == pytest.approx(6 / 3)


def test_opposite_drifts_of_two_areas_do_not_cancel():
    picture = np.full((32, 64, 3), 100, np.uint8)
    decoded = picture.copy()
    decoded[:, :32, 0] += 10
    decoded[:, 32:, 0] -= 10
    expected = 10 * (0.299 + 0.299 / 1.772 + 0.701 / 1.402) / 3
    assert colour_error(picture, decoded) == pytest.approx(expected)


def test_the_matrix_is_that_of_jpeg():
    known = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
    np.testing.assert_allclose(TO_YCBCR.T, known, atol=1e-6)


def test_rows_and_columns_that_fill_no_area_are_left_out():
    picture = np.zeros((40, 70, 3), np.uint8)
    decoded = picture.copy()
    decoded[32:] = decoded[:, 64:] = 255
    assert colour_error(picture, decoded) == 0.0


def test_small_images_are_refused():
    picture = np.zeros((31, 64, 3), np.uint8)
    with pytest.raises(RdcError, match="32 pixels or more"):
        colour_error(picture, picture)
