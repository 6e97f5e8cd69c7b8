"""Base of all sources of stored images. It replaces unreadable images by others.

An unreadable image is never fatal. Reading fails only if a whole set disappears, such as a folder
on a disk that was unmounted.
"""

import copy
import logging
import threading
from collections.abc import Hashable, Sequence

import numpy as np

from rdc_jax.errors import RdcError

MAX_MESSAGES = 100
"""Number of skipped images that the log names. Further ones are only counted."""

_log = logging.getLogger(__name__)


class SourceGone(RdcError):
    """The whole set has disappeared, so no other image can replace an unreadable one."""


class ReplacingSource:
    """Base of all sources of stored images.

    An unreadable image is reported in the log, added to `skipped` and replaced by the next readable
    image of the source. Sources are thread-safe. Subclasses implement `_load`, which reads one
    image.

    Args:
        keys: the arguments of `_load` for each image, an array of int64 or objects.
        where: location of the images, for messages.

    Attributes:
        skipped: keys of all unreadable images found so far, shared with all subsets.
    """

    def __init__(self, keys: np.ndarray, where: str):
        self._keys, self._where = keys, where
        self.skipped: set[Hashable] = set()
        self._skipping = threading.Lock()

    def _load(self, key) -> dict[str, np.ndarray]:
        """Reads one example in the form that `__getitem__` returns.

        Raises:
            RdcError: the example cannot be read.
            SourceGone: the whole set has disappeared.
        """
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Returns example `index`, or the next readable one.

        Returns:
            {"image": uint8 [height, width, 3]}, and if the set has segmentations also "mask":
            uint8 [height, width], the segment number of each pixel.

        Raises:
            RdcError: no image of this source is readable.
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
        """Returns the same text in all processes. grain stores it to check a restored iterator."""
        return f"{type(self).__name__}({len(self)} images)"

    def read(self, index: int) -> dict[str, np.ndarray]:
        """Returns exactly example `index`. Raises RdcError if it cannot be read."""
        return self._load(self._keys[index])

    def name(self, index: int) -> str:
        """Returns the name of example `index` for messages and lists."""
        return f"record {self._keys[index]}"

    def fingerprint(self) -> str:
        """Returns a text that changes if the set changes."""
        return f"{len(self)} images {self._where}"

    def subset(self, indices: Sequence[int]) -> "ReplacingSource":
        """Returns a source with only these images. Replacements also come only from them."""
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
