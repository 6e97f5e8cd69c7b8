"""metrics.jsonl, to which a run adds lines: on a disk, and in a bucket.

On a disk, every write opens the file, appends and closes it, so that a mounted bucket uploads it
and a killed run loses nothing. An object in a bucket can only be replaced as a whole, and about
once a second. So there a run collects lines in a part of its own, which it replaces every few
seconds. A new part begins at every start of the run, and when a part has grown to a megabyte:

    metrics.jsonl, metrics-00001.jsonl, metrics-00002.jsonl, ...

`training_log.parts` lists them in order.
"""

import os
import re
import threading
import time
from pathlib import Path

from rdc_jax import paths
from rdc_jax.evaluation.report import training_log

SECONDS_BETWEEN_UPLOADS = 10.0
PART_BYTES = 1 << 20


class LocalMetrics:
    """The file on a disk. Raises OSError when the disk is full."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / training_log.FILE
        with open(self._path, "a"):
            pass
        if _ends_within_a_line(self._path):  # the process that wrote it was killed
            self.append("")

    def append(self, line: str) -> None:
        """Adds a line, given without its end."""
        with open(self._path, "a") as file:
            file.write(line + "\n")

    def close(self) -> None:
        """Everything is written already."""


class RemoteMetrics:
    """The parts in a bucket. Lines appear there after SECONDS_BETWEEN_UPLOADS at the latest.

    Raises RdcError when an upload fails; one that fails in the background is tried again with the
    next lines.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        with paths.errors(folder):
            self._number = _first_free_number(folder)
        self._part, self._unsent = b"", False
        self._last = -float("inf")
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()

    def append(self, line: str) -> None:
        """Adds a line, given without its end."""
        with self._lock:
            if len(self._part) > PART_BYTES:
                self._upload()
                self._part, self._number = b"", self._number + 1
            self._part += line.encode() + b"\n"
            self._unsent = True
            wait = self._last + SECONDS_BETWEEN_UPLOADS - time.monotonic()
            if wait <= 0:
                self._upload()
            elif self._timer is None:
                self._timer = threading.Timer(wait, self._upload_later)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Uploads what is not there yet."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
            self._upload()

    def _upload(self) -> None:
        if not self._unsent:
            return
        name = f"metrics-{self._number:05d}.jsonl" if self._number else training_log.FILE
        with paths.errors(self._folder):
            (self._folder / name).write_bytes(self._part)
        self._unsent, self._last = False, time.monotonic()

    def _upload_later(self) -> None:
        with self._lock:
            self._timer = None
            try:
                self._upload()
            except OSError:
                pass  # the next lines, or the end of the run, try again and report


def open_metrics(folder: Path) -> LocalMetrics | RemoteMetrics:
    """The metrics of a run, local or remote by its folder."""
    return RemoteMetrics(folder) if paths.is_remote(folder) else LocalMetrics(folder)


def _first_free_number(folder: Path) -> int:
    """The number of a part after all that exist; metrics.jsonl is number 0."""
    existing = [path.name for path in training_log.parts(folder / training_log.FILE)]
    numbers = [int(re.sub(r"\D", "", name) or 0) for name in existing]
    if numbers == [0] and not (folder / training_log.FILE).exists():
        return 0
    return max(numbers) + 1


def _ends_within_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
