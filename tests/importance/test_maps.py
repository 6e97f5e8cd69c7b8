import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.importance import maps
from rdc_jax.importance.maps import (
    cells_to_latent,
    from_mask_array,
    grid_shape,
    read_mask,
)
from rdc_jax.importance.timesteps import (
    importance_values,
    level_timesteps,
    quality_to_timesteps,
)

SIZE = {"height": 40, "width": 50, "cell_size": 16, "num_levels": 8}


def test_grid_covers_the_image():
    assert grid_shape(40, 50, 16) == (3, 4)
    assert grid_shape(32, 16, 16) == (2, 1)
    with pytest.raises(RdcError):
        grid_shape(0, 16, 16)


def test_uniform():
    assert (maps.uniform(**SIZE) == 7).all()
    assert (maps.uniform(**SIZE, level=2) == 2).all()
    assert maps.uniform(**SIZE).shape == (3, 4)
    with pytest.raises(RdcError):
        maps.uniform(**SIZE, level=8)


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P", "LA", "I;16"])
def test_mask_file_white_is_important(tmp_path, mode):
    mask = np.zeros((40, 50), np.uint8)
    mask[:16, :32] = 255
    image = Image.fromarray(mask)
    image = (
        Image.fromarray(mask.astype(np.uint16) * 257) if mode == "I;16" else (image.convert(mode))
    )
    image.save(tmp_path / "mask.png")
    levels = from_mask_array(read_mask(tmp_path / "mask.png", 40, 50), **SIZE)
    assert levels.tolist() == [[7, 7, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_transparent_parts_of_a_mask_are_not_important(tmp_path):
    rgba = np.full((40, 50, 4), 255, np.uint8)
    rgba[:, 16:, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "mask.png")
    found = read_mask(tmp_path / "mask.png", 40, 50)
    assert from_mask_array(found, **SIZE)[0].tolist() == [7, 0, 0, 0]


def test_mask_of_another_size_is_refused(tmp_path):
    Image.new("L", (40, 50)).save(tmp_path / "mask.png")
    with pytest.raises(RdcError, match=r"40 x 50 .* 50 x 40; resize"):
        read_mask(tmp_path / "mask.png", 40, 50)
    with pytest.raises(RdcError, match="resize"):
        from_mask_array(np.zeros((50, 40)), **SIZE)


def test_soft_values_are_averaged_over_real_pixels_and_rounded():
    soft = np.full((40, 50), 0.5)
    assert (from_mask_array(soft, **SIZE) == 4).all()  # 3.5 rounds up
    edge = np.zeros((40, 50), bool)
    edge[32:, 48:] = True  # fills the 8 x 2 pixels of the last cell
    assert from_mask_array(edge, **SIZE)[2, 3] == 7
    half = np.zeros((40, 50), np.uint8)
    half[:8, :16] = 255
    assert from_mask_array(half, **SIZE)[0, 0] == 4
    assert from_mask_array(half, **(SIZE | {"num_levels": 1})).max() == 0
    assert from_mask_array(half, **(SIZE | {"num_levels": 256}))[0, 0] == 128


def test_kinds_of_mask_agree():
    mask = np.random.default_rng(0).random((40, 50)) < 0.5
    expected = from_mask_array(mask, **SIZE)
    for same in (mask.astype(np.uint8) * 255, mask.astype(np.float32), mask.astype(np.float16)):
        np.testing.assert_array_equal(from_mask_array(same, **SIZE), expected)


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1, np.inf])
def test_values_out_of_range_are_refused(value):
    mask = np.zeros((40, 50))
    mask[3, 4] = value
    with pytest.raises(RdcError, match="0 to 1"):
        from_mask_array(mask, **SIZE)


def test_unfit_masks_are_refused():
    with pytest.raises(RdcError, match="int64"):
        from_mask_array(np.zeros((40, 50), np.int64), **SIZE)
    for num_levels in (0, 257):
        with pytest.raises(RdcError, match="levels"):
            from_mask_array(np.zeros((40, 50)), **(SIZE | {"num_levels": num_levels}))


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(2, 256))
def test_timesteps_are_the_rounded_line(background, roi, num_levels):
    timesteps = level_timesteps(background, roi, num_levels)
    assert timesteps.dtype == np.int64 and timesteps.shape == (num_levels,)
    assert timesteps[0] == background and timesteps[-1] == roi
    line = background + (roi - background) * np.arange(num_levels) / (num_levels - 1)
    assert np.abs(timesteps - line).max() <= 0.5 + 1e-9
    assert (np.diff(timesteps) * np.sign(roi - background) >= 0).all()


def test_timesteps_round_half_up():
    assert level_timesteps(0, 1, 3).tolist() == [0, 1, 1]
    assert level_timesteps(1, 0, 3).tolist() == [1, 1, 0]
    assert level_timesteps(400, 100, 4).tolist() == [400, 300, 200, 100]
    assert level_timesteps(9, 5, 1).tolist() == [5]
    with pytest.raises(RdcError):
        level_timesteps(-1, 5, 2)
    with pytest.raises(RdcError):
        level_timesteps(1, 5, 0)


def test_importance_values():
    assert importance_values(1).tolist() == [1.0]
    values = importance_values(8)
    assert values.dtype == np.float32 and values[0] == 0 and values[-1] == 1
    np.testing.assert_array_equal(values, (np.arange(8) / 7).astype(np.float32))


def test_cells_to_latent_repeats_crops_and_continues():
    levels = np.array([[1, 2], [3, 4]], np.uint8)
    assert cells_to_latent(levels, 3, 4, 2).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4]]
    assert cells_to_latent(levels, 2, 4, 1).tolist() == [[1, 2, 2, 2], [3, 4, 4, 4]]
    assert cells_to_latent(levels, 3, 4, 2).dtype == np.uint8
    with pytest.raises(RdcError):
        cells_to_latent(levels, 2, 2, 0)


def test_quality_to_timesteps():
    assert quality_to_timesteps(100, 0, 20, 800) == (20, 20)
    assert quality_to_timesteps(0, 0, 20, 800) == (800, 800)
    assert quality_to_timesteps(50, 0, 20, 800) == (410, 410)
    assert quality_to_timesteps(50, 100, 20, 800) == (460, 360)
    assert quality_to_timesteps(100, 100, 20, 800) == (70, 20)
    assert quality_to_timesteps(0, 100, 20, 800) == (800, 750)
    for wrong in [(-1, 0, 0, 9), (101, 0, 0, 9), (float("nan"), 0, 0, 9), (50, -1, 0, 9),
                  (50, float("nan"), 0, 9), (50, float("inf"), 0, 9), (50, 0, 9, 3),
                  (50, 0, -1, 3)]:  # fmt: skip
        with pytest.raises(RdcError):
            quality_to_timesteps(*wrong)
