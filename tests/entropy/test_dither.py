"""Philox against published vectors, and properties of the dither."""

import numpy as np
import pytest

from rdc_jax.entropy import dither
from rdc_jax.errors import RdcError

# Random123 (Salmon et al. 2011), examples/kat_vectors, philox4x32 with 10 rounds.
KNOWN_ANSWERS = [
    ("00000000" * 4, "00000000" * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff" * 4, "ffffffff" * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a8885a308d313198a2e03707344",
        "a4093822299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_known_answers(counter, key, answer):
    words = np.frombuffer(bytes.fromhex(counter), ">u4").astype(np.uint32)
    key = (int(key[:8], 16), int(key[8:], 16))
    got = dither.philox4x32(words, key)
    assert got.dtype == np.uint32
    assert " ".join(f"{word:08x}" for word in got) == answer


def test_golden_phases():
    phases = dither.dither_phases(7, 2, 2, 3)
    assert phases.dtype == np.uint8
    assert phases.tolist() == [[[27, 17, 25], [22, 0, 5]], [[19, 21, 2], [3, 14, 2]]]


def test_bytes_of_a_call_are_consecutive_channels():
    phases = dither.dither_phases(5, 3, 4, 20, row0=10, col0=100)
    for row, col, channel in ((0, 0, 0), (2, 3, 6), (1, 2, 19)):
        counter = np.array([100 + col, 10 + row, channel // 16, 0], np.uint32)
        word = int(dither.philox4x32(counter, (5, dither.KEY_TAG))[channel % 16 // 4])
        assert phases[row, col, channel] == (word >> (8 * (channel % 4)) & 255) >> 3


def test_a_window_has_the_phases_of_the_whole():
    whole = dither.dither_phases(123, 20, 30, 17)
    window = dither.dither_phases(123, 7, 9, 17, row0=5, col0=11)
    np.testing.assert_array_equal(window, whole[5:12, 11:20])
    np.testing.assert_array_equal(dither.dither_phases(123, 20, 30, 4), whole[..., :4])


def test_phases_are_uniform_and_depend_on_the_seed():
    phases = dither.dither_phases(2**32 - 1, 64, 64, 16)
    tally = np.bincount(phases.ravel(), minlength=32)
    expected = phases.size / 32
    assert ((tally - expected) ** 2 / expected).sum() < 70  # chi-square, 31 degrees of freedom
    assert np.mean(phases == dither.dither_phases(0, 64, 64, 16)) < 0.04


def test_values_are_exact_and_centred():
    values = dither.dither_values(np.arange(32, dtype=np.uint8))
    np.testing.assert_array_equal(values, (2 * np.arange(32) + 1) / 64 - 0.5)
    np.testing.assert_array_equal(values, -values[::-1])


def test_numerator_is_the_dithered_symbol_in_sixty_fourths(rng):
    symbols = rng.integers(-(2**20), 2**20, 1000).astype(np.int32)
    phases = rng.integers(0, 32, 1000).astype(np.uint8)
    numerator = dither.symbols_plus_dither_numerator(symbols, phases)
    assert numerator.dtype == np.int64
    np.testing.assert_array_equal(numerator / 64, symbols + dither.dither_values(phases))


def test_empty_windows_and_bad_arguments():
    assert dither.dither_phases(1, 0, 5, 4).shape == (0, 5, 4)
    for arguments in ((-1, 1, 1, 1), (2**32, 1, 1, 1), (0, -1, 1, 1)):
        with pytest.raises(RdcError):
            dither.dither_phases(*arguments)
    with pytest.raises(RdcError):
        dither.dither_phases(0, 1, 1, 1, col0=2**32)
