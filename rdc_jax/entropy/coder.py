"""Range coding of symbols with the tables of a TableBank, vectorised by table.

The range coder is constriction's `RangeEncoder` (32-bit words, 64-bit state, 24-bit models;
Bamler, arXiv 2201.01741). constriction takes weights, scales S weights by (2**24 - S) / sum, and
adds 1 to each. For a table of counts n_s, this module passes the weights 256 n_s - 1. The factor is
then 1, and the model of constriction is exactly 256 n_s of 2**24. docs/bitstream.md specifies the
stream.
"""

import weakref
from typing import Any

import constriction
import numpy as np

from rdc_jax.entropy.tables import (
    MAX_ABS_SYMBOL,
    NUM_PHASES,
    NUM_SCALES,
    TableBank,
    escape_distance,
    fold_symbols,
    table_number,
)
from rdc_jax.errors import RdcError

END_MARK = 0xA5

_BIT = constriction.stream.model.Uniform(2)
_OCTET = constriction.stream.model.Uniform(256)
_MAX_EXPONENT = 20
_MODELS: "weakref.WeakKeyDictionary[TableBank, dict]" = weakref.WeakKeyDictionary()


class SymbolEncoder:
    """Codes symbols in one or more passes into one byte string.

    Usage: `encoder = SymbolEncoder(bank)`, `encoder.encode(...)` for each pass, and
    `data = encoder.finish()`.
    """

    def __init__(self, bank: TableBank):
        self._bank = bank
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, symbols: np.ndarray, scale_index: np.ndarray, phase: np.ndarray) -> None:
        """Appends one pass.

        Args:
            symbols: int32 [n], |k| < 2**20.
            scale_index: uint8 [n] in 0..79.
            phase: uint8 [n] in 0..31.

        Raises:
            RdcError: a dtype, a shape or a value is wrong.
        """
        _check_conditions(scale_index, phase)
        if symbols.dtype != np.int32 or symbols.shape != scale_index.shape:
            raise RdcError("symbols must be int32 and of one length with their scale indexes")
        if symbols.size and max(-int(symbols.min()), int(symbols.max())) > MAX_ABS_SYMBOL:
            raise RdcError(
                f"a symbol exceeds {MAX_ABS_SYMBOL}: the image or the weights hold values that"
                " are not finite, or the timestep is far too low"
            )
        order, numbers, ends = _group(scale_index, phase)
        number = table_number(scale_index, phase)[order]
        folded = fold_symbols(symbols, phase)[order]
        lowest = self._bank.lowest[number].astype(np.int32)
        escape = self._bank.sizes[number] - 1
        place = folded - lowest
        escaped = (place < 0) | (place >= escape)
        place = np.where(escaped, escape, place)
        begin = 0
        for table, end in zip(numbers, ends, strict=True):
            self._coder.encode(place[begin:end], _model(self._bank, table))
            begin = end
        if escaped.any():
            folded, lowest, escape = folded[escaped], lowest[escaped], escape[escaped]
            self._encode_escapes(folded, lowest, lowest + escape - 1)

    def _encode_escapes(self, folded: np.ndarray, lowest: np.ndarray, highest: np.ndarray) -> None:
        self._encode_bits(folded < lowest)
        number = escape_distance(folded, lowest, highest) + 1
        exponent = np.frexp(number.astype(np.float64))[1] - 1
        for step in range(_MAX_EXPONENT):
            open_codes = exponent[exponent >= step]
            if not open_codes.size:
                break
            self._encode_bits(open_codes > step)
        for step in range(_MAX_EXPONENT):
            self._encode_bits((number[exponent > step] >> step) & 1)

    def _encode_bits(self, bits: np.ndarray) -> None:
        if bits.size:
            self._coder.encode(bits.astype(np.int32), _BIT)

    def finish(self) -> bytes:
        """Codes the end mark and returns the shortest bytes that decode to all symbols."""
        self._coder.encode(END_MARK, _OCTET)
        num_words, (lower, extent) = self._coder.pos()
        words = self._coder.get_compressed()[:num_words]
        carried = lower + 2**32 - 1 >= 2**64
        prefix = int.from_bytes(words.astype(">u4").tobytes(), "big") - carried
        for zero_bits in (64, 56, 48, 40, 32):
            point = -(-lower >> zero_bits) << zero_bits
            if point < lower + extent:
                break
        code = (prefix << 64) + point
        del self._coder
        return code.to_bytes(4 * num_words + 8, "big").rstrip(b"\0")


