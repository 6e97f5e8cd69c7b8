"""Networks on images of any size, through windows of one fixed size.

XLA compiles once per shape, so the networks only see square windows of `window` latent pixels.
Neighbouring windows overlap and are cross-faded linearly; at the edge of the image a window counts
fully. Images smaller than a window are extended by repeating their edge, and cropped afterwards.
Results are produced from top to bottom, one row of windows at a time, so only one such row of a
large image is in memory.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from rdc_jax.progress import ReportShare, nothing

WINDOW_PIXELS = 320  # side of a window, in image pixels
OVERLAP_PIXELS = 64

Bands = Callable[[int, int, int, int], Sequence[np.ndarray]]
"""(top, bottom, left, right) in latent pixels -> the networks' inputs there, arrays
[(bottom - top) * input_scale, (right - left) * input_scale, ...]."""


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """The first positions of as few windows as cover a length, evenly spread.

    Args:
        length: Length to cover.
        window: Side of a window.
        overlap: Least overlap of neighbouring windows.
    """
    if length <= window:
        return [0]
    count = 1 + -(-(length - window) // (window - overlap))
    return [round(i * (length - window) / (count - 1)) for i in range(count)]


def crossfade(window: int, overlap: int, at_start: bool, at_end: bool) -> np.ndarray:
    """Weights along one side of a window.

    Args:
        window: Side of the window.
        overlap: Length of the fade at each end.
        at_start: Whether the window starts at an edge of the image, where it counts fully.
        at_end: Whether the window ends at an edge of the image.

    Returns:
        float32 [window].
    """
    distance = (np.arange(window, dtype=np.float32) + 0.5) / max(overlap, 1)
    rise = np.ones(window, np.float32) if at_start else np.minimum(1.0, distance)
    fall = np.ones(window, np.float32) if at_end else np.minimum(1.0, distance[::-1])
    return rise * fall


def assembled(parts: Iterable[np.ndarray], height: int) -> np.ndarray:
    """Joins rows [n,w,c] that follow each other into one array [height,w,c]."""
    whole: np.ndarray | None = None
    position = 0
    for part in parts:
        if whole is None:
            whole = np.empty((height, *part.shape[1:]), part.dtype)
        whole[position : position + len(part)] = part
        position += len(part)
    assert whole is not None  # an image has at least one row
    return whole


def windowed_rows(
    function: Callable[..., np.ndarray],
    bands: Bands,
    size: tuple[int, int],
    *,
    input_scale: int,
    output_scale: int,
    window: int,
    overlap: int,
    area: tuple[int, int, int, int] | None = None,
    report: ReportShare = nothing,
) -> Iterator[np.ndarray]:
    """Runs a function on overlapping windows, and blends the results.

    Args:
        function: Maps windows [window * input_scale, window * input_scale, ...] to
            [window * output_scale, window * output_scale, c].
        bands: Gives the inputs of a row of windows; called from top to bottom.
        size: (h, w) of the whole, in latent pixels.
        input_scale: Input pixels per latent pixel along a side.
        output_scale: Output pixels per latent pixel along a side.
        window: Side of a window, in latent pixels.
        overlap: Least overlap of neighbouring windows, in latent pixels.
        area: (top, bottom, left, right) of the wanted part, in output pixels. Windows outside of
            it are left out. The others stay where they are, so the result equals that part of the
            whole to the last bit.
        report: Called after each window with the share of the windows that are done.

    Yields:
        Rows float32 [n,w,c] of the output, from top to bottom.
    """
    layout = _Layout.of(size, window, overlap, output_scale, area)
    count = len(layout.rows) * len(layout.columns)
    sums, finished = _Sums(layout), 0
    left, right = layout.columns[0], min(size[1], layout.columns[-1] + window)
    side = window * input_scale
    for top, after in zip(layout.rows, [*layout.rows[1:], None], strict=True):
        inputs = [_pad_to(x, side) for x in bands(top, min(size[0], top + window), left, right)]
        for column in layout.columns:
            begin = (column - left) * input_scale
            cut = [x[:side, begin : begin + side] for x in inputs]
            sums.add(np.asarray(function(*cut)), top, column)
            finished += 1
            report(finished / count)
        yield from sums.finished(top, after)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Where the windows lie: first rows and columns, in latent pixels.

    all_rows, all_columns: of all windows; rows, columns: of those with a part in `area`, which is
    (top, bottom, left, right) in output pixels. side, fade: of a window, in output pixels.
    """

    all_rows: list[int]
    all_columns: list[int]
    rows: list[int]
    columns: list[int]
    area: tuple[int, int, int, int]
    scale: int
    side: int
    fade: int

    @classmethod
    def of(
        cls,
        size: tuple[int, int],
        window: int,
        overlap: int,
        scale: int,
        area: tuple[int, int, int, int] | None,
    ) -> "_Layout":
        all_rows, all_columns = (window_starts(n, window, overlap) for n in size)
        area = area or (0, size[0] * scale, 0, size[1] * scale)
        rows = _touching(all_rows, window, scale, *area[:2])
        columns = _touching(all_columns, window, scale, *area[2:])
        side, fade = window * scale, overlap * scale
        return cls(all_rows, all_columns, rows, columns, area, scale, side, fade)

    def weights(self, row: int, column: int) -> np.ndarray:
        """Weights of the window at a row and column, float32 [side,side,1]."""
        fades = (
            crossfade(self.side, self.fade, place == places[0], place == places[-1])
            for place, places in ((row, self.all_rows), (column, self.all_columns))
        )
        down, across = fades
        return (down[:, None] * across[None, :])[..., None]


