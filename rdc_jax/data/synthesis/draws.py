"""Short names for common random draws."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def pick(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    """Returns a random item, all equally likely. Unlike `rng.choice`, it keeps the type."""
    return items[int(rng.integers(len(items)))]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Returns True with the given probability."""
    return bool(rng.random() < probability)


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """Returns a random integer from low to high, both included, or `low` for an empty range."""
    return int(rng.integers(low, max(low, high) + 1))