class SymbolDecoder:
    """Inverse of SymbolEncoder: decodes the same passes in the same order, then `finish()`.

    Any bytes are accepted. Damaged bytes give wrong symbols (|k| < 2**20) or an RdcError.
    """

    def __init__(self, bank: TableBank, data: bytes):
        self._bank = bank
        padded = bytes(data) + bytes(-len(data) % 4)
        self._ends_in_zero = data[-1:] == b"\0"
        words = np.frombuffer(padded, ">u4").astype(np.uint32)
        self._num_words = words.size
        self._coder = constriction.stream.queue.RangeDecoder(words)
        # constriction's decoder does not tell how many words it has read. Its encoder does, so it
        # codes the same symbols again.
        self._shadow = constriction.stream.queue.RangeEncoder()

    def decode(self, scale_index: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Decodes one pass.

        Args:
            scale_index: uint8 [n] in 0..79.
            phase: uint8 [n] in 0..31.

        Returns:
            int32 [n], the symbols.

        Raises:
            RdcError: an argument is wrong, or the data are damaged.
        """
        _check_conditions(scale_index, phase)
        order, numbers, ends = _group(scale_index, phase)
        place = np.empty(order.size, np.int32)
        begin = 0
        for table, end in zip(numbers, ends, strict=True):
            place[begin:end] = self._decode(_model(self._bank, table), int(end - begin))
            begin = end
        number = table_number(scale_index, phase)[order]
        lowest = self._bank.lowest[number].astype(np.int32)
        escape = self._bank.sizes[number] - 1
        folded = place + lowest
        escaped = place == escape
        if escaped.any():
            lowest, escape = lowest[escaped], escape[escaped]
            folded[escaped] = self._decode_escapes(lowest, lowest + escape - 1)
        symbols = np.empty_like(folded)
        symbols[order] = folded
        return fold_symbols(symbols, phase)

    def _decode_escapes(self, lowest: np.ndarray, highest: np.ndarray) -> np.ndarray:
        below = self._decode_bits(lowest.size) == 1
        exponent = np.zeros(lowest.size, np.int64)
        still_open = np.arange(lowest.size)
        for _ in range(_MAX_EXPONENT):
            still_open = still_open[self._decode_bits(still_open.size) == 1]
            exponent[still_open] += 1
        number = np.int64(1) << exponent
        for step in range(_MAX_EXPONENT):
            longer = np.flatnonzero(exponent > step)
            number[longer] += self._decode_bits(longer.size).astype(np.int64) << step
        folded = np.where(below, lowest - number, highest + number)
        if np.abs(folded).max() > MAX_ABS_SYMBOL:
            raise _damaged("an escape code is out of range")
        return folded.astype(np.int32)

    def _decode_bits(self, amount: int) -> np.ndarray:
        return self._decode(_BIT, amount) if amount else np.zeros(0, np.int32)

    def _decode(self, model: Any, *amount: int) -> Any:
        try:
            symbols = self._coder.decode(model, *amount)
            self._shadow.encode(symbols, model)
            return symbols
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # panics of the compiled coder are BaseExceptions
            raise _damaged("the range coder left its interval") from error

    def finish(self) -> None:
        """Checks that the stream ends here: end mark, no zero byte last, nothing unread.

        Raises:
            RdcError: the stream does not end here.
        """
        if self._decode(_OCTET) != END_MARK:
            raise _damaged("no end mark after the last symbol")
        if self._ends_in_zero:
            raise _damaged("zero bytes at the end")
        read = 2 + self._shadow.pos()[0]  # two at the start, and one for each that was written
        if self._num_words > read:
            raise _damaged("unread bytes after the last symbol")


def _damaged(what: str) -> RdcError:
    return RdcError(
        f"coded symbols do not decode ({what}): the file is damaged or was made with other weights"
    )


def _check_conditions(scale_index: np.ndarray, phase: np.ndarray) -> None:
    limits = {"scale_index": NUM_SCALES, "phase": NUM_PHASES}
    for (name, limit), array in zip(limits.items(), (scale_index, phase), strict=True):
        if array.dtype != np.uint8 or array.ndim != 1 or array.size != scale_index.size:
            raise RdcError(f"{name} must be uint8 [n]: got {array.dtype} {array.shape}")
        if array.size and array.max() >= limit:
            raise RdcError(f"{name} holds {array.max()}: the tables have 0..{limit - 1}")


def _group(scale_index: np.ndarray, phase: np.ndarray) -> tuple[np.ndarray, list[int], list[int]]:
    """Sorts symbols by table: (order intp [n], ascending table numbers, end of each run)."""
    number = table_number(scale_index, phase)
    order = np.argsort(number, kind="stable")
    tally = np.bincount(number)
    used = np.flatnonzero(tally)
    return order, used.tolist(), np.cumsum(tally[used]).tolist()


def _model(bank: TableBank, number: int) -> Any:
    models = _MODELS.setdefault(bank, {})
    if number not in models:
        weights = 256.0 * bank.table(number)[1].astype(np.float64) - 1.0
        models[number] = constriction.stream.model.Categorical(weights, lazy=False, perfect=False)
    return models[number]
