"""How much of the detail that a decoder adds is one pattern that repeats every 8 pixels.

A generative decoder can lower a perceptual distance with a fixed 8 x 8 pattern of dots, because the
latent has a pixel every 8 pixels and the networks that measure have such strides too. Metrics
computed by such networks do not show the pattern; this metric shows nothing else.

    d = luma of the realistic image - luma of the faithful image
    cut d into windows of 64 x 64 pixels, subtract each window's mean
    share = energy of d at the frequencies (i/8, j/8) cycles per pixel / energy of d

with i, j in 0..7 and (i, j) not (0, 0), summed over all windows. These are 63 of the 4095
frequencies of a window, so noise without a pattern has a share of 1/65, about 1.5 %. A pattern may
be strong in one part of the image and weak in another, as long as it changes little over 64 pixels.
NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.distortion import LUMA_WEIGHTS, checked_pair

PERIOD = 8  # pixels
WINDOW = 64  # pixels, a multiple of the period
CHANCE = (PERIOD**2 - 1) / (WINDOW**2 - 1)  # share of white noise


class Energy(NamedTuple):
    """Sums of squares of 8-bit levels over the windows of an image."""

    on_grid: float  # at the harmonics of the 8 x 8 pattern
    total: float  # at all frequencies but 0


def added_energy(faithful: np.ndarray, realistic: np.ndarray) -> Energy:
    """The energy that a realistic decode adds to the faithful one of the same file.

    Windows start at the top left corner; rows and columns that fill no window are ignored.

    Args:
        faithful: uint8 [H,W,3], at least 64 pixels on each side.
        realistic: uint8, the same shape.

    Raises:
        RdcError: The images are not uint8 [H,W,3], differ in shape or are too small.
    """
    faithful, realistic = checked_pair(faithful, realistic)
    height, width, channels = faithful.shape
    if channels != 3 or min(height, width) < WINDOW:
        raise RdcError(
            f"the added pattern needs images [H,W,3] of {WINDOW} pixels or more on each side, "
            f"not {faithful.shape}"
        )
    return energy((realistic - faithful) @ LUMA_WEIGHTS)


def energy(difference: np.ndarray) -> Energy:
    """The energy of a difference of two lumas, float [H,W] with sides of 64 or more.

    By Parseval's theorem, the energy at the harmonics is that of the mean of the 64 blocks of 8 x 8
    pixels in a window.
    """
    rows, columns = (side // WINDOW for side in difference.shape)
    windows = difference[: rows * WINDOW, : columns * WINDOW].astype(np.float64)
    blocks = WINDOW // PERIOD
    windows = windows.reshape(rows, blocks, PERIOD, columns, blocks, PERIOD)
    windows = windows - windows.mean(axis=(1, 2, 4, 5), keepdims=True)
    repeated = windows.mean(axis=(1, 4))
    return Energy(float(blocks**2 * np.sum(repeated**2)), float(np.sum(windows**2)))


def share(energies: Iterable[Energy]) -> float:
    """Energy at the harmonics divided by all energy, over several images; 0 for no energy."""
    energies = list(energies)
    total = sum(e.total for e in energies)
    return sum(e.on_grid for e in energies) / total if total else 0.0
