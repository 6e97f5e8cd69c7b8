import numpy as np
import pytest

from rdc_jax.data.masks import (
    DEFAULT_MIXTURE,
    local_contrast,
    random_importance,
    segment_importance,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", DEFAULT_MIXTURE)
@pytest.mark.parametrize("shape", [(1, 1), (6, 10), (3, 2)])
@pytest.mark.parametrize("num_levels", [1, 2, 8, 256])
def test_every_kind_gives_valid_levels(kind, shape, num_levels):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        levels = random_importance(
            rng, *shape, num_levels=num_levels, image=IMAGE, mixture={kind: 1.0}
        )
        assert levels.shape == shape and levels.dtype == np.uint8
        assert levels.max() < num_levels


def test_mixture_varies_and_covers_all_levels():
    rng = np.random.default_rng(0)
    maps = [random_importance(rng, 8, 8, num_levels=8, image=IMAGE) for _ in range(400)]
    constant = np.mean([np.ptp(m) == 0 for m in maps])
    assert 0.3 < constant < 0.6
    counts = np.bincount(np.concatenate([m.ravel() for m in maps]), minlength=8)
    assert counts.min() > 0.03 * counts.sum()
    assert np.mean([np.ptp(m) == 7 for m in maps]) > 0.15


def test_same_generator_state_gives_the_same_map():
    for seed in range(30):
        a, b = (
            random_importance(np.random.default_rng(seed), 8, 8, num_levels=8, image=IMAGE)
            for _ in range(2)
        )
        np.testing.assert_array_equal(a, b)


def test_content_needs_no_image():
    levels = random_importance(
        np.random.default_rng(0), 4, 4, num_levels=8, mixture={"content": 1.0}
    )
    assert levels.shape == (4, 4)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="stripes"):
        random_importance(np.random.default_rng(0), 4, 4, num_levels=8, mixture={"stripes": 1.0})


@pytest.mark.parametrize("size", [(128, 128), (100, 75), (8, 8)])
def test_local_contrast_finds_the_texture(size):
    image = np.full((*size, 3), 100, np.uint8)
    half = size[1] // 2
    noise = np.random.default_rng(0).integers(0, 256, (size[0], size[1] - half, 3))
    image[:, half:] = noise
    contrast = local_contrast(image, 4, 4)
    assert contrast.shape == (4, 4)
    assert contrast[:, 0].max() < 1 < 10 < contrast[:, 3].min()


def test_local_contrast_of_a_latent(rng):
    latent = np.full((32, 32, 4), 0.5, np.float16)
    latent[:, 16:] += rng.normal(0, 1, (32, 16, 4)).astype(np.float16)
    contrast = local_contrast(latent, 16, 16)
    assert contrast.shape == (16, 16) and contrast.dtype == np.float32
    assert contrast[:, :6].max() < 1e-3 < 0.2 < contrast[:, 10:].min()
    levels = random_importance(rng, 16, 16, num_levels=8, image=latent, mixture={"content": 1.0})
    assert levels.shape == (16, 16)


def test_segments_become_the_region_of_interest(rng):
    labels = np.zeros((64, 96), np.uint8)
    labels[:32, :48], labels[:32, 48:], labels[32:, :48] = 3, 255, 7
    patterns, tops = set(), []
    for _ in range(300):
        levels = segment_importance(rng, labels, 4, 6, num_levels=8)
        assert levels.shape == (4, 6) and levels.dtype == np.uint8 and levels.max() <= 7
        quarters = levels.reshape(2, 2, 2, 3).swapaxes(1, 2).reshape(4, 6)
        assert (quarters == quarters[:, :1]).all()
        tops.append(int(levels.max()))
        if np.ptp(levels):
            patterns.add(tuple(quarters[:, 0] == levels.max()))
    assert len(patterns) == 14  # all but none and all of four segments
    assert min(tops) < 7 and np.mean(np.array(tops) == 7) > 0.4


def test_cells_take_the_covered_share(rng):
    labels = np.zeros((32, 32), np.uint8)
    labels[:8] = 1
    found = {
        tuple(segment_importance(rng, labels, 2, 2, num_levels=9)[:, 0].tolist())
        for _ in range(100)
    }
    assert {(4, 0), (4, 8)} <= found


def test_one_segment_gives_no_map(rng):
    assert segment_importance(rng, np.full((8, 8), 3, np.uint8), 2, 2, num_levels=8) is None
