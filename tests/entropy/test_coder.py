"""The symbol coder: exact counts, a second decoder, sizes, escapes, damaged bytes."""

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdc_jax.entropy import coder, tables
from rdc_jax.errors import RdcError
from tests.entropy.code_lengths import table_bits


def sample(rng, size, scales=(0, 80)):
    """(symbols drawn from the model, scale_index, phase)."""
    scale_index = rng.integers(*scales, size).astype(np.uint8)
    phase = rng.integers(0, 32, size).astype(np.uint8)
    spread = rng.normal(size=size) * tables.relative_scale(scale_index)
    return np.rint(spread - tables.phase_dither(phase)).astype(np.int32), scale_index, phase


def encode(bank, *passes):
    encoder = coder.SymbolEncoder(bank)
    for symbols, scale_index, phase in passes:
        encoder.encode(symbols, scale_index, phase)
    return encoder.finish()


def reference_decode(bank, data, scale_index, phase):
    """Decodes one pass and the end mark symbol by symbol, as docs/bitstream.md describes it."""
    words = iter(np.frombuffer(data + bytes(-len(data) % 4), ">u4").tolist())
    lower, extent = 0, 2**64 - 1
    point = (next(words, 0) << 32) | next(words, 0)

    def decode(cumulative):
        nonlocal lower, extent, point
        scale = extent >> 24
        quantile = ((point - lower) % 2**64) // scale
        place = int(np.searchsorted(cumulative, quantile, side="right")) - 1
        lower = (lower + scale * int(cumulative[place])) % 2**64
        extent = scale * int(cumulative[place + 1] - cumulative[place])
        if extent < 2**32:
            extent <<= 32
            lower = (lower << 32) % 2**64
            point = ((point << 32) % 2**64) | next(words, 0)
        return place

    def bit():
        return decode([0, 2**23, 2**24])

    symbols, escaped = {}, []
    order = sorted(range(len(phase)), key=lambda i: (scale_index[i], min(phase[i], 31 - phase[i])))
    for i in order:
        number = 16 * int(scale_index[i]) + min(int(phase[i]), 31 - int(phase[i]))
        lowest, counts = bank.table(number)
        place = decode(256 * np.cumsum([0, *counts.tolist()]))
        symbols[i] = lowest + place
        if place == counts.size - 1:
            escaped.append((i, lowest, lowest + counts.size - 2))
    below = [bit() for _ in escaped]
    exponent = [0] * len(escaped)
    still_open = list(range(len(escaped)))
    for _ in range(20):
        still_open = [e for e in still_open if bit()]
        for e in still_open:
            exponent[e] += 1
    number = [1 << e for e in exponent]
    for step in range(20):
        for e in range(len(escaped)):
            if exponent[e] > step:
                number[e] += bit() << step
    for e, (i, lowest, highest) in enumerate(escaped):
        symbols[i] = lowest - number[e] if below[e] else highest + number[e]
    for i in order:
        if phase[i] >= 16:
            symbols[i] = -symbols[i]
    mark = decode(np.arange(257) << 16)
    return [symbols[i] for i in range(len(phase))], mark


def test_constriction_documentation_vector():
    model = constriction.stream.model.Categorical(np.array([0.1, 0.6, 0.3]), perfect=False)
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(np.array([0, 2, 1, 2, 0, 2, 0, 2, 1], np.int32), model)
    assert encoder.get_compressed().tolist() == [369323576]


def test_the_fixed_point_model_has_exactly_our_counts(bank):
    scale = (2**64 - 1) >> 24
    for number in range(0, tables.NUM_TABLES, 3):
        model = coder._model(bank, number)
        cumulative = 0
        for place, count in enumerate(bank.table(number)[1].tolist()):
            encoder = constriction.stream.queue.RangeEncoder()
            encoder.encode(place, model)
            assert encoder.pos() == (0, (scale * 256 * cumulative, scale * 256 * count))
            cumulative += count


def test_round_trip_of_several_passes(bank, rng):
    passes = [sample(rng, n) for n in (1000, 1, 0, 517)]
    data = encode(bank, *passes)
    assert data == encode(bank, *passes)
    decoder = coder.SymbolDecoder(bank, data)
    for symbols, scale_index, phase in passes:
        got = decoder.decode(scale_index, phase)
        assert got.dtype == np.int32
        np.testing.assert_array_equal(got, symbols)
    decoder.finish()


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-3, 3), st.integers(-(2**20) + 1, 2**20 - 1)),
            st.integers(0, 79),
            st.integers(0, 31),
        ),
        max_size=40,
    )
)
def test_any_symbols_round_trip_and_agree_with_the_second_decoder(bank, items):
    symbols = np.array([i[0] for i in items], np.int32)
    scale_index = np.array([i[1] for i in items], np.uint8)
    phase = np.array([i[2] for i in items], np.uint8)
    data = encode(bank, (symbols, scale_index, phase))
    decoder = coder.SymbolDecoder(bank, data)
    np.testing.assert_array_equal(decoder.decode(scale_index, phase), symbols)
    decoder.finish()
    reference, mark = reference_decode(bank, data, scale_index.tolist(), phase.tolist())
    assert reference == symbols.tolist() and mark == coder.END_MARK
    ideal = table_bits(bank, symbols, scale_index, phase).sum() / 8
    assert len(data) <= 1.002 * ideal + 8


@pytest.mark.parametrize("scales", [(0, 1), (0, 20), (20, 45), (0, 80), (79, 80)])
def test_size_against_the_bounds(bank, rng, scales):
    symbols, scale_index, phase = sample(rng, 60_000, scales)
    data = encode(bank, (symbols, scale_index, phase))
    table = table_bits(bank, symbols, scale_index, phase).sum() / 8
    ideal = tables.ideal_bits(symbols, scale_index, phase).sum() / 8
    assert table - 1 <= len(data) <= 1.002 * table + 8
    assert table <= 1.003 * ideal + 1


