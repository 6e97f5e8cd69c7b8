"""Ctrl-C and SIGTERM (how schedulers announce that a machine is taken away), noted for the loop."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from rdc_jax.training.cluster import distributed

CONTINUE, INTERRUPTED, TERMINATED = 0, 1, 2
"""Requests to a run; the largest of all processes wins."""
TRY_AGAIN = 75
"""Exit code after SIGTERM: EX_TEMPFAIL of sysexits.h, a scheduler should start the run again."""


def largest_request(request: int) -> int:
    """The request of the whole run, where no step carries it; every process must call this.

    Args:
        request: Of this process.
    """
    if jax.process_count() == 1:
        return request
    return int(multihost_utils.process_allgather(np.int32(request)).max())


class Terminated(Exception):
    """Raised after the state has been saved because of SIGTERM."""


@contextlib.contextmanager
def starting(leave: Callable[[int], None] = distributed.leave) -> Iterator[Callable[[], None]]:
    """Inside, SIGTERM ends the process at once, until the yielded function is called.

    While a run starts there is nothing to save, and it may wait for other processes inside JAX,
    where no handler of Python runs. So the signal wakes a thread, which ends the process. Outside
    the main thread signals are left alone.

    Args:
        leave: Ends the process with an exit code.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def watch() -> None:
        while number := os.read(reader, 1):  # empty once the writer is closed
            if number[0] == signal.SIGTERM:
                print("rdc: terminated at the start; run the same command again", file=sys.stderr)
                leave(TRY_AGAIN)

    # Python tells the pipe only of signals that have a handler.
    handler = signal.signal(signal.SIGTERM, lambda signum, frame: None)
    waker = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=watch, name="starting", daemon=True)
    thread.start()
    closed = []

    def started() -> None:
        if not closed:
            closed.append(True)
            signal.set_wakeup_fd(waker)
            os.close(writer)
            thread.join()
            os.close(reader)

    try:
        yield started
    finally:
        started()
        signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def noted_signals() -> Iterator[Callable[[], int]]:
    """Inside, SIGINT and SIGTERM are only noted; the yielded function returns the one that came.

    A second SIGINT acts at once. Outside the main thread signals are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: CONTINUE
        return
    noted = [CONTINUE]

    def note(signum, frame):
        if signum == signal.SIGTERM:
            noted.append(TERMINATED)
        else:
            noted.append(INTERRUPTED)
            signal.signal(signal.SIGINT, before[signal.SIGINT])

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: max(noted)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
