"""Bank of integer probability tables, one for each scale index and dither phase.

A symbol k is the residual of a Gaussian with standard deviation s, quantised with step Delta and
dither (Ziv 1985). With r = s / Delta and dither d in [-1/2, 1/2),

    P(k | r, d) = Phi((k + d + 1/2) / r) - Phi((k + d - 1/2) / r),     Phi unit Gaussian CDF

r is one of 80 log-spaced values, and d belongs to one of 32 phases. P(k | r, d) = P(-k | r, -d) and
d_{31-j} = -d_j, so only phases 0..15 are stored: table number = 16 * scale_index + min(phase, 31 -
phase). docs/bitstream.md specifies the stored layout.

The bank is built once, when a model is exported, and stored with the weights. It is never rebuilt
when a model is loaded.
"""

import dataclasses
import functools
import hashlib
import heapq

import numpy as np
from numpy.typing import ArrayLike

from rdc_jax.errors import RdcError

NUM_SCALES = 80
SCALES_PER_OCTAVE = 6
MIN_LOG2_SCALE = -7
NUM_PHASES = 32
PRECISION = 16
NUM_TABLES = NUM_SCALES * NUM_PHASES // 2
MAX_ABS_SYMBOL = 2**20 - 1

_TOTAL = 1 << PRECISION
_MAX_TABLE_REACH = 1023
_HASH_TAG = b"rdc table bank 1"
_LAYOUT = {"lowest": np.int16, "offsets": np.int32, "counts": np.uint16}


