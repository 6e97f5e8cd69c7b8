"""One run per workdir: two would write the same checkpoints and the same log.

The first process of a run locks `workdir/.lock`. The operating system releases the lock when the
process ends, however it ends, so a killed run leaves nothing that must be removed by hand. A run
that fails before it has written anything also removes the lock file and the folders it made.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

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
    folder = Path(workdir)
    with _locked_file(folder / FILE) as file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        except BaseException:
            _remove_lonely(folder / FILE)
            raise


@contextlib.contextmanager
def _locked_file(path: Path) -> Iterator[TextIO]:
    """The lock file, made if it is missing, open and locked. Raises RdcError as `only_run_in`."""
    workdir = path.parent
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+")
    except OSError as error:
        raise RdcError(
            f"cannot write to workdir {workdir}: {error.strerror or error}; make it writable or "
            "name another workdir"
        ) from error
    with file:
        # A file that is no longer in the folder belonged to a run that has just failed.
        if not _locked(file.fileno()) or not _is_at(path, file):
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise RdcError(
                f"another run is training in workdir {workdir} ({owner}); wait for it, stop it, or "
                "name another workdir"
            )
        yield file


def _is_at(path: Path, file: TextIO) -> bool:
    """Whether an open file still has this path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _remove_lonely(file: Path) -> None:
    """Removes the lock of a run that wrote nothing else."""
    with contextlib.suppress(OSError):
        if [path.name for path in file.parent.iterdir()] == [file.name]:
            file.unlink()


@contextlib.contextmanager
def empty_folders_removed(workdir: str) -> Iterator[None]:
    """After an error inside, removes the folders of the workdir that were made there and are empty.

    workdir: A folder. In a bucket (gs://...), there are no empty folders.
    """
    folder = Path(workdir)
    missing = []
    if not paths.is_remote(workdir):
        missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for place in missing:
                place.rmdir()
        raise


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
