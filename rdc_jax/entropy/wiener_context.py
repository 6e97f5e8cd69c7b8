"""The context that later passes see: Wiener estimates of coded elements, in exact integers.

`latent_coding` describes the passes.
"""

import numpy as np

from rdc_jax.entropy import tables
from rdc_jax.entropy.integer_layers import FRACTION_BITS, ONE
from rdc_jax.entropy.integer_network import HYPER_DOWNSAMPLING


def continued(known: np.ndarray) -> np.ndarray:
    """Appends a row or column to a context int64 [h,w,C] on each side that is no multiple of 4.

    The new row repeats the last but one, whose pixels belong to the same passes. In training, zeros
    beyond the latent occur only where the cells of the hyper-latent end too. Inside a cell, the
    network would take a zero for a value and predict a wrong mean. For skipped elements, nothing
    corrects a wrong mean.
    """
    for axis in (0, 1):
        size = known.shape[axis]
        if size % HYPER_DOWNSAMPLING and size > 1:
            known = np.concatenate([known, known.take([size - 2], axis)], axis)
    return known


def interpolated_weight(shrink: np.ndarray, log2_ratio: np.ndarray) -> np.ndarray:
    """Returns the Wiener weight at log2(s / Delta), linear between scale indexes.

    Args:
        shrink: int64 [80], weights of the scale indexes, 16 fractional bits.
        log2_ratio: int64, log2(s / Delta), 10 fractional bits.

    Returns:
        int64 with the shape of `log2_ratio`, 16 fractional bits.
    """
    place = tables.SCALES_PER_OCTAVE * (log2_ratio - tables.MIN_LOG2_SCALE * ONE)
    place = np.clip(place, 0, (tables.NUM_SCALES - 1) * ONE)
    index = np.minimum(place >> FRACTION_BITS, tables.NUM_SCALES - 2)
    rise = (shrink[index + 1] - shrink[index]) * (place - index * ONE)
    return shrink[index] + (rise + ONE // 2 >> FRACTION_BITS)


def shrink_residual(residual: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Multiplies a residual by its Wiener weight: ((residual >> 12) weight + 2**19) >> 20.

    For weight 2**16 the result is (residual + 2**15) >> 16.

    Args:
        residual: int64, 26 fractional bits.
        weight: int64, 0..2**16.

    Returns:
        int64, 10 fractional bits.
    """
    # No overflow: steps are int32 and |64 k + 2 j - 31| < 2**26. So |residual| < 2**57, and the
    # product is at most 2**45 x 2**16 = 2**61.
    return ((residual >> 12) * weight + (1 << 19)) >> 20
