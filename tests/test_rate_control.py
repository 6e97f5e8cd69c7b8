"""The search for a quality that fits a number of bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_jax.rate_control import search_quality


def counted(function):
    def bits_at(quality):
        bits_at.calls += 1
        return function(quality)

    bits_at.calls = 0
    return bits_at


@given(target=st.floats(110, 9900), bend=st.floats(0.3, 3))
def test_never_above_and_close_below(target, bend):
    bits_at = counted(lambda quality: 100 + 9900 * (quality / 100) ** bend)
    quality = search_quality(bits_at, target)
    assert bits_at.calls <= 13
    assert bits_at(quality) <= target
    # Either within the tolerance, or the bisection ran out of evaluations.
    assert bits_at(quality) >= 0.995 * target or bits_at(quality + 100 / 2**11) > target


def test_a_rate_with_steps_is_met_from_below():
    def bits_at(quality):
        return 1000 * np.floor(quality / 10)

    quality = search_quality(bits_at, 4500)
    assert bits_at(quality) == 4000


@given(seed=st.integers(0, 1000))
def test_a_rate_that_is_not_quite_monotone_is_never_exceeded(seed):
    wiggle = np.random.default_rng(seed).normal(0, 30, 4096)

    def bits_at(quality):
        return 100 * quality + wiggle[int(quality * 40)]

    assert bits_at(search_quality(bits_at, 4321)) <= 4321


@pytest.mark.parametrize(("target", "quality"), [(1e9, 100.0), (10_000, 100.0), (1.0, 0.0)])
def test_targets_out_of_reach_give_the_ends(target, quality):
    assert search_quality(lambda q: 100 + 99 * q, target) == quality


def test_it_stops_as_soon_as_it_is_close_enough():
    bits_at = counted(lambda quality: 100 * quality)
    assert search_quality(bits_at, 5000) == 50
    assert bits_at.calls == 2
