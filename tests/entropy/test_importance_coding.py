"""Coding of the importance map: round trips, golden bytes, cost, damaged bytes."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rdc_jax.entropy.importance_coding import decode_importance, encode_importance
from rdc_jax.errors import RdcError

ROWS, COLUMNS = np.mgrid[:32, :48]


def ellipse(top: int) -> np.ndarray:
    inside = ((ROWS - 15) / 11) ** 2 + ((COLUMNS - 20) / 14) ** 2 < 1
    return (inside * top).astype(np.uint8)


def soft_disc(top: int) -> np.ndarray:
    distance = np.hypot(ROWS - 15.3, COLUMNS - 22.1)
    return np.rint(np.clip((14 - distance) / 8, 0, 1) * top).astype(np.uint8)


def box(top: int) -> np.ndarray:
    grid = np.zeros((32, 48), np.uint8)
    grid[8:21, 5:30] = top
    return grid


def round_trip(grid, num_levels):
    data = encode_importance(grid, num_levels)
    got = decode_importance(data, grid.shape, num_levels)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, grid)
    return data


@given(st.data())
def test_any_grid_round_trips(data):
    num_levels = data.draw(st.sampled_from([1, 2, 3, 8, 16, 255, 256]))
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
    values = st.integers(0, num_levels - 1)
    round_trip(data.draw(hnp.arrays(np.uint8, shape, elements=values)), num_levels)


@pytest.mark.parametrize("num_levels", [2, 5, 16, 256])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (17, 23)])
def test_noise_round_trips_without_much_expansion(rng, num_levels, shape):
    grid = rng.integers(0, num_levels, shape).astype(np.uint8)
    assert len(round_trip(grid, num_levels)) <= 1.4 * grid.size * np.log2(num_levels) / 8 + 16


def test_extremes_round_trip():
    alternating = (np.indices((20, 20)).sum(axis=0) % 2 * 255).astype(np.uint8)
    round_trip(alternating, 256)
    round_trip(255 - alternating, 256)


@pytest.mark.parametrize("num_levels", [1, 2, 16, 256])
def test_a_constant_map_costs_almost_nothing(num_levels):
    for level in {0, num_levels // 2, num_levels - 1}:
        grid = np.full((32, 48), level, np.uint8)
        assert len(round_trip(grid, num_levels)) <= 2


@pytest.mark.parametrize("num_levels", [2, 8, 16])
@pytest.mark.parametrize(
    ("shape", "gain"),
    [(box, 25), (ellipse, 7), (soft_disc, 4)],
    ids=["box", "ellipse", "soft_disc"],
)
def test_smooth_maps_cost_a_fraction_of_raw_and_less_than_zlib(shape, gain, num_levels):
    grid = shape(num_levels - 1)
    size = len(round_trip(grid, num_levels))
    raw = grid.size * (num_levels - 1).bit_length() / 8
    assert size * gain <= raw
    assert size < 0.8 * len(zlib.compress(grid.tobytes(), 9))


@pytest.mark.parametrize(
    ("grid", "num_levels", "expected"),
    [
        (np.full((4, 4), 3, np.uint8), 8, "b0"),
        (box(1), 2, "303213d1f020"),
        (ellipse(7), 8, "0ba86feae080d913f8b53e94495635e02f"),
        (
            soft_disc(15)[::3, ::3].copy(),
            16,
            "0397a7f551439f87d52e422eb9713cdb61cb72fc981dbdc92298813ebf92994808d2dac239",
        ),
    ],
)
def test_golden_bytes(grid, num_levels, expected):
    assert encode_importance(grid, num_levels).hex() == expected


def test_damaged_bytes_never_crash(rng):
    grid = soft_disc(15)
    data = encode_importance(grid, 16)
    cases = [data[:n] for n in range(0, len(data), 5)] + [b"", b"\xff" * 200, b"\0" * 9]
    cases += [rng.bytes(len(data)) for _ in range(40)] + [data + b"\0", data + b"\x01"]
    for place in rng.integers(0, len(data), 40):
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        cases.append(bytes(changed))
    for case in cases:
        for num_levels in (16, 13):
            try:
                got = decode_importance(case, grid.shape, num_levels)
                assert got.shape == grid.shape and got.max() < num_levels
            except RdcError as error:
                assert "\n" not in str(error)
    for surplus in (b"\0", b"\x01\x02\x03"):
        with pytest.raises(RdcError, match="damaged"):
            decode_importance(data + surplus, grid.shape, 16)


def test_bad_arguments_are_refused():
    for grid, num_levels in (
        (np.zeros((2, 2), np.int32), 2),
        (np.zeros((0, 2), np.uint8), 2),
        (np.zeros(4, np.uint8), 2),
        (np.full((2, 2), 2, np.uint8), 2),
        (np.zeros((2, 2), np.uint8), 0),
        (np.zeros((2, 2), np.uint8), 257),
    ):
        with pytest.raises(RdcError):
            encode_importance(grid, num_levels)
    with pytest.raises(RdcError):
        decode_importance(b"", (0, 4), 2)
    with pytest.raises(RdcError):
        decode_importance(b"", (4, 4), 257)
