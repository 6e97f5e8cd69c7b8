"""Takes the step out of the picture where two tiles of the entropy stage meet.

At the border of a tile the entropy model knows less, and where it sends nothing both sides guess:
in smooth dark parts a faint line shows. Only a small step that goes on along the border is taken
out, by as much as it stands out from its own scatter, so edges of the picture stay:

    step   d = difference across the border, less the mean of the differences just beside it
    smooth m = mean of d over 9 pixels along the border, v = its variance there
    sure   g = m^2 / (m^2 + 2 v) * max(0, 1 - (m / 16)^2)
    taken  s = mean over 9 pixels of g m, half from each side, fading over 8 pixels
"""

import numpy as np

from rdc_jax.bitstream.tile_index import Window

REACH = 8  # pixels to each side that change
ALONG = 9  # pixels of a mean
LARGEST = 16  # of 255; steps as large as this are the picture's
MARGIN = 24  # pixels around an area that decide its own: 2 ALONG + REACH and some


def smoothed(pixels: np.ndarray, window: Window, tile: int) -> np.ndarray:
    """Picture uint8 [h,w,3] of a window, without steps at multiples of `tile` pixels; in place.

    Right to the last bit for what lies MARGIN or more inside the window's edges, and at those edges
    that are the picture's.
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
    """uint8 of float32 [n,m,3] with the border between columns border - 1 and border."""
    left2, left, right, right2 = (part[:, border + i] for i in (-2, -1, 0, 1))
    step = right - left - (left - left2 + right2 - right) / 2
    mean = running_mean(step, ALONG)
    variance = np.maximum(running_mean(step**2, ALONG) - mean**2, 0)
    sure = mean**2 / (mean**2 + 2 * variance + 1e-3)
    taken = running_mean(mean * sure * np.maximum(0, 1 - (mean / LARGEST) ** 2), ALONG)
    place = np.arange(part.shape[1]) - border + 0.5  # pixels from the border
    fade = np.maximum(0, 1 - np.abs(place) / REACH) * np.where(place < 0, 0.5, -0.5)
    part = part + taken[:, None] * fade.astype(np.float32)[:, None]
    return np.rint(np.clip(part, 0, 255)).astype(np.uint8)


def running_mean(values: np.ndarray, count: int) -> np.ndarray:
    """Mean over `count` (odd) neighbours along a line of colours float32 [n,3], ends repeated."""
    padded = np.pad(values, ((count // 2, count // 2), (0, 0)), mode="edge")
    return np.mean(np.lib.stride_tricks.sliding_window_view(padded, count, axis=0), axis=-1)
