"""Progress of work that takes seconds: a bar on a terminal, or calls of a function.

Bars are tqdm's. Where tqdm is missing there are none, because decoding does not need it.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

try:
    from tqdm import tqdm
except ImportError:

    class tqdm:  # type: ignore[no-redef]
        """Shows nothing, with the part of tqdm's interface that decoding uses."""

        def __init__(self, iterable: Any = (), **options: Any):
            self._iterable = iterable
            self.disable = True

        def __iter__(self) -> Any:
            return iter(self._iterable)

        def close(self) -> None:
            pass

        @staticmethod
        def write(text: str, file: Any = None) -> None:
            print(text, file=file)


__all__ = ["Progress", "ReportShare", "reporting", "tqdm"]

SHORT = 2.0
"""Seconds of expected work below which no bar appears."""
LAYOUT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} passed, {remaining} left"

ReportShare = Callable[[float], None]
"""Called with the share that is done, 0 to 1. An exception that it raises ends the work."""
Progress = bool | ReportShare
"""False: nothing is shown. True: a bar on a terminal, for work of two seconds or more. A function:
called with the share that is done."""


@contextlib.contextmanager
def reporting(progress: Progress, label: str) -> Iterator[ReportShare]:
    """Inside, the yielded function takes the share of the work that is done, 0 to 1.

    Args:
        progress: What becomes of the share.
        label: Name of the work, for the bar.
    """
    if callable(progress):
        yield progress
    elif not progress:
        yield nothing
    else:
        bar = _Bar(label)
        try:
            yield bar.report
        finally:
            bar.close()


def nothing(share: float) -> None:
    """Reports no progress."""


class _Bar:
    """A bar that appears once the work is expected to take SHORT seconds, judged by its speed."""

    def __init__(self, label: str):
        self._label, self._start = label, time.monotonic()
        self._bar: Any = None

    def report(self, share: float) -> None:
        if self._bar is None:
            passed = time.monotonic() - self._start
            if passed < SHORT * share or share == 0 or share >= 1:
                return
            self._bar = tqdm(
                desc=self._label, total=1.0, bar_format=LAYOUT, leave=False, disable=None
            )
            if not self._bar.disable:
                self._bar.start_t -= passed  # the time left is computed from the whole time
                self._bar.n = share
                self._bar.refresh()
        elif not self._bar.disable:
            self._bar.update(share - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
