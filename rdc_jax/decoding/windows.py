"""Networks on pictures of any size through tiles of one fixed size.

XLA compiles anew for every shape, so networks only ever see square tiles of `tile` latent pixels.
Neighbouring tiles overlap and are cross-faded linearly; at the picture's edge a tile counts fully.
Pictures smaller than a tile are continued by their edge and cropped again. Results come row of
tiles by row of tiles, so that of a large picture no more than such a row is in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

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
    **how: Any,
) -> np.ndarray:
    """`tiled_rows` of arrays [h*input_scale, w*input_scale, ...], put together: float32
    [h*output_scale, w*output_scale, c]."""

    def bands(top, bottom, left, right):
        rows = slice(top * input_scale, bottom * input_scale)
        columns = slice(left * input_scale, right * input_scale)
        return [x[rows, columns] for x in inputs]

    size = tuple(n // input_scale for n in inputs[0].shape[:2])
    rows = tiled_rows(function, bands, size, input_scale=input_scale, **how)
    return assembled(rows, size[0] * how["output_scale"])


def assembled(parts: Iterable[np.ndarray], height: int) -> np.ndarray:
    """Rows [n,w,c] that follow each other as one array [height,w,c]."""
    whole, position = None, 0
    for part in parts:
        if whole is None:
            whole = np.empty((height, *part.shape[1:]), part.dtype)
        whole[position : position + len(part)] = part
        position += len(part)
    return whole


def tiled_rows(
    function: Callable[..., np.ndarray],
    bands: Callable[[int, int, int, int], Sequence[np.ndarray]],
    size: tuple[int, int],
    *,
    input_scale: int,
    output_scale: int,
    tile: int,
    overlap: int,
    area: tuple[int, int, int, int] | None = None,
    progress: str = "",
) -> Iterator[np.ndarray]:
    """function(*tiles) on overlapping tiles, blended, as rows float32 [n,w,c] from top to bottom.

    bands(top, bottom, left, right): the inputs' rows top..bottom - 1 and columns left..right - 1,
    arrays [(bottom - top) * input_scale, (right - left) * input_scale, ...]; asked for from top to
    bottom. size: (h, w) of the whole; it, `tile` and `overlap` count latent pixels. function maps
    tiles [tile*input_scale, ...] to [tile*output_scale, tile*output_scale, c].

    area: (top, bottom, left, right) of what is wanted, in output pixels; tiles without a part in it
    are left out. Tiles lie where they lie in the whole, so the result is that part of the whole, to
    the last bit. progress: name of a bar on standard error, shown on a terminal while there are
    many tiles to do; "" for none.
    """
    height, width = size
    all_rows, all_columns = (tile_starts(n, tile, overlap) for n in size)
    area = area or (0, height * output_scale, 0, width * output_scale)
    rows = _touching(all_rows, tile, output_scale, *area[:2])
    columns = _touching(all_columns, tile, output_scale, *area[2:])
    side, fade, left = tile * output_scale, overlap * output_scale, columns[0]
    shape = (side, (columns[-1] - left) * output_scale + side)
    hidden = not progress or len(rows) * len(columns) < MANY_TILES
    total, weight = None, np.zeros((*shape, 1), np.float32)
    bar = tqdm(
        total=len(rows) * len(columns), desc=progress, unit="tile", leave=False,
        disable=hidden or None,
    )  # fmt: skip
    with bar:
        for top, after in zip(rows, [*rows[1:], None], strict=True):
            inputs = bands(top, min(height, top + tile), left, min(width, columns[-1] + tile))
            inputs = [_pad_to(x, tile * input_scale) for x in inputs]
            down = crossfade(side, fade, top == all_rows[0], top == all_rows[-1])
            for column in columns:
                across = crossfade(side, fade, column == all_columns[0], column == all_columns[-1])
                begin = (column - left) * input_scale
                where = slice(begin, begin + tile * input_scale)
                result = np.asarray(function(*(x[: tile * input_scale, where] for x in inputs)))
                if total is None:
                    total = np.zeros((*shape, result.shape[-1]), np.float32)
                share = (down[:, None] * across[None, :])[..., None]
                begin = (column - left) * output_scale
                total[:, begin : begin + side] += share * result
                weight[:, begin : begin + side] += share
                bar.update()
            # Rows that no later tile has a part in are done; the others move up.
            done = side if after is None else (after - top) * output_scale
            first, last = (min(max(edge - top * output_scale, 0), done) for edge in area[:2])
            of_area = slice(*(edge - left * output_scale for edge in area[2:]))
            if first < last:
                yield total[first:last, of_area] / weight[first:last, of_area]
            for sums in (total, weight):
                sums[: side - done] = sums[done:]
                sums[side - done :] = 0


def _touching(starts: list[int], tile: int, scale: int, begin: int, end: int) -> list[int]:
    """Those tiles that have a part in begin..end - 1, in output pixels."""
    return [start for start in starts if start * scale < end and (start + tile) * scale > begin]


def _pad_to(x: np.ndarray, side: int) -> np.ndarray:
    missing = [(0, max(0, side - n)) for n in x.shape[:2]] + [(0, 0)] * (x.ndim - 2)
    return np.pad(x, missing, mode="edge") if any(m[1] for m in missing) else x
