"""A subset of any source."""

from collections.abc import Collection, Sequence

import numpy as np


class SubsetSource:
    """The images of `source` at `indices`, in this order."""

    def __init__(self, source, indices: Sequence[int]):
        self._source = source
        self._indices = [int(i) for i in indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self._source[self._indices[index]]

    @property
    def skipped(self) -> Collection:
        """Unreadable images that the whole source has replaced so far."""
        return getattr(self._source, "skipped", ())

    def subset(self, indices: Sequence[int]) -> "SubsetSource":
        return SubsetSource(self._source, [self._indices[i] for i in indices])

    def __repr__(self) -> str:
        return f"SubsetSource({len(self)} of {self._source!r})"
