"""Smooths the faint line that shows where two tiles meet.

At the border of a tile the entropy model knows less. Where it sends nothing, both sides are
guesses, and a faint line shows in smooth dark parts. Only a small step that continues along the
border is removed, and the more it stands out from its own scatter, the more of it is removed. So
edges of the image stay:

    step      d = difference across the border - mean of the differences just beside it
    mean      m = mean of d over 9 pixels along the border, v = variance of d there
    certainty g = m^2 / (m^2 + 2 v) * max(0, 1 - (m / 16)^2)
    removed   s = mean of g m over 9 pixels, half from each side, fading over 8 pixels
"""

import numpy as np

from rdc_jax.bitstream.tile_index import Window
from rdc_jax.entropy.tile_edges import running_mean

REACH = 8  # pixels that change on each side of a border
ALONG = 9  # length of a mean along the border, in pixels
LARGEST = 16  # of 255; steps as large as this belong to the image
MARGIN = 24  # pixels around an area that can influence it, generously: REACH + 2 (ALONG // 2)


def smoothed(pixels: np.ndarray, window: Window, tile: int) -> np.ndarray:
    """Removes the steps at multiples of `tile` pixels, in place.

    Pixels at least MARGIN inside of the window equal those of the whole image to the last bit, and
    so do pixels at an edge of the window that is an edge of the image.

    Args:
        pixels: uint8 [h,w,3], the part of the image in `window`.
        window: Where these pixels lie in the image.
        tile: Side of a tile in pixels.

    Returns:
        `pixels`.
    """
    for pixels_across, first in ((pixels, window.left), (pixels.swapaxes(0, 1), window.top)):
        width = pixels_across.shape[1]
        for border in range(tile - first % tile if first % tile else 0, width, tile):
            begin, end = max(0, border - REACH), min(width, border + REACH)
            if border - begin >= 2 and end - border >= 2:
                part = pixels_across[:, begin:end]
                part[...] = _without_step(part.astype(np.float32), border - begin)
    return pixels


def _without_step(part: np.ndarray, border: int) -> np.ndarray:
    """uint8 [n,m,3] of float32 [n,m,3], without the step between columns border - 1 and border."""
    left2, left, right, right2 = (part[:, border + i] for i in (-2, -1, 0, 1))
    step = right - left - (left - left2 + right2 - right) / 2
    mean = running_mean(step, ALONG)
    variance = np.maximum(running_mean(step**2, ALONG) - mean**2, 0)
    certainty = mean**2 / (mean**2 + 2 * variance + 1e-3)
    removed = running_mean(mean * certainty * np.maximum(0, 1 - (mean / LARGEST) ** 2), ALONG)
    place = np.arange(part.shape[1]) - border + 0.5  # pixels from the border
    fade = np.maximum(0, 1 - np.abs(place) / REACH) * np.where(place < 0, 0.5, -0.5)
    part = part + removed[:, None] * fade.astype(np.float32)[:, None]
    return np.rint(np.clip(part, 0, 255)).astype(np.uint8)
