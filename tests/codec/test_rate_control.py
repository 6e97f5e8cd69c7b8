"""The search for a file that fits a number of bytes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_jax.codec.rate_control import CODINGS, distinct_qualities, largest_within, target_bytes
from rdc_jax.errors import RdcError
from rdc_jax.importance.timesteps import quality_to_timesteps

QUALITIES = [100 * i / 720 for i in range(721)]


def coder(size_at):
    """A `code` whose file has size_at(quality) bytes; it notes what was coded."""

    def code(quality):
        code.qualities.append(quality)
        return b"x" * int(size_at(quality)), quality

    code.qualities = []
    return code


def photograph(quality):
    return 2000 * math.exp(3.4 * quality / 100)


@given(target=st.integers(2010, 59000), share=st.floats(0.5, 2), bend=st.floats(-0.6, 0.6))
def test_near_the_target_in_few_codings_though_the_estimate_is_off(target, share, bend):
    code = coder(photograph)
    data, quality = largest_within(
        code, QUALITIES, lambda q: photograph(q) * share * math.exp(bend * q / 100), target
    )
    assert 0.98 * target <= len(data) <= target
    assert len(data) == int(photograph(quality))
    assert len(code.qualities) <= 5


@given(target=st.integers(2010, 59000), power=st.floats(0.2, 3))
def test_an_estimate_that_misleads_costs_codings_only(target, power):
    code = coder(photograph)
    data, _ = largest_within(code, QUALITIES, lambda q: 10 + q**power, target)
    share = 0.98 if len(code.qualities) < CODINGS else 0.96  # the search gives up after CODINGS
    assert share * target - 1 < len(data) <= target  # files have whole bytes
    assert len(code.qualities) <= 13


@given(seed=st.integers(0, 1000))
def test_a_rate_that_is_not_quite_monotone_is_never_exceeded(seed):
    wiggle = np.exp(np.random.default_rng(seed).normal(0, 0.02, 721))

    def size_at(quality):
        return photograph(quality) * wiggle[round(quality * 7.2)]

    data, quality = largest_within(coder(size_at), QUALITIES, photograph, 12345)
    assert 0.9 * 12345 <= len(data) <= 12345 and len(data) == int(size_at(quality))


def test_the_best_of_what_fitted_is_taken():
    """A step back: the last file that fits is smaller than one before it."""
    sizes = {0.0: 50, 1.0: 96, 2.0: 90, 3.0: 200}
    data, quality = largest_within(coder(sizes.get), list(sizes), lambda q: 96 + q, 98)
    assert (len(data), quality) == (96, 1.0)


def test_a_rate_with_large_steps_is_met_from_below():
    code = coder(lambda quality: 1000 * (1 + quality // 10))
    assert len(largest_within(code, QUALITIES, photograph, 4500)[0]) == 4000


def test_nothing_is_coded_twice():
    code = coder(photograph)
    for target in (2000, 2001, 7777, 60000, 10**9):
        code.qualities.clear()
        largest_within(code, QUALITIES, lambda q: 5000.0, target)
        assert len(set(code.qualities)) == len(code.qualities)


def test_a_target_above_the_largest_file_gives_that():
    assert largest_within(coder(photograph), QUALITIES, photograph, 10**9)[1] == 100.0


def test_a_target_below_the_smallest_file_is_refused_with_its_size():
    code = coder(photograph)
    with pytest.raises(RdcError, match="is 2000 bytes; ask for at least that instead of 1999"):
        largest_within(code, QUALITIES, photograph, 1999)
    data, quality = largest_within(code, QUALITIES, photograph, 1999, best_effort=True)
    assert (len(data), quality) == (2000, 0.0)


def test_distinct_qualities_reach_every_pair_of_timesteps():
    def plain(quality):
        return quality_to_timesteps(quality, 0, 20, 740)

    qualities = distinct_qualities(plain, 20, 740)
    assert [plain(q)[1] for q in qualities] == list(range(740, 19, -1))
    assert (qualities[0], qualities[-1]) == (0.0, 100.0)
    clipped = distinct_qualities(lambda q: quality_to_timesteps(q, 1000, 20, 740), 20, 740)
    pairs = [quality_to_timesteps(q, 1000, 20, 740) for q in clipped]
    assert len(set(pairs)) == len(pairs) == 441  # one of the two timesteps is at its limit


@pytest.mark.parametrize("height", [96, 683, 1021])
def test_bits_per_pixel_of_a_file_ask_for_its_size(height):
    for size in range(1, 3000, 7):
        bpp = 8 * size / (height * 331)
        assert target_bytes(height, 331, None, bpp, None) == size
        assert target_bytes(height, 331, None, 0.9999 * bpp, None) == size - 1


@pytest.mark.parametrize("given", [(50, 0.5, None), (50, None, 9), (None, 0.5, 9)])
def test_two_wishes_are_refused(given):
    with pytest.raises(RdcError, match="give one of"):
        target_bytes(10, 10, *given)
