import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_jax.data.tiles import covering_squares, tile_labels, tile_pixels


@given(st.integers(64, 700), st.integers(64, 700), st.sampled_from([64, 128, 256]))
def test_squares_cover_the_photo_and_stay_inside(height, width, tile):
    covered = np.zeros((height, width), int)
    squares = covering_squares(height, width, tile)
    side = min(height, width, tile)
    for square in squares:
        assert square.side == side and square.box(covered).shape == (side, side)
        square.box(covered)[...] += 1
    assert covered.min() == 1 or len(squares) == 1
    assert len(squares) == -(-height // side) * -(-width // side)


@pytest.mark.parametrize(("shape", "tile"), [((256, 384), 128), ((130, 128), 128)])
def test_tiles_have_the_pixels_of_the_photo(shape, tile, rng):
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    mask = rng.integers(0, 9, shape, np.uint8)
    for square in covering_squares(*shape, tile):
        box = np.s_[square.top : square.top + tile, square.left : square.left + tile]
        np.testing.assert_array_equal(tile_pixels(image, square, tile), image[box])
        np.testing.assert_array_equal(tile_labels(mask, square, tile), mask[box][4::8, 4::8])


def test_small_photos_are_scaled_up():
    image = np.zeros((64, 100, 3), np.uint8)
    image[:, 50:] = 200
    mask = image[..., 0] // 100
    squares = covering_squares(64, 100, 256)
    assert [(s.top, s.left, s.side) for s in squares] == [(0, 0, 64), (0, 36, 64)]
    pixels, labels = tile_pixels(image, squares[0], 256), tile_labels(mask, squares[0], 256)
    assert pixels.shape == (256, 256, 3) and labels.shape == (32, 32)
    assert pixels[:, :190].max() == 0 and pixels[:, 210:].min() == 200
    np.testing.assert_array_equal(labels, np.tile(np.arange(32) >= 25, (32, 1)) * 2)
