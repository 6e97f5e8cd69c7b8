import numpy as np
import pytest

from rdc_jax.data.crops import crop_image, draw_crop


def random_crop(seed, image, size):
    crop = draw_crop(np.random.default_rng(seed), *image.shape[:2], size)
    return crop_image(image, crop, size)


@pytest.mark.parametrize("shape", [(64, 64), (70, 400), (65, 64), (128, 100)])
def test_crops_of_small_images_are_enlarged_without_padding(shape):
    image = np.full((*shape, 3), 77, np.uint8)
    for seed in range(10):
        crop = random_crop(seed, image, 128)
        assert crop.shape == (128, 128, 3) and crop.flags.c_contiguous
        assert (crop == 77).all()


def test_crops_reach_all_eight_symmetries():
    y, x = np.mgrid[0:64, 0:64]
    image = np.stack([3 * y, 2 * x, y + x], -1).astype(np.uint8)
    seen = set()
    for seed in range(100):
        crop = random_crop(seed, image, 64).astype(int)
        seen.add(
            (tuple(np.sign(crop[-1, 0] - crop[0, 0])), tuple(np.sign(crop[0, -1] - crop[0, 0])))
        )
    assert len(seen) == 8


def test_a_map_is_cropped_like_its_image():
    y, x = np.mgrid[0:100, 0:130].astype(np.uint8)
    image = np.stack([y, x, y], -1)
    for seed in range(50):
        crop = draw_crop(np.random.default_rng(seed), 100, 130, 64)
        labels = crop.of(x)
        assert labels.shape == (crop.side, crop.side)
        np.testing.assert_array_equal(crop_image(image, crop, crop.side)[..., 1], labels)
        scaled = crop_image(image, crop, 64)[..., 1].astype(int)
        nearest = labels[np.ix_(*[(np.arange(64) * crop.side) // 64] * 2)]
        assert np.abs(scaled - nearest).max() <= 4
