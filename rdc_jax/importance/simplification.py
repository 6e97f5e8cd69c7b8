"""Map simplification: makes an importance map coarser until it takes a small share of its file.

At low rates a detailed map can cost more bits than it saves. It is then replaced by a map with
fewer levels or larger cells. Of all maps that are cheap enough, the one that changes importance
least is chosen.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rdc_jax.entropy.importance_coding import encode_importance
from rdc_jax.importance.timesteps import importance_values

PERCENT = 2.0  # default share of the file that the map may take, in percent
MOST_CHANGE = 0.5  # of the change by a flat map; beyond this a coarser map has lost the region
MAX_CELL = 1 << 15  # largest cell size in pixels that the header can store
ROUNDS = 4  # attempts at coding: a smaller map makes the file smaller, and its share larger again


class Map(NamedTuple):
    """An importance map: levels uint8 [rows, columns], and the cell size in pixels."""

    levels: np.ndarray
    num_levels: int
    cell_size: int

    @property
    def coded_bytes(self) -> int:
        """Size of the coded map in bytes."""
        return len(encode_importance(self.levels, self.num_levels))


def code_within(
    code: Callable[[Map], tuple[bytes, Any]],
    given: Map,
    percent: float,
    expected: int | None = None,
) -> tuple[bytes, Any]:
    """Codes an image with the given map, or with a coarser one that is cheap enough.

    If no useful map is cheap enough, as in files of a few hundred bytes, the cheapest one is used.

    Args:
        code: Function from a map to (file, report).
        given: The map to start with.
        percent: Largest share of the file that the map may take, in percent; 0 for no limit.
        expected: Expected size of the file in bytes, if known. It can save a second coding.

    Returns:
        (file, report) of the chosen map.
    """
    share = percent / 100
    if given.num_levels == 1 or not 0 < share < 1:
        return code(given)
    choices = _Choices(given)
    chosen = given if expected is None else choices.cheap_enough(0.98 * share * expected)
    for _ in range(ROUNDS):
        data, report = code(chosen)
        rest = len(data) - choices.cost(chosen)
        if choices.cost(chosen) <= share * len(data):
            break
        coarser = choices.cheap_enough(share / (1 - share) * rest)
        if coarser is chosen:
            break
        chosen = coarser
    return data, report


def coarser_maps(given: Map) -> list[tuple[float, Map]]:
    """Lists useful maps with fewer levels or larger cells, the smallest change first.

    Returns:
        Pairs of the mean absolute change of importance, measured at the given map's cells, and
        the map. The given map comes first, with change 0.
    """
    values = importance_values(given.num_levels)[given.levels].astype(np.float64)
    most = MOST_CHANGE * np.abs(values - np.median(values)).mean()
    found = [(0.0, given)]
    factor = 1
    while given.cell_size * factor <= MAX_CELL and factor < 2 * max(values.shape):
        means = _block_means(values, factor)
        for count in range(given.num_levels, 1, -1):
            levels = np.floor(means * (count - 1) + 0.5).astype(np.uint8)
            new = Map(levels, count, given.cell_size * factor)
            rows, columns = (np.arange(n) // factor for n in values.shape)
            change = np.abs(importance_values(count)[levels][rows[:, None], columns] - values)
            if change.mean() <= most and (factor, count) != (1, given.num_levels):
                found.append((float(change.mean()), new))
        factor *= 2
    return sorted(found, key=lambda pair: pair[0])  # stable: finer maps first among equal changes


def _block_means(values: np.ndarray, factor: int) -> np.ndarray:
    """Averages over factor x factor cells, fewer at the right and bottom edge."""
    starts = [np.arange(0, n, factor) for n in values.shape]
    sums = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    counts = [np.diff(np.append(s, n)) for s, n in zip(starts, values.shape, strict=True)]
    return sums / np.outer(*counts)


class _Choices:
    """The coarser maps of one map, made and coded only when needed."""

    def __init__(self, given: Map):
        self.given = given
        self._costs: dict[tuple[int, int], int] = {}

    @functools.cached_property
    def _maps(self) -> list[Map]:
        return [choice for _, choice in coarser_maps(self.given)]

    def cost(self, choice: Map) -> int:
        """Returns the size of the coded map in bytes."""
        key = choice.num_levels, choice.cell_size
        if key not in self._costs:
            self._costs[key] = choice.coded_bytes
        return self._costs[key]

    def cheap_enough(self, size: float) -> Map:
        """Returns the least changed map of at most `size` bytes, or else the cheapest map."""
        if self.cost(self.given) <= size:
            return self.given
        for choice in self._maps:
            if self.cost(choice) <= size:
                return choice
        return min(self._maps, key=self.cost)
