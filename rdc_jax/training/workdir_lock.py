"""One run per workdir: two would write the same checkpoints and the same log.

The first process of a run locks `workdir/.lock`. The operating system releases the lock when the
process ends, however it ends, so a killed run leaves nothing that must be removed by hand.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from rdc_jax import paths
from rdc_jax.errors import RdcError

FILE = ".lock"


@contextlib.contextmanager
def only_run_in(workdir: str) -> Iterator[None]:
    """Makes the workdir, and keeps other runs out of it.

    A bucket (gs://...) has no locks. Neither have some network file systems, nor Windows. There,
    nothing is locked.

    Raises:
        RdcError: another run uses the workdir, or it cannot be written.
    """
    if paths.is_remote(workdir):
        yield
        return
    path = Path(workdir) / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+")
    except OSError as error:
        raise RdcError(
            f"cannot write to workdir {workdir}: {error.strerror or error}; make it writable or "
            "name another workdir"
        ) from error
    with file:
        if not _locked(file.fileno()):
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise RdcError(
                f"another run is training in workdir {workdir} ({owner}); wait for it, stop it, or "
                "name another workdir"
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def _locked(descriptor: int) -> bool:
    """Whether this process got the lock, or there are no locks here."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
