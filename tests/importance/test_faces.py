"""Boxes and masks from the output grids of the face network."""

import numpy as np
import pytest

from rdc_jax.importance import faces


def grids(height, width):
    return np.zeros((height, width), np.float32), *np.zeros((2, 2, height, width), np.float32)


def test_a_box_has_the_size_and_centre_of_the_grids():
    likely, sizes, offsets = grids(10, 20)
    likely[4, 7] = 0.9
    sizes[:, 4, 7] = np.log([6.0, 3.0])  # height, width in grid cells
    offsets[:, 4, 7] = 0.25, -0.5  # down, right
    ((left, top, width, height),) = faces.boxes_of(likely, sizes, offsets)
    assert (width, height) == pytest.approx((12, 24))
    assert (left + width / 2, top + height / 2) == pytest.approx((4 * 7.0, 4 * 4.75))


def test_boxes_are_sorted_by_probability_and_unlikely_ones_dropped():
    likely, sizes, offsets = grids(8, 8)
    likely[1, 1], likely[5, 5], likely[7, 0] = 0.6, 0.9, 0.4
    boxes = faces.boxes_of(likely, sizes, offsets)
    assert [tuple(box[:2] + box[2:] / 2) for box in boxes] == [(22, 22), (6, 6)]


def test_boxes_of_one_face_become_one():
    boxes = np.array([[10, 10, 40, 40], [14, 12, 40, 40], [60, 10, 40, 40], [45, 10, 40, 40]])
    np.testing.assert_array_equal(faces.distinct(boxes), boxes[[0, 2]])
    assert faces.distinct(np.zeros((0, 4))).shape == (0, 4)
    np.testing.assert_array_equal(faces.shared(boxes[0], boxes[[0, 2]]), [1, 0])


def test_the_mask_is_a_larger_ellipse_cropped_at_the_edge():
    mask = faces.mask(np.array([[20.0, 10.0, 30.0, 40.0]]), 60, 80)
    assert mask.shape == (60, 80) and mask.dtype == np.float32
    assert mask[30, 35] == 1 and mask[30, 18] == 1 and mask[30, 12] == 0 and mask[5, 16] == 0
    assert mask.sum() == pytest.approx(np.pi / 4 * 30 * 40 * faces.ROOM**2, rel=0.02)
    assert faces.mask(np.array([[-30.0, -30.0, 40.0, 40.0]]), 60, 80)[0, 0] == 1
    assert not faces.mask(np.array([[90.0, 10.0, 5.0, 5.0]]), 60, 80).any()
    assert not faces.mask(np.zeros((0, 4)), 60, 80).any()
