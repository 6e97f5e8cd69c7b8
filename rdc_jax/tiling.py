"""Networks on pictures of any size through tiles of one fixed size.

XLA compiles anew for every shape, so networks only ever see square tiles of `tile` latent pixels.
Neighbouring tiles overlap and are cross-faded linearly; at the picture's edge a tile counts fully.
Pictures smaller than a tile are continued by their edge and cropped again.
"""

from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

TILE_PIXELS = 320  # side of the networks' tiles, in picture pixels
OVERLAP_PIXELS = 64
MANY_TILES = 16


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """First positions of the tiles that cover `length`, evenly spread, overlapping >= overlap."""
    if length <= tile:
        return [0]
    count = 1 + -(-(length - tile) // (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def crossfade(tile: int, overlap: int, at_start: bool, at_end: bool) -> np.ndarray:
    """Weights along one side of a tile, float32 [tile]; 1 towards an edge of the picture."""
    distance = (np.arange(tile, dtype=np.float32) + 0.5) / max(overlap, 1)
    rise = np.ones(tile, np.float32) if at_start else np.minimum(1.0, distance)
    fall = np.ones(tile, np.float32) if at_end else np.minimum(1.0, distance[::-1])
    return rise * fall


def apply_tiled(
    function: Callable[..., np.ndarray],
    inputs: Sequence[np.ndarray],
    *,
    input_scale: int,
    output_scale: int,
    tile: int,
    overlap: int,
    progress: str = "",
) -> np.ndarray:
    """function(*tiles) on overlapping tiles of the inputs, blended: float32 [h*out, w*out, c].

    inputs: arrays [h*input_scale, w*input_scale, ...] of one size; h and w, `tile` and `overlap`
    count latent pixels. function maps tiles [tile*input_scale, ...] to
    [tile*output_scale, tile*output_scale, c]. progress: name of a bar on standard error, shown
    on a terminal while there are many tiles to do; "" for none.
    """
    height, width = (n // input_scale for n in inputs[0].shape[:2])
    rows, columns = tile_starts(height, tile, overlap), tile_starts(width, tile, overlap)
    side, fade = tile * output_scale, overlap * output_scale
    total = None
    shape = (max(height, tile) * output_scale, max(width, tile) * output_scale)
    weight = np.zeros((*shape, 1), np.float32)
    padded = [_pad_to(x, tile * input_scale) for x in inputs]
    corners = [(top, left) for top in rows for left in columns]
    hidden = not progress or len(corners) < MANY_TILES
    bar = tqdm(corners, progress, unit="tile", leave=False, disable=hidden or None)
    for top, left in bar:
        down = crossfade(side, fade, top == rows[0], top == rows[-1])
        across = crossfade(side, fade, left == columns[0], left == columns[-1])
        where = _window(top * input_scale, left * input_scale, tile * input_scale)
        result = np.asarray(function(*(x[where] for x in padded)))
        if len(corners) == 1:
            return result[: height * output_scale, : width * output_scale]
        if total is None:
            total = np.zeros((*shape, result.shape[-1]), np.float32)
        share = (down[:, None] * across[None, :])[..., None]
        target = _window(top * output_scale, left * output_scale, side)
        total[target] += share * result
        weight[target] += share
    return (total / weight)[: height * output_scale, : width * output_scale]


def _window(top: int, left: int, side: int) -> tuple[slice, slice]:
    return slice(top, top + side), slice(left, left + side)


def _pad_to(x: np.ndarray, side: int) -> np.ndarray:
    missing = [(0, max(0, side - n)) for n in x.shape[:2]] + [(0, 0)] * (x.ndim - 2)
    return np.pad(x, missing, mode="edge") if any(m[1] for m in missing) else x
