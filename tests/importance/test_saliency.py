"""Saliency: constructed images with a known subject, and degenerate images."""

import numpy as np
import pytest

from rdc_jax.importance.saliency import IMPORTANT_AREA, salient


def scene(height, width, rng):
    """A red disc off-centre on noisy grey: (pixels, mask of the disc)."""
    row, column = np.mgrid[:height, :width]
    disc = (row - 0.55 * height) ** 2 + (column - 0.4 * width) ** 2 < (0.17 * height) ** 2
    pixels = np.full((height, width, 3), 120.0) + rng.normal(0, 5, (height, width, 3))
    pixels[disc] = rng.normal((200, 40, 30), 5, (disc.sum(), 3))
    return np.clip(pixels, 0, 255).astype(np.uint8), disc


@pytest.mark.parametrize("size", [(240, 320), (97, 61), (700, 501)])
def test_an_object_is_salient_and_the_background_is_not(rng, size):
    pixels, disc = scene(*size, rng)
    mask = salient(pixels)
    assert mask.shape == size and mask.dtype == np.float32
    assert 0 <= mask.min() and mask.max() <= 1
    assert mask[disc].mean() > 0.9
    assert mask[~disc].mean() < 0.3
    assert np.mean(mask >= 0.5) == pytest.approx(IMPORTANT_AREA, abs=0.03)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 2), (2000, 9), (64, 64)])
@pytest.mark.parametrize("value", [0, 255])
def test_flat_images_of_any_size(size, value):
    mask = salient(np.full((*size, 3), value, np.uint8))
    assert mask.shape == size and np.all(np.isfinite(mask))


def test_without_contrast_the_centre_is_important():
    mask = salient(np.full((120, 160), 77, np.uint8))
    assert mask[55:65, 75:85].min() == 1 and mask[:10, :10].max() == 0


def test_the_same_image_gives_the_same_mask(rng):
    pixels = rng.integers(0, 256, (80, 120, 3), dtype=np.uint8)
    np.testing.assert_array_equal(salient(pixels), salient(pixels.copy()))
