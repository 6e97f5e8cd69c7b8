"""Darkened crops, and crops with the borders that the encoder makes."""

import numpy as np
import pytest

from rdc_jax.data.examples import Recipe
from rdc_jax.data.low_light import darken
from rdc_jax.data.mixing import Part
from rdc_jax.data.pipeline import training_iterator
from rdc_jax.data.ragged import continued, draw_true_size
from rdc_jax.data.sources import SyntheticSource
from rdc_jax.decoding.windows import assembled, windowed_rows
from rdc_jax.errors import RdcError
from rdc_jax.importance.maps import cells_to_latent

SIZES = {"batch_size": 4, "crop_size": 64, "seed": 5, "prefetch": 2}


class GreySource:
    def __init__(self, value):
        self.value = value

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return {"image": np.full((90, 80, 3), self.value, np.uint8)}


class NoiseSource:
    """An array without equal rows or columns."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return {"image": np.random.default_rng(index).integers(0, 256, (90, 80, 3), np.uint8)}


def images_of(source, count, **options):
    iterator = training_iterator(source, **(SIZES | options))
    return np.concatenate([next(iterator)["image"] for _ in range(count)])


def test_darkening_has_one_to_four_stops_mild_noise_and_a_slight_cast():
    def linear(value):
        return ((value / 255 + 0.055) / 1.055) ** 2.4

    flat = np.full((64, 64, 3), 180, np.uint8)
    stops, casts, spreads = [], [], []
    for seed in range(200):
        dark = darken(np.random.default_rng(seed), flat).astype(float)
        assert dark.shape == flat.shape
        means = linear(dark.mean((0, 1)))
        stops.append(np.log2(linear(180) / means.mean()))
        casts.append(np.std(np.log(means)))
        spreads.append(dark.std((0, 1)).mean())
    assert 0.7 < min(stops) < 1.4 and 3.6 < max(stops) < 4.4
    assert 0.01 < np.mean(casts) < 0.1
    assert 0.3 < min(spreads) and max(spreads) < 8


def test_noise_grows_with_the_light_and_does_not_vanish_in_the_dark():
    bands = np.full((3, 2000, 3), np.array([0, 128, 255], np.uint8)[:, None, None])
    bands = bands.repeat(20, 0)
    one = np.stack([darken(np.random.default_rng(seed), bands)[10::20] for seed in range(12)])
    spread = one.astype(float).std(2).mean((0, 2))
    assert (spread > 0.2).all()
    linear = (one / 255.0) ** 2.2
    assert (np.diff(linear.std(2).mean((0, 2))) > 0).all()


def test_darkening_depends_only_on_its_generator():
    image = SyntheticSource(1, 80)[0]["image"]
    first, again, other = (darken(np.random.default_rng(seed), image) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_darken_share_applies_only_to_photographs():
    mix = [Part(GreySource(250), 0.5)]
    images = images_of(GreySource(200), 30, darken_share=0.4, mix=mix)
    flat = (np.ptp(images, axis=(1, 2, 3)) == 0) & np.isin(images[:, 0, 0, 0], (200, 250))
    drawings = flat & (images[:, 0, 0, 0] == 250)
    assert drawings.sum() == 60
    assert 0.25 < np.mean(~flat[~drawings]) < 0.55
    again = images_of(GreySource(200), 5, darken_share=0.4, mix=mix, num_threads=0)
    np.testing.assert_array_equal(images[:20], again)


def test_true_sizes_are_1_to_31_pixels_smaller_on_one_side_or_both():
    rng = np.random.default_rng(0)
    missing = 128 - np.array([draw_true_size(rng, 128) for _ in range(2000)])
    assert missing.min() == 0 and missing.max() == 31 and not (missing == 0).all(1).any()
    assert set(np.unique(missing)) == set(range(32))
    for side in (0, 1):
        assert 0.25 < np.mean(missing[:, side] == 0) < 0.42


def test_a_border_equals_that_of_the_encoder_for_an_image_of_that_size(rng):
    """The encoder pads to latent pixels of 8 image pixels, then to a window of the network."""
    crop = rng.integers(0, 256, (128, 128, 3), np.uint8)
    seen = []
    for height, width in ((97, 128), (127, 100), (128, 121), (104, 96)):
        image = crop[:height, :width]
        edge = [(0, -n % 8) for n in image.shape[:2]]

        def bands(top, bottom, left, right, padded=np.pad(image, [*edge, (0, 0)], mode="edge")):
            return [padded[top * 8 : bottom * 8, left * 8 : right * 8]]

        def network(tile):
            seen.append(tile)
            return np.zeros((16, 16, 1), np.float32)

        size = (-(-height // 8), -(-width // 8))
        assembled(
            windowed_rows(
                network, bands, size, input_scale=8, output_scale=1, window=16, overlap=4
            ),
            size[0],
        )
        np.testing.assert_array_equal(continued(crop, height, width), seen[-1])


def test_the_map_beyond_the_border_equals_that_of_the_encoder(rng):
    cells = rng.integers(0, 8, (8, 8), np.uint8)
    height, width = 97, 70
    stored = cells[: -(-height // 16), : -(-width // 16)]  # cells of a image of this size
    ours = continued(cells, *stored.shape)
    np.testing.assert_array_equal(
        ours.repeat(2, 0).repeat(2, 1), cells_to_latent(stored, 16, 16, 2)
    )


def test_ragged_share_and_its_importance_maps():
    iterator = training_iterator(NoiseSource(), ragged_share=0.5, cell_size=8,
                                 mixture={"blobs": 1.0}, **SIZES)  # fmt: skip
    count = 0
    for _ in range(40):
        batch = next(iterator)
        for image, levels in zip(batch["image"], batch["importance"], strict=True):
            missing = [
                int(np.argmax(np.append((a[::-1] != a[-1]).any((1, 2)), True))) - 1
                for a in (image, image.swapaxes(0, 1))
            ]
            rows, columns = (-(-(64 - n) // 8) for n in missing)
            count += any(n > 0 for n in missing)
            assert (levels[rows:] == levels[rows - 1]).all()
            assert (levels[:, columns:] == levels[:, columns - 1 : columns]).all()
    assert 0.35 < count / 160 < 0.65


def test_shares_of_zero_change_nothing():
    source = SyntheticSource(5, 100)
    without = images_of(source, 3)
    np.testing.assert_array_equal(without, images_of(source, 3, darken_share=0.0, ragged_share=0))
    assert (without != images_of(source, 3, ragged_share=1.0)).any()


@pytest.mark.parametrize("name", ["darken_share", "ragged_share"])
@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_shares_outside_0_to_1_are_refused(name, share):
    with pytest.raises(RdcError, match=rf"data\.{name} must be 0 to 1, not {share}"):
        Recipe(64, **{name: share})
