"""What the integer tables say that symbols cost: the bound that coded sizes are compared with."""

import numpy as np

from rdc_jax.entropy.tables import (
    PRECISION,
    TableBank,
    escape_distance,
    fold_symbols,
    table_number,
)


def table_bits(bank: TableBank, symbols, scale_index, phase) -> np.ndarray:
    """Code length under the integer counts, escape codes included, float64 bits per symbol."""
    scale_index, phase = np.asarray(scale_index), np.asarray(phase)
    number = table_number(scale_index, phase)
    folded = fold_symbols(np.asarray(symbols, np.int64), phase)
    lowest = bank.lowest[number].astype(np.int64)
    escape = bank.sizes[number].astype(np.int64) - 1
    place = folded - lowest
    escaped = (place < 0) | (place >= escape)
    place = np.where(escaped, escape, place)
    bits = PRECISION - np.log2(bank.counts[bank.offsets[number] + place].astype(np.float64))
    distance = np.where(escaped, escape_distance(folded, lowest, lowest + escape - 1), 0)
    golomb = 2 + 2 * (np.frexp((distance + 1).astype(np.float64))[1] - 1)
    return bits + np.where(escaped, golomb, 0)
