"""Requests that use the codec: how far each is, and whether its page still wants it.

jobs = Jobs()
job = jobs.get("k3f9")             the page chose this key
with job.part("decoding", 0, 1):   stages and shares that the page shows
    codec.reconstruct(.., progress=job.report)     raises Stopped after job.stop()
"""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from rdc_jax.errors import RdcError

KEPT = 64  # jobs that can be asked about
LONGEST_KEY = 64
PATIENCE = 0.1  # seconds between two looks at a job that waits for its turn


class Stopped(RdcError):
    """The page no longer wants the result."""

    def __init__(self) -> None:
        super().__init__("stopped")


class Job:
    """The state of one request.

    Attributes:
        stage: "waiting", "encoding" or "decoding".
        share: The share that is done, 0 to 1. It never falls within a stage.
    """

    def __init__(self) -> None:
        self.stage, self.share = "waiting", 0.0
        self._begin, self._end = 0.0, 1.0
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Makes the next `report` or `check` raise Stopped."""
        self._stopped.set()

    def check(self) -> None:
        """Raises Stopped if the page no longer wants the result."""
        if self._stopped.is_set():
            raise Stopped

    def report(self, share: float) -> None:
        """Takes the share of the current part that is done, 0 to 1. Raises as `check`."""
        self.check()
        self.share = max(self.share, self._begin + share * (self._end - self._begin))

    @contextlib.contextmanager
    def part(self, stage: str, begin: float = 0.0, end: float = 1.0) -> Iterator[None]:
        """A part of the work.

        Args:
            stage: What the page shows.
            begin: Share of the stage that is done before this part.
            end: Share that is done after it.
        """
        if stage != self.stage:
            self.stage, self.share = stage, 0.0
        self._begin, self._end = begin, end
        self.report(0.0)
        yield
        self.report(1.0)


class Jobs:
    """The latest jobs, by the keys that pages chose."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any) -> Job:
        """The job of a key; a new one if the key is unknown.

        A page may stop a job before its request arrives, so asking makes the job.
        """
        if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY:
            return Job()
        with self._lock:
            job = self._jobs.setdefault(key, Job())
            self._jobs.move_to_end(key)
            while len(self._jobs) > KEPT:
                self._jobs.popitem(last=False)
            return job


@contextlib.contextmanager
def taking_turns(turn: threading.Lock, job: Job) -> Iterator[None]:
    """Holds the codec's lock, for which a stopped job no longer waits."""
    while not turn.acquire(timeout=PATIENCE):
        job.check()
    try:
        job.check()
        yield
    finally:
        turn.release()