@dataclasses.dataclass(frozen=True, eq=False)
class TableBank:
    """Integer probability tables.

    Table n has size = offsets[n + 1] - offsets[n] entries. It covers the symbols lowest[n] ..
    lowest[n] + size - 2 and an escape symbol, which comes last. Its counts are
    counts[offsets[n]:offsets[n + 1]]. Each count is at least 1, and their sum is exactly 2**16.

    Attributes:
        lowest: int16 [1280], read-only.
        offsets: int32 [1281], read-only.
        counts: uint16 [offsets[1280]], read-only.
    """

    lowest: np.ndarray
    offsets: np.ndarray
    counts: np.ndarray

    def table(self, number: int) -> tuple[int, np.ndarray]:
        """Returns the lowest symbol and the counts, uint16 [size], of table 0..1279."""
        begin, end = self.offsets[number : number + 2]
        return int(self.lowest[number]), self.counts[begin:end]

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """Number of symbols of each table, the escape symbol included, int32 [1280]."""
        return np.diff(self.offsets)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns the three arrays that are stored with the weights."""
        return {name: getattr(self, name) for name in _LAYOUT}

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> "TableBank":
        """Inverse of `to_arrays`. Raises RdcError for anything but a complete bank."""
        if set(arrays) != set(_LAYOUT):
            raise _damaged(f"arrays {sorted(arrays)} instead of {sorted(_LAYOUT)}")
        checked = {}
        for name, dtype in _LAYOUT.items():
            array = np.asarray(arrays[name])
            if array.dtype != dtype or array.ndim != 1:
                raise _damaged(f"{name} is {array.dtype} of rank {array.ndim}")
            checked[name] = array.copy()
            checked[name].setflags(write=False)
        lowest, offsets, counts = checked["lowest"], checked["offsets"], checked["counts"]
        if lowest.size != NUM_TABLES or offsets.size != NUM_TABLES + 1:
            raise _damaged(f"{lowest.size} tables instead of {NUM_TABLES}")
        sizes = np.diff(offsets.astype(np.int64))
        if offsets[0] != 0 or offsets[-1] != counts.size or sizes.min() < 2:
            raise _damaged("offsets do not partition the counts")
        highest = lowest + sizes - 2
        if lowest.min() < -_MAX_TABLE_REACH or highest.max() > _MAX_TABLE_REACH:
            raise _damaged(f"a table reaches beyond +-{_MAX_TABLE_REACH}")
        totals = np.add.reduceat(counts, offsets[:-1], dtype=np.int64)
        if counts.min() < 1 or np.any(totals != _TOTAL):
            raise _damaged(f"the counts of a table do not sum to {_TOTAL}")
        return TableBank(lowest, offsets, counts)

    def sha256(self) -> str:
        """Returns the SHA-256 of a tag and the little-endian bytes of lowest, offsets, counts."""
        digest = hashlib.sha256(_HASH_TAG)
        for name, dtype in _LAYOUT.items():
            digest.update(getattr(self, name).astype(np.dtype(dtype).newbyteorder("<")).tobytes())
        return digest.hexdigest()


def _damaged(what: str) -> RdcError:
    return RdcError(f"probability tables are damaged ({what}): install the model's weights again")


def relative_scale(scale_index: ArrayLike) -> np.ndarray:
    """Returns r = s / Delta, float64, of scale indexes in 0..79."""
    return np.exp2(MIN_LOG2_SCALE + np.asarray(scale_index, np.float64) / SCALES_PER_OCTAVE)


def phase_dither(phase: ArrayLike) -> np.ndarray:
    """Returns the exact dither d in (-1/2, 1/2), float64, of phases in 0..31."""
    return (2 * np.asarray(phase, np.float64) + 1) / (2 * NUM_PHASES) - 0.5


def scale_index_from_log2(log2_ratio_fixed: ArrayLike, fraction_bits: int) -> np.ndarray:
    """Returns the scale index of x = log2(s / Delta), computed in integers.

    The index is clip(floor(6 * (x + 7) + 1/2), 0, 79), so halves round up.

    Args:
        log2_ratio_fixed: integer array, x * 2**fraction_bits.
        fraction_bits: 0..50.

    Returns:
        uint8 with the shape of `log2_ratio_fixed`.

    Raises:
        RdcError: the array is not of integers, or fraction_bits is out of range.
    """
    if not 0 <= fraction_bits <= 50:
        raise RdcError(f"fraction_bits is {fraction_bits}: choose 0..50")
    fixed = np.asarray(log2_ratio_fixed)
    if not np.issubdtype(fixed.dtype, np.integer):
        raise RdcError(f"log2 ratios are {fixed.dtype}: pass fixed-point integers")
    bound = 64 << fraction_bits
    fixed = np.clip(fixed.astype(np.int64), -bound, bound)
    doubled = 2 * SCALES_PER_OCTAVE * (fixed - (MIN_LOG2_SCALE << fraction_bits))
    index = (doubled + (1 << fraction_bits)) >> (fraction_bits + 1)
    return np.clip(index, 0, NUM_SCALES - 1).astype(np.uint8)


def table_number(scale_index: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Returns the table number, 16 * scale_index + min(phase, 31 - phase), uint16."""
    folded = np.minimum(phase, NUM_PHASES - 1 - phase).astype(np.uint16)
    return scale_index.astype(np.uint16) * np.uint16(NUM_PHASES // 2) + folded


def fold_symbols(symbols: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Mirrors symbols whose phase is not stored: -k if phase >= 16. It is its own inverse."""
    return np.where(phase >= NUM_PHASES // 2, -symbols, symbols)


def escape_distance(folded: np.ndarray, lowest: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """Returns the distance of escaped symbols from the end of their table, minus one, int64.

    Args:
        folded: Symbols from `fold_symbols`.
        lowest: Lowest symbol of each symbol's table.
        highest: Highest symbol of each symbol's table.
    """
    return np.where(folded > highest, folded - highest, lowest - folded).astype(np.int64) - 1


def ideal_bits(symbols: ArrayLike, scale_index: ArrayLike, phase: ArrayLike) -> np.ndarray:
    """Returns the code length -log2 P(k | i, j) under the continuous model, finite in the tails.

    Args:
        symbols: integers k.
        scale_index: 0..79, with the shape of `symbols`.
        phase: 0..31, with the shape of `symbols`.

    Returns:
        float64, bits per symbol.
    """
    from scipy.special import log_ndtr

    centre = np.abs(np.asarray(symbols, np.float64) + phase_dither(phase))
    scale = relative_scale(scale_index)
    log_upper = log_ndtr((0.5 - centre) / scale)
    log_lower = log_ndtr((-0.5 - centre) / scale)
    return -(log_upper + np.log1p(-np.exp(log_lower - log_upper))) / np.log(2)


def build_table_bank() -> TableBank:
    """Builds the bank from the formula of the module docstring, with floats and SciPy."""
    lowest, sizes, counts = [], [], []
    for scale in relative_scale(np.arange(NUM_SCALES)):
        for dither in phase_dither(np.arange(NUM_PHASES // 2)):
            low, table = _build_table(float(scale), float(dither))
            lowest.append(low)
            sizes.append(table.size)
            counts.append(table)
    return TableBank.from_arrays(
        {
            "lowest": np.array(lowest, np.int16),
            "offsets": np.cumsum([0, *sizes]).astype(np.int32),
            "counts": np.concatenate(counts),
        }
    )


def _build_table(scale: float, dither: float) -> tuple[int, np.ndarray]:
    """Returns the lowest symbol and the counts of one table, uint16, the escape symbol last.

    The table has all symbols that are worth at least half a count.
    """
    from scipy.special import ndtr

    reach = int(np.ceil(6 * scale)) + 1
    symbols = np.arange(-reach, reach + 1)
    centre = np.abs(symbols + dither)
    probability = ndtr((0.5 - centre) / scale) - ndtr((-0.5 - centre) / scale)
    kept = np.flatnonzero(probability * _TOTAL >= 0.5)
    symbols, probability = symbols[kept], probability[kept]
    below = ndtr((symbols[0] + dither - 0.5) / scale)
    above = ndtr(-(symbols[-1] + dither + 0.5) / scale)
    return int(symbols[0]), _integer_counts(np.append(probability, below + above))


def _integer_counts(probability: np.ndarray) -> np.ndarray:
    """Rounds probabilities to counts, uint16, at least 1 each and with the sum 2**16.

    The counts start as floors. Then the count whose change saves most bits is changed by one,
    until the sum is right.
    """
    counts = np.maximum(np.floor(probability * _TOTAL), 1).astype(np.int64)
    missing = _TOTAL - int(counts.sum())
    step = 1 if missing > 0 else -1

    def cost(place: int) -> float:
        if counts[place] + step < 1:
            return np.inf
        return -probability[place] * np.log((counts[place] + step) / counts[place])

    heap = [(cost(place), place) for place in range(counts.size)]
    heapq.heapify(heap)
    for _ in range(abs(missing)):
        _, place = heap[0]
        counts[place] += step
        heapq.heapreplace(heap, (cost(place), place))
    return counts.astype(np.uint16)
