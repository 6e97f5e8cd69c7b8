"""Base of all sources of stored images. It replaces unreadable images by others.

An unreadable image is never fatal. Reading fails only if a whole set disappears, such as a folder
on a disk that was unmounted, or if the storage stops answering.
"""

import copy
import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from rdc_jax.data.records import decoded
from rdc_jax.errors import RdcError

MAX_MESSAGES = 100
"""Number of skipped images that the log names. Further ones are only counted."""
RETRY_WAITS = (0.1, 1.0, 5.0)
"""Seconds to wait before each further attempt to read an image that the storage refused."""
MAX_REFUSALS = 5
"""Number of images in a row that the storage may refuse, after all attempts, before a run ends."""

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class SourceGone(RdcError):
    """The whole set has disappeared, so no other image can replace an unreadable one."""


class ReadError(RdcError):
    """The storage did not deliver an image. The image may be fine, and another attempt may work."""


class ReplacingSource:
    """Base of all sources of stored images.

    Two kinds of failure are told apart:

    - A damaged image is reported in the log, added to `skipped` and, from then on, replaced by the
      next readable image of the source. All processes agree on it, because its bytes say so.
    - An image that the storage refuses is tried again after each of RETRY_WAITS, and then replaced
      for this once. It is not added to `skipped`.

    Sources are thread-safe and can be pickled for worker processes, which then have their own
    `skipped`. Subclasses implement `_load`, which reads one image.

    Args:
        keys: The arguments of `_load` for each image, an array of int64 or objects.
        where: Location of the images, for messages.

    Attributes:
        skipped: Keys of all damaged images found so far, shared with all subsets.
    """

    def __init__(self, keys: np.ndarray, where: str):
        self._keys, self._where = keys, where
        self.skipped: set[Hashable] = set()
        self._refused = 0  # images that the storage refused, for the log
        self._reporting = threading.Lock()

    def _load(self, key) -> dict[str, Any]:
        """Reads one example in the form that `make` hands to its function.

        Raises:
            RdcError: the example is damaged.
            ReadError: the storage did not deliver it.
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
        return self.make(index, decoded)[0]

    def make(self, index: int, function: Callable[[dict[str, Any]], Result]) -> tuple[Result, bool]:
        """Applies a function to example `index`, or to the next readable one.

        Args:
            index: Number of the example, 0 or more.
            function: Takes an example as in `__getitem__`, except that the image may be an
                EncodedImage. Its RdcError means that the image is damaged. It may be called several
                times.

        Returns:
            The result, and whether it was made from another example.

        Raises:
            RdcError: no image is readable, or the storage refuses several in a row.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        refusals = 0
        for step in range(len(self)):
            key = self._keys[(index + step) % len(self)]
            if key in self.skipped:
                continue
            try:
                return function(self._load_patiently(key)), step > 0
            except SourceGone:
                raise
            except ReadError as error:
                refusals += 1
                self._report_refusal(error)
                if refusals == MAX_REFUSALS:
                    raise RdcError(
                        f"data.path: the storage refused {refusals} images in a row; give the same "
                        f"command again when it answers ({error})"
                    ) from error
            except RdcError as error:
                self._skip(key, error)
        raise RdcError(f"data.path: none of the {len(self)} images {self._where} is readable")

    def __repr__(self) -> str:
        """Returns the same text in all processes. grain stores it to check a restored iterator."""
        return f"{type(self).__name__}({len(self)} images)"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_reporting"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state, _reporting=threading.Lock())

    def read(self, index: int) -> dict[str, np.ndarray]:
        """Returns exactly example `index`. Raises RdcError if it cannot be read."""
        return decoded(self._load_patiently(self._keys[index]))

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

    def _load_patiently(self, key: Any) -> dict[str, Any]:
        """`_load`, which is repeated while the storage refuses."""
        for wait in RETRY_WAITS:
            try:
                return self._load(key)
            except ReadError:
                time.sleep(wait)
        return self._load(key)

    def _skip(self, key: Hashable, error: RdcError) -> None:
        with self._reporting:
            if key in self.skipped:
                return
            self.skipped.add(key)
            _report("image skipped", error, len(self.skipped))

    def _report_refusal(self, error: ReadError) -> None:
        with self._reporting:
            self._refused += 1
            _report("image replaced once", error, self._refused)


def _report(what: str, error: RdcError, count: int) -> None:
    """Logs the first MAX_MESSAGES errors of a kind.

    Args:
        what: What happened to the image.
        error: The reason.
        count: Number of such errors so far.
    """
    if count <= MAX_MESSAGES:
        _log.warning("%s: %s", what, error)
    if count == MAX_MESSAGES:
        _log.warning("%s: further ones are only counted", what)
