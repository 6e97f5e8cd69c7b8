"""Error of the mean colour of areas, for example when skin turns pink or a wall turns green.

A perceptual network hardly notices a shift of a few levels over a large area, and in PSNR the error
of texture hides it. NumPy only.
"""

from __future__ import annotations

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.distortion import LUMA_WEIGHTS, checked_pair

AREA = 32  # pixels

# RGB to Y, Cb, Cr of BT.601 in full range, as in JPEG, without the constant 128.
TO_YCBCR = np.stack(
    [
        LUMA_WEIGHTS,
        (np.array([0.0, 0.0, 1.0]) - LUMA_WEIGHTS) / 1.772,
        (np.array([1.0, 0.0, 0.0]) - LUMA_WEIGHTS) / 1.402,
    ],
    axis=1,
)


def colour_error(reference: np.ndarray, decoded: np.ndarray) -> float:
    """Mean absolute error, in 8-bit levels, of the means of Y, Cb and Cr over areas of 32 x 32.

    Areas start at the top left corner; rows and columns that fill no area are ignored. The mean is
    over areas and the three components.

    Args:
        reference: uint8 [H,W,3], at least 32 pixels on each side.
        decoded: uint8, the same shape.

    Raises:
        RdcError: The images are not uint8 [H,W,3], differ in shape or are too small.
    """
    reference, decoded = checked_pair(reference, decoded)
    height, width, channels = reference.shape
    if channels != 3 or min(height, width) < AREA:
        raise RdcError(
            f"the colour error needs images [H,W,3] of {AREA} pixels or more on each side, not "
            f"{reference.shape}"
        )
    rows, columns = height // AREA, width // AREA
    difference = (decoded - reference)[: rows * AREA, : columns * AREA]
    means = difference.reshape(rows, AREA, columns, AREA, 3).mean(axis=(1, 3))
    return float(np.mean(np.abs(means @ TO_YCBCR)))
