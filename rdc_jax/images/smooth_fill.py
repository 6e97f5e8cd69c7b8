"""Smooth colours for hidden pixels, interpolated from the visible ones. They cost few bits."""

import numpy as np
from PIL import Image


def filled(pixels: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Replaces the colours of hidden pixels and keeps all others.

    A hidden pixel takes the mean of the visible colours in the smallest square of 2, 4, 8, ...
    pixels that has any. Between the centres of squares, colours are interpolated. The old colours
    of hidden pixels have no influence.

    Args:
        pixels: uint8 [H,W,3].
        hidden: bool [H,W].

    Returns:
        uint8 [H,W,3].

    Raises:
        ValueError: all pixels are hidden.
    """
    if hidden.all():
        raise ValueError("all pixels are hidden: there is no colour to fill them with")
    levels = [(pixels, ~hidden)]
    while not levels[-1][1].all():
        levels.append(_halved(*levels[-1]))
    below = levels.pop()[0]
    for colours, known in reversed(levels):
        below = _doubled(below, known.shape, colours.dtype)
        np.copyto(below, colours, where=known[..., None])
    return below


def _halved(colours: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Halves an image: means of known colours over 2 x 2 squares, and which squares have any.

    The means are float32 [h,w,3] and the flags bool [h,w]. Averaging uint8 with alpha would not do:
    premultiplication would change the colours of plain areas.
    """
    height, width = known.shape
    half = (height + 1) // 2, (width + 1) // 2
    sums, counts = np.zeros((*half, 3), np.float32), np.zeros((*half, 1), np.float32)
    for corner in np.ndindex(2, 2):
        share = known[corner[0] :: 2, corner[1] :: 2, None]
        there = np.s_[: share.shape[0], : share.shape[1]]
        sums[there] += colours[corner[0] :: 2, corner[1] :: 2] * share
        counts[there] += share
    return sums / np.maximum(counts, 1), counts[..., 0] > 0


def _doubled(colours: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Doubles an image to dtype [*shape,3], bilinear between the centres of squares."""
    height, width = shape
    box = (0, 0, width / 2, height / 2)
    result = np.empty((height, width, 3), dtype)
    for channel in range(3):
        small = Image.fromarray(np.ascontiguousarray(colours[..., channel]))
        plane = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR, box=box))
        result[..., channel] = plane if dtype == plane.dtype else np.rint(plane)
    return result
