"""Fills damaged tiles with the colours around them.

For a damaged tile, the decoder only knows what the model expects of any image, which is mid-grey.
The tile keeps its texture and takes its colours from its four sides, each weighted by the inverse
square of the distance. Tiles are filled row by row: if a file ends early, each missing tile takes
its colours from the tile above.
"""

from collections.abc import Iterable

import numpy as np

from rdc_jax.bitstream.tile_index import Window
from rdc_jax.decoding.deblocking import running_mean
from rdc_jax.entropy.tiled_latent import DamagedTile

BESIDE = 16  # the colour of a side is the mean of so many pixels beside the tile
ALONG = 65  # length of the running mean along a side, in pixels


def filled(pixels: np.ndarray, window: Window, damaged: Iterable[DamagedTile]) -> np.ndarray:
    """Fills the damaged tiles of an image in, in place.

    A side does not count if it lies outside of the window, or in a tile that is still to be filled.
    A tile without any side that counts stays as it is.

    Args:
        pixels: uint8 [h,w,3], the part of the image in `window`.
        window: Where these pixels lie in the image.
        damaged: The damaged tiles.

    Returns:
        `pixels`.
    """
    places = [Window(t.y, t.y + t.height, t.x, t.x + t.width) for t in sorted(damaged)]
    waiting = np.zeros(pixels.shape[:2], bool)
    inside = [place.common(window) for place in places]
    inside = [w for w in inside if w.top < w.bottom and w.left < w.right]
    for place in inside:
        waiting[place.of(window)] = True
    for place in inside:
        rows, columns = place.of(window)
        waiting[rows, columns] = False
        colours = _from_sides(pixels, waiting, rows, columns)
        if colours is not None:
            part = pixels[rows, columns].astype(np.float32)
            part += colours - part.mean((0, 1))
            pixels[rows, columns] = np.rint(np.clip(part, 0, 255)).astype(np.uint8)
    return pixels


def _from_sides(
    pixels: np.ndarray, waiting: np.ndarray, rows: slice, columns: slice
) -> np.ndarray | None:
    """Colours float32 [n,m,3] of a rectangle, or None if no side counts."""
    height, width = rows.stop - rows.start, columns.stop - columns.start
    total, weights = np.zeros((height, width, 3), np.float32), np.zeros((height, width, 1))
    down, right = np.arange(height)[:, None, None], np.arange(width)[None, :, None]
    sides = (
        (slice(max(0, rows.start - BESIDE), rows.start), columns, 0, down),
        (slice(rows.stop, rows.stop + BESIDE), columns, 0, height - 1 - down),
        (rows, slice(max(0, columns.start - BESIDE), columns.start), 1, right),
        (rows, slice(columns.stop, columns.stop + BESIDE), 1, width - 1 - right),
    )
    for *where, axis, distance in sides:
        beside = pixels[tuple(where)]
        if beside.size and not waiting[tuple(where)].any():
            weight = 1.0 / (1.0 + distance) ** 2
            total += weight * np.expand_dims(running_mean(beside.mean(axis), ALONG), axis)
            weights = weights + weight
    return total / weights.astype(np.float32) if weights.all() else None
