"""Colours for pixels that have none, from those around them: smooth ones, which cost few bits."""

import numpy as np
from PIL import Image


def filled(pixels: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """uint8 [H,W,3] with new colours where hidden, bool [H,W], is true, and the others as they are.

    Means of known colours over squares of 2, 4, 8, .. pixels, from the smallest square that has
    any; between the centres of squares they are interpolated. What is hidden has no influence.
    Raises ValueError if all is hidden.
    """
    if hidden.all():
        raise ValueError("all pixels are hidden: there is no colour to fill them with")
    levels = [(pixels, ~hidden)]
    while not levels[-1][1].all():
        levels.append(_halved(*levels[-1]))
    below = levels.pop()[0]
    for colours, known in reversed(levels):
        below = _doubled(below, *known.shape, colours.dtype)
        np.copyto(below, colours, where=known[..., None])
    return below


def _halved(colours: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of what is known in squares of 2 x 2, float32 [h,w,3], and whether anything is, [h,w].

    Not as uint8 with alpha, in which premultiplied colours of plain areas would change.
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


def _doubled(colours: np.ndarray, height: int, width: int, dtype: np.dtype) -> np.ndarray:
    """Twice as large, dtype [height,width,3], between the centres of squares bilinear."""
    box = (0, 0, width / 2, height / 2)
    result = np.empty((height, width, 3), dtype)
    for channel in range(3):
        plane = Image.fromarray(np.ascontiguousarray(colours[..., channel]))
        plane = np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR, box=box))
        result[..., channel] = plane if dtype == plane.dtype else np.rint(plane)
    return result
