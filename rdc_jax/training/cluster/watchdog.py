"""Ends a run that has stopped moving, with a message instead of an endless wait.

When another process of the run has died or hangs, this one waits inside a collective operation
that Python cannot leave. Only another thread can still print and exit.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

from rdc_jax.training.cluster import distributed

EXIT_CODE = distributed.LOST_PEER
CHECKS_PER_TIMEOUT = 20


@contextlib.contextmanager
def watchdog(seconds: float, leave: Callable[[int], None] = os._exit) -> Iterator[Callable]:
    """Yields a function to call after every step; 0 seconds watch nothing.

    The first call starts the clock, so compilation may take any time.
    """
    last, done = [float("inf")], threading.Event()

    def moved() -> None:
        last[0] = time.monotonic()

    def watch() -> None:
        while not done.wait(seconds / CHECKS_PER_TIMEOUT):
            if time.monotonic() - last[0] > seconds:
                print(
                    f"rdc: error: no step was finished for {seconds:g} s (training.stall_timeout): "
                    "another process of this run has ended or hangs, or a disk does not answer. "
                    "The same command goes on from the last checkpoint",
                    file=sys.stderr,
                    flush=True,
                )
                leave(EXIT_CODE)
                return

    if not seconds:
        yield moved
        return
    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield moved
    finally:
        done.set()
        thread.join()
