"""Joining the processes of one run, and leaving it when another process is lost.

The environment, which launch/ sets, says who the other processes are:

RDC_COORDINATOR=host:port RDC_NUM_PROCESSES=4 RDC_PROCESS_ID=0    explicit
RDC_DISTRIBUTED=auto                                              TPU VMs, GKE, SLURM: by JAX
"""

import atexit
import contextlib
import ctypes
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
from jax.experimental import multihost_utils

from rdc_jax.errors import RdcError

JOIN_SECONDS = 300
"""Time within which all processes of a run must have started."""
HEARTBEAT_SECONDS = 100
"""Silence after which a process counts as dead, and the others are ended."""
SHUTDOWN_SECONDS = 600
"""Time that processes wait at the end for the first, which writes the model."""
LOST_PEER = 69
"""Exit code of a process that ended because another did: a scheduler may start the run again."""

EXPLICIT = ("RDC_COORDINATOR", "RDC_NUM_PROCESSES", "RDC_PROCESS_ID")
OF_LOST_PEERS = re.compile(
    r"gloo|connection (closed|reset|refused)|broken pipe|socket closed|heartbeat|barrier"
    r"|coordination|unavailable|deadline|remote (process|error)|network error",
    re.IGNORECASE,
)
"""Words in messages of JAX, its coordination service, Gloo and NCCL about a lost process."""


def initialize(environment: Mapping[str, str] = os.environ) -> None:
    """Connects this process to the others; does nothing in a run of one process.

    Must come before anything else touches JAX's devices. Raises RdcError for settings that are
    incomplete, or when the others do not answer in time.
    """
    arguments = settings(environment)
    if arguments is None:
        return
    _last_words_of_abort(
        f"the other processes of this run did not join within {JOIN_SECONDS} s; are all of them "
        "started, and does the address of the coordinator lead to process 0?"
    )
    try:
        jax.distributed.initialize(
            **arguments,
            initialization_timeout=JOIN_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        hint = "" if "process_id" in arguments else (
            f"; RDC_DISTRIBUTED=auto knows SLURM, GKE and TPU VMs, elsewhere set "
            f"{', '.join(EXPLICIT)}"
        )  # fmt: skip
        raise RdcError(f"cannot join the other processes of this run: {reason}{hint}") from error
    _last_words_of_abort(lost_peer_message("JAX ended this process, see above"))
    # On CPUs a first exchange waits 30 s for the others: now, while all are at the same point.
    multihost_utils.sync_global_devices("joined")


def settings(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """Arguments of jax.distributed.initialize; None for a run of one process.

    Explicit settings go before RDC_DISTRIBUTED. Raises RdcError for invalid settings.
    """
    given = [environment.get(name, "") for name in EXPLICIT]
    how = environment.get("RDC_DISTRIBUTED", "")
    if not any(given):
        if how not in ("", "auto"):
            raise RdcError(f"RDC_DISTRIBUTED is {how!r}; it must be auto, or not set")
        return {} if how else None
    try:
        coordinator, count, index = given[0], int(given[1]), int(given[2])
    except ValueError:
        raise RdcError(f"set all of {', '.join(EXPLICIT)}, the last two to numbers") from None
    if not re.fullmatch(r".+:\d+", coordinator) or not 0 <= index < count:
        raise RdcError(
            f"RDC_COORDINATOR {coordinator!r} must be host:port, and RDC_PROCESS_ID {index} be "
            f"below RDC_NUM_PROCESSES {count}"
        )
    return {
        "coordinator_address": coordinator,
        "num_processes": count,
        "process_id": index,
        "cluster_detection_method": "deactivate",  # inside a SLURM job, its devices are not ours
    }


def leave(code: int) -> None:
    """Ends this process without waiting for the others."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextlib.contextmanager
def failing_alone() -> Iterator[None]:
    """Around a run: a process that fails leaves at once when its error has been reported.

    Otherwise JAX would let it wait, at exit, for the others, and they for it.
    """
    try:
        with errors_in_words():
            yield
    except BaseException as error:
        if jax.distributed.is_initialized():
            codes = {RdcError: 2, KeyboardInterrupt: 130}
            atexit.register(leave, codes.get(type(error), 1))
        raise


@contextlib.contextmanager
def errors_in_words(leave: Callable[[int], None] = leave) -> Iterator[None]:
    """Around the work of devices: JAX's errors that the user can fix, in one line.

    Raises RdcError when memory runs out. When another process is lost, it says so and ends this
    process at once: saving the current state would wait for the lost one.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        text = str(error)
        reason = text.strip().splitlines()[0][:300]
        if "RESOURCE_EXHAUSTED" in text:
            raise RdcError(
                "out of device memory: lower data.batch_size, raise training.accumulate, or set "
                f"training.remat=blocks ({reason})"
            ) from error
        if jax.process_count() == 1 or not OF_LOST_PEERS.search(text):
            raise
        print(f"rdc: error: {lost_peer_message(reason)}", file=sys.stderr)
        leave(LOST_PEER)
        raise


def lost_peer_message(reason: str) -> str:
    return (
        f"another process of this run has ended or no longer answers ({reason}); its own output "
        "says why. The same command goes on from the last checkpoint"
    )


_abort_handlers = []


def _last_words_of_abort(message: str) -> None:
    """Makes an abort of the process by JAX print `message` and exit with LOST_PEER.

    JAX's coordination service ends a process that has lost the others with an abort, from a C++
    thread and after a stack trace. Python cannot handle SIGABRT itself: the process does not
    survive the handler.
    """
    line = f"rdc: error: {message}\n".encode()

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def speak(signum):
        os.write(2, line)
        os._exit(LOST_PEER)

    if os.name == "posix":
        _abort_handlers.append(speak)  # C keeps no reference
        ctypes.CDLL(None).signal(signal.SIGABRT, speak)
