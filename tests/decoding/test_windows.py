"""Windows cover everything, fade into each other, and leave no trace of themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_jax.decoding import windows


def apply(function, inputs, *, input_scale, output_scale, window, overlap):
    """`windowed_rows` of whole arrays, put together."""

    def bands(top, bottom, left, right):
        rows = slice(top * input_scale, bottom * input_scale)
        columns = slice(left * input_scale, right * input_scale)
        return [x[rows, columns] for x in inputs]

    size = tuple(n // input_scale for n in inputs[0].shape[:2])
    rows = windows.windowed_rows(
        function, bands, size,
        input_scale=input_scale, output_scale=output_scale, window=window, overlap=overlap,
    )  # fmt: skip
    return windows.assembled(rows, size[0] * output_scale)


@given(length=st.integers(1, 500), window=st.integers(2, 64), share=st.floats(0, 0.5))
def test_windows_cover_and_overlap_enough(length, window, share):
    overlap = int(window * share)
    starts = windows.window_starts(length, window, overlap)
    assert starts[0] == 0
    if length <= window:
        assert starts == [0]
        return
    assert starts[-1] + window == length
    gaps = np.diff(starts)
    assert gaps.min() > 0 and gaps.max() <= window - overlap
    assert len(starts) == 1 + -(-(length - window) // (window - overlap))  # no more than needed


def test_crossfade_is_one_at_the_edge_of_the_image():
    np.testing.assert_array_equal(windows.crossfade(10, 4, True, True), np.ones(10))
    expected = [0.125, 0.375, 0.625, 0.875, 1, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(windows.crossfade(10, 4, False, True), expected)
    np.testing.assert_allclose(windows.crossfade(10, 4, True, False), expected[::-1])


@pytest.mark.parametrize("size", [(1, 1), (10, 10), (7, 31), (11, 10), (33, 47)])
@pytest.mark.parametrize(("scale_in", "scale_out"), [(1, 1), (2, 1), (1, 2)])
def test_identity_is_reproduced(rng, size, scale_in, scale_out):
    height, width = size
    picture = rng.normal(size=(height * scale_in, width * scale_in, 3)).astype(np.float32)
    side = 10 * scale_in

    def function(window):
        assert window.shape == (side, side, 3)
        if scale_out > scale_in:
            return window.repeat(2, 0).repeat(2, 1)
        return window[::scale_in, ::scale_in]

    result = apply(
        function, [picture], input_scale=scale_in, output_scale=scale_out, window=10, overlap=3
    )
    expected = picture[::scale_in, ::scale_in]
    if scale_out == 2:
        expected = expected.repeat(2, 0).repeat(2, 1)
    assert result.shape == expected.shape and result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_disagreeing_windows_fade_without_a_seam():
    calls = []

    def function(window):
        calls.append(None)
        return np.full((10, 10, 1), float(len(calls)), np.float32)

    result = apply(
        function, [np.zeros((10, 16))], input_scale=1, output_scale=1, window=10, overlap=4
    )
    assert len(calls) == 2
    row = result[0, :, 0]
    assert row[0] == 1 and row[-1] == 2
    assert np.all(np.diff(row) >= 0) and np.diff(row).max() < 0.5
    np.testing.assert_allclose(row + row[::-1], 3, atol=1e-6)


def test_inputs_are_cut_alike(rng):
    a, b = rng.normal(size=(23, 17, 2)), rng.integers(0, 9, (23, 17))

    def function(x, y):
        return np.concatenate([x, y[..., None]], axis=-1)

    result = apply(function, [a, b], input_scale=1, output_scale=1, window=8, overlap=2)
    np.testing.assert_allclose(result, function(a, b), atol=1e-5)


def test_a_small_image_is_continued_by_its_edge():
    seen = []
    apply(
        lambda x: seen.append(x) or x, [np.array([[1.0, 2.0]])[..., None]],
        input_scale=1, output_scale=1, window=4, overlap=1,
    )  # fmt: skip
    np.testing.assert_array_equal(seen[0][..., 0], np.tile([1.0, 2.0, 2.0, 2.0], (4, 1)))


@pytest.mark.parametrize("area", [(0, 66, 0, 94), (0, 1, 93, 94), (17, 44, 20, 60), (64, 66, 0, 9)])
def test_an_area_is_a_part_of_the_whole(rng, area):
    """To the last bit, from no more rows at a time than a window has, asked for downwards."""
    picture = rng.normal(size=(33, 47, 2)).astype(np.float32)
    weights = rng.normal(size=(10, 10, 1)).astype(np.float32)
    asked = []

    def function(window):  # depends on the place in the window, so windows disagree
        return np.repeat(np.repeat(window * weights, 2, 0), 2, 1)

    def bands(top, bottom, left, right):
        asked.append((top, bottom, left, right))
        return [picture[top:bottom, left:right]]

    how = dict(input_scale=1, output_scale=2, window=10, overlap=4)
    whole = apply(function, [picture], **how)
    rows = list(windows.windowed_rows(function, bands, (33, 47), area=area, **how))
    top, bottom, left, right = area
    np.testing.assert_array_equal(np.concatenate(rows), whole[top:bottom, left:right])
    assert max(len(part) for part in rows) <= 20
    assert asked == sorted(asked) and all(after - before == 10 for before, after, *_ in asked)
    assert asked[0][0] * 2 <= top and asked[-1][1] * 2 >= bottom
    assert asked[0][0] * 2 + 20 > top and asked[-1][0] * 2 < bottom
