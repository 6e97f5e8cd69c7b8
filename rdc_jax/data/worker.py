"""What a worker process of the training pipeline does before it reads anything."""

import multiprocessing
import os
import signal
import threading

from rdc_jax.images import keep_memory


def start_worker(index: int, count: int) -> None:
    """Prepares a worker process.

    Ctrl-C and a scheduler's SIGTERM reach all processes of a run. Only the one that trains handles
    them: it finishes its step, for which it may need one more batch, and then ends its workers. If
    it is killed, the worker ends by itself.

    Args:
        index: Number of this worker.
        count: Number of workers.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name=f"parent of worker {index}", daemon=True).start()
    keep_memory()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)
