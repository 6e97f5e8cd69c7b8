"""What all sources of stored images share: one that cannot be read is replaced, never fatal.

Only when a whole set is gone, such as a folder on a disk that was unmounted, is that an error.
"""

import copy
import logging
import threading
from collections.abc import Hashable, Sequence

import numpy as np

from rdc_jax.errors import RdcError

MAX_MESSAGES = 100
"""Skipped images that are named in the log; further ones are only counted."""

_log = logging.getLogger(__name__)


class SourceGone(RdcError):
    """The set itself is no longer there; no other image can stand in."""


class ReplacingSource:
    """Base of the sources of stored images.

    An image that cannot be read is reported in the log, added to `skipped` and replaced by
    the next readable one of this source. Safe to share between threads. Subclasses say how one
    image is read in `_load`.

    Args:
        keys: [number of images], int64 or objects: what `_load` takes.
        where: the place of the images, for messages.

    Attributes:
        skipped: keys of the unreadable images met so far; shared with all subsets.
    """

    def __init__(self, keys: np.ndarray, where: str):
        self._keys, self._where = keys, where
        self.skipped: set[Hashable] = set()
        self._skipping = threading.Lock()

    def _load(self, key) -> dict[str, np.ndarray]:
        """One example, as `__getitem__` returns it; RdcError when it cannot be read.

        SourceGone when none can be read any more.
        """
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Example `index`, or the next readable one.

        Returns {"image": uint8 [height, width, 3]}, and "mask": uint8 [height, width] with the
        number of each pixel's segment where the set has segmentations. Raises RdcError when
        not one image of this source is readable.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        for step in range(len(self)):
            key = self._keys[(index + step) % len(self)]
            if key in self.skipped:
                continue
            try:
                return self._load(key)
            except SourceGone:
                raise
            except RdcError as error:
                self._skip(key, error)
        raise RdcError(f"data.path: none of the {len(self)} images {self._where} is readable")

    def __repr__(self) -> str:
        """Stable across processes: grain stores it to check a restored iterator."""
        return f"{type(self).__name__}({len(self)} images)"

    def read(self, index: int) -> dict[str, np.ndarray]:
        """Example `index` itself; RdcError when it cannot be read."""
        return self._load(self._keys[index])

    def name(self, index: int) -> str:
        """What to call example `index` in a list of images."""
        return f"record {self._keys[index]}"

    def fingerprint(self) -> str:
        """Changes when the set does."""
        return f"{len(self)} images {self._where}"

    def subset(self, indices: Sequence[int]) -> "ReplacingSource":
        """The same source with only these images; an unreadable one is replaced from them too."""
        chosen = copy.copy(self)
        chosen._keys = self._keys[np.asarray(indices, np.int64)]
        return chosen

    def _skip(self, key: Hashable, error: RdcError) -> None:
        with self._skipping:
            if key in self.skipped:
                return
            self.skipped.add(key)
            if len(self.skipped) <= MAX_MESSAGES:
                _log.warning("image skipped: %s", error)
            if len(self.skipped) == MAX_MESSAGES:
                _log.warning("further skipped images are only counted")