class _Sums:
    """Weighted sums of the windows of one row, and of what the row above left unfinished."""

    def __init__(self, layout: _Layout):
        self._layout = layout
        columns = layout.columns
        self._shape = layout.side, (columns[-1] - columns[0]) * layout.scale + layout.side
        self._total: np.ndarray | None = None
        self._weight = np.zeros((*self._shape, 1), np.float32)

    def add(self, result: np.ndarray, row: int, column: int) -> None:
        """Adds the result [side,side,c] of one window."""
        layout = self._layout
        if self._total is None:
            self._total = np.zeros((*self._shape, result.shape[-1]), np.float32)
        weights = layout.weights(row, column)
        begin = (column - layout.columns[0]) * layout.scale
        self._total[:, begin : begin + layout.side] += weights * result
        self._weight[:, begin : begin + layout.side] += weights

    def finished(self, row: int, after: int | None) -> Iterator[np.ndarray]:
        """Yields the wanted output rows that no later window has a part in; moves the others up.

        row: first row of the windows added last. after: that of the next ones, None at the end.
        """
        layout, total, weight = self._layout, self._total, self._weight
        assert total is not None  # `add` came first
        side, scale = layout.side, layout.scale
        done = side if after is None else (after - row) * scale
        first, last = (min(max(edge - row * scale, 0), done) for edge in layout.area[:2])
        across = slice(*(edge - layout.columns[0] * scale for edge in layout.area[2:]))
        if first < last:
            yield total[first:last, across] / weight[first:last, across]
        for sums in (total, weight):
            sums[: side - done] = sums[done:]
            sums[side - done :] = 0


def _touching(starts: list[int], window: int, scale: int, begin: int, end: int) -> list[int]:
    """The windows that have a part in begin..end - 1, in output pixels."""
    return [start for start in starts if start * scale < end and (start + window) * scale > begin]


def _pad_to(x: np.ndarray, side: int) -> np.ndarray:
    missing = [(0, max(0, side - n)) for n in x.shape[:2]] + [(0, 0)] * (x.ndim - 2)
    return np.pad(x, missing, mode="edge") if any(m[1] for m in missing) else x
