"""Ctrl-C and SIGTERM (how schedulers announce that a machine is taken away), noted for the loop."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

CONTINUE, INTERRUPTED, TERMINATED = 0, 1, 2
"""Requests to a run; the largest of all processes wins."""


class Terminated(Exception):
    """Raised after the state has been saved because of SIGTERM."""


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
