"""Tables against the formula, their storage, and the integer scale index."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_jax.entropy import tables
from rdc_jax.errors import RdcError
from tests.entropy.code_lengths import table_bits

BANK_HASH = "84c1acfdcbf55adc5677a1cd1ea9df2800a798bcb989db3b447dcf993b8bf7a2"


def test_constants_of_the_bank(bank):
    assert tables.NUM_TABLES == 1280
    assert bank.sizes.min() >= 2
    assert bank.counts.size == 83472
    assert bank.sha256() == BANK_HASH


def test_counts_follow_the_formula(bank):
    def cdf(x):
        return 0.5 * math.erfc(-x / math.sqrt(2))

    for scale_index, phase in ((0, 0), (3, 15), (30, 7), (42, 0), (60, 9), (79, 15)):
        scale, dither = 2 ** (-7 + scale_index / 6), (2 * phase + 1) / 64 - 0.5
        lowest, counts = bank.table(16 * scale_index + phase)
        for place, count in enumerate(counts[:-1]):
            k = lowest + place
            p = cdf((k + dither + 0.5) / scale) - cdf((k + dither - 0.5) / scale)
            assert abs(count - 65536 * p) <= max(2, 0.001 * 65536 * p), (scale_index, phase, k)


def test_every_table_sums_to_the_total_and_holds_its_mode(bank):
    for number in range(tables.NUM_TABLES):
        lowest, counts = bank.table(number)
        assert counts.min() >= 1 and int(counts.sum(dtype=np.int64)) == 65536
        assert lowest <= 0 <= lowest + counts.size - 2


def test_expected_cost_of_the_tables_is_the_entropy(bank):
    for scale_index in range(0, 80, 7):
        reach = int(np.ceil(8 * tables.relative_scale(scale_index))) + 2
        k, phase = np.meshgrid(np.arange(-reach, reach + 1), np.arange(32))
        scale = np.full(k.shape, scale_index)
        ideal = tables.ideal_bits(k, scale, phase)
        p = np.exp2(-ideal)
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
        entropy = (p * ideal).sum()
        assert entropy < (p * table_bits(bank, k, scale, phase)).sum() < 1.003 * entropy


def test_ideal_bits_are_finite_and_mirror_symmetric():
    k = np.array([0, 1, -1, 40, -40, 2**20 - 1, -(2**20) + 1])
    for scale_index in (0, 40, 79):
        for phase in (0, 15):
            bits = tables.ideal_bits(k, scale_index, phase)
            assert np.all(np.isfinite(bits)) and np.all(bits >= 0)
            np.testing.assert_array_equal(bits, tables.ideal_bits(-k, scale_index, 31 - phase))


def test_storage_round_trip_keeps_the_hash(bank):
    again = tables.TableBank.from_arrays(bank.to_arrays())
    assert again.sha256() == bank.sha256()
    assert not again.counts.flags.writeable


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.pop("lowest"),
        lambda a: a.update(extra=a["counts"]),
        lambda a: a.update(counts=a["counts"].astype(np.int32)),
        lambda a: a.update(counts=a["counts"][:-1]),
        lambda a: a.update(lowest=a["lowest"][:-1]),
        lambda a: a.update(lowest=a["lowest"] + np.int16(2000)),
        lambda a: a.update(offsets=a["offsets"][::-1].copy()),
        lambda a: a["counts"].__setitem__(2, 2),
        lambda a: a["counts"].__setitem__(slice(0, 2), 0),
    ],
)
def test_damaged_storage_is_refused(bank, change):
    arrays = {name: array.copy() for name, array in bank.to_arrays().items()}
    change(arrays)
    with pytest.raises(RdcError, match=r"^probability tables are damaged.*install"):
        tables.TableBank.from_arrays(arrays)


@given(st.integers(-(2**62), 2**62), st.integers(0, 50))
def test_scale_index_is_the_rounded_logarithm(fixed, fraction_bits):
    x = min(max(fixed / 2**fraction_bits, -100.0), 100.0)
    exact = math.floor(6 * (x + 7) + 0.5)
    got = int(tables.scale_index_from_log2(np.int64(fixed), fraction_bits))
    nearest_tie = abs(6 * (x + 7) + 0.5 - round(6 * (x + 7) + 0.5))
    if nearest_tie > 1e-9 or fraction_bits <= 20:
        assert got == min(max(exact, 0), 79)


def test_scale_index_rounds_halves_up():
    one = 1 << 10
    fixed = np.array([-7 * one, -7 * one + one // 12, -7 * one + one // 12 + 1, 0, 7 * one])
    assert tables.scale_index_from_log2(fixed, 10).tolist() == [0, 0, 1, 42, 79]
    assert tables.scale_index_from_log2(np.array([-27]), 2).tolist() == [2]  # 6 * .25 = 1.5
    with pytest.raises(RdcError):
        tables.scale_index_from_log2(np.zeros(1), 10)
    with pytest.raises(RdcError):
        tables.scale_index_from_log2(np.zeros(1, np.int64), 51)