def test_golden_bytes(bank):
    symbols = np.array([0, 1, -1, 2, -2, 5, 0, 0, 300, -70000], np.int32)
    scale_index = np.array([0, 36, 42, 42, 48, 60, 79, 5, 10, 50], np.uint8)
    phase = np.array([3, 0, 31, 16, 15, 20, 7, 30, 1, 17], np.uint8)
    data = encode(bank, (symbols, scale_index, phase))
    assert data.hex() == "ffe5c0877c54179ae3727bf94ce559"
    nothing = np.zeros(0, np.uint8)
    assert encode(bank, (np.zeros(0, np.int32), nothing, nothing)).hex() == "a5"


def test_trimmed_ends_decode(bank, rng):
    for size in range(200):
        symbols, scale_index, phase = sample(rng, size % 23)
        data = encode(bank, (symbols, scale_index, phase))
        assert data[-1] != 0
        decoder = coder.SymbolDecoder(bank, data)
        np.testing.assert_array_equal(decoder.decode(scale_index, phase), symbols)
        decoder.finish()


def test_a_panic_of_the_compiled_coder_is_one_line(bank):
    class Panicking:
        def decode(self, *_):
            raise BaseException("panicked at 'index out of bounds'\nnote: run with backtrace")

    decoder = coder.SymbolDecoder(bank, b"")
    decoder._coder = Panicking()
    with pytest.raises(RdcError) as caught:
        decoder.decode(np.zeros(1, np.uint8), np.zeros(1, np.uint8))
    assert "\n" not in str(caught.value)


def test_other_conditions_are_noticed(bank, rng):
    unnoticed = 0
    for _ in range(50):
        symbols, scale_index, phase = sample(rng, 200, (10, 60))
        data = encode(bank, (symbols, scale_index, phase))
        decoder = coder.SymbolDecoder(bank, data)
        try:
            scale_index[0] += 1
            decoder.decode(scale_index, phase)
            decoder.finish()
            unnoticed += 1
        except RdcError:
            pass
    assert unnoticed <= 3


def test_damaged_bytes_never_crash(bank, rng):
    symbols, scale_index, phase = sample(rng, 400)
    data = encode(bank, (symbols, scale_index, phase))
    cases = [data[:n] for n in range(0, len(data), 7)]
    cases += [rng.bytes(len(data)) for _ in range(60)]
    cases += [b"\xff" * len(data), b"\0" * len(data), b"", data + b"\0", data + b"12345678"]
    for place in rng.integers(0, len(data), 60):
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        cases.append(bytes(changed))
    refused = 0
    for case in cases:
        decoder = coder.SymbolDecoder(bank, case)
        try:
            got = decoder.decode(scale_index, phase)
            assert got.shape == symbols.shape and np.abs(got).max() < 2**20
            decoder.finish()
        except RdcError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 0.9 * len(cases)


@pytest.mark.parametrize("seed", [1104, 4116, 6507, 15828, 36816, 58838])
def test_a_code_in_the_gap_of_the_interval_is_valid(bank, seed):
    """constriction could decode no further bit after such a stream, one in a few thousand."""
    symbols, scale_index, phase = sample(np.random.default_rng(seed), 6)
    decoder = coder.SymbolDecoder(bank, encode(bank, (symbols, scale_index, phase)))
    np.testing.assert_array_equal(decoder.decode(scale_index, phase), symbols)
    decoder.finish()


def test_streams_of_any_kind_end_well(bank):
    for seed in range(3000):
        symbols, scale_index, phase = sample(np.random.default_rng(seed), 1 + seed % 7)
        decoder = coder.SymbolDecoder(bank, encode(bank, (symbols, scale_index, phase)))
        np.testing.assert_array_equal(decoder.decode(scale_index, phase), symbols)
        decoder.finish()


def test_surplus_bytes_are_noticed(bank, rng):
    symbols, scale_index, phase = sample(rng, 100)
    data = encode(bank, (symbols, scale_index, phase))
    for surplus in (b"\0", b"123456789"):
        decoder = coder.SymbolDecoder(bank, data + surplus)
        with pytest.raises(RdcError):
            decoder.decode(scale_index, phase)
            decoder.finish()


@pytest.mark.parametrize("seed", [11, 19, 40, 71, 89])
def test_a_surplus_word_is_noticed(bank, seed):
    """Where constriction's own test for the end takes it for a part of the stream."""
    symbols, scale_index, phase = sample(np.random.default_rng(seed), 1 + seed % 30)
    data = encode(bank, (symbols, scale_index, phase))
    padded = data + bytes(-len(data) % 4)
    decoder = coder.SymbolDecoder(bank, padded + bytes(4) + b"\1\1\1\1")
    np.testing.assert_array_equal(decoder.decode(scale_index, phase), symbols)
    with pytest.raises(RdcError, match="unread bytes"):
        decoder.finish()


def test_bad_arguments_are_refused(bank):
    encoder, zero = coder.SymbolEncoder(bank), np.zeros(1, np.uint8)
    for symbols, scale_index, phase in (
        (np.zeros(1, np.int64), zero, zero),
        (np.zeros(2, np.int32), zero, zero),
        (np.zeros(1, np.int32), zero + np.uint8(80), zero),
        (np.zeros(1, np.int32), zero, zero + np.uint8(32)),
        (np.zeros(1, np.int32), zero.astype(np.int32), zero),
        (np.full(1, 2**20, np.int32), zero, zero),
        (np.full(1, -(2**31), np.int32), zero, zero),
    ):
        with pytest.raises(RdcError):
            encoder.encode(symbols, scale_index, phase)
