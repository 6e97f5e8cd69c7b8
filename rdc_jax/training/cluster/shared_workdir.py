"""Checks at the start of a run that its workdir can be used, and is the same for all processes.

On TPU VMs every host has a disk of its own. With `workdir=runs/sd21`, each process would make its
own folder there, and they would wait for each other's files at the first checkpoint for ever. So
the first process writes a file with a random name, and the others must be able to read it.
"""

import contextlib
import secrets
import time
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from rdc_jax import paths
from rdc_jax.errors import RdcError

SECONDS = 30.0
"""Time within which all processes must see a file of the first. NFS may need some seconds."""
PREFIX = ".rdc-start-"


def check(workdir: str | Path) -> None:
    """Makes the workdir, and returns once every process of the run has read a file there.

    Every process of the run must call it.

    Raises:
        RdcError: The workdir cannot be written, or some processes have another folder.
    """
    is_first, failure = jax.process_index() == 0, ""
    number = secrets.randbelow(2**31)
    if is_first:
        failure = _write(workdir, number)
    told = np.array([number, not failure], np.int32)
    number, written = (int(n) for n in multihost_utils.broadcast_one_to_all(told))
    found = bool(written) and _appears(workdir, number)
    seen = np.ravel(multihost_utils.process_allgather(np.array([found])))
    if is_first and written:
        with contextlib.suppress(OSError), paths.errors(workdir):
            _file(workdir, number).unlink()
    if failure:
        raise RdcError(failure)
    if not written:
        raise RdcError(f"the first process cannot write to workdir {workdir}; its output says why")
    if not seen.all():
        raise RdcError(_not_shared(workdir, [i for i, one in enumerate(seen) if not one]))


def _not_shared(workdir: str | Path, blind: list[int]) -> str:
    """The message when the processes `blind` have another folder."""
    some = ", ".join(map(str, blind[:8])) + (", ..." if len(blind) > 8 else "")
    who = f"process {some} does" if len(blind) == 1 else f"processes {some} do"
    return (
        f"workdir {workdir} is not shared: {who} not see a file that process 0 wrote there; name a "
        "folder of a file system that all hosts mount, or gs://BUCKET/FOLDER"
    )


def _file(workdir: str | Path, number: int) -> Path:
    return paths.of(workdir) / f"{PREFIX}{number:08x}"


def _write(workdir: str | Path, number: int) -> str:
    """Makes the workdir and writes the file; returns what went wrong, or ""."""
    try:
        with paths.errors(workdir):
            paths.of(workdir).mkdir(parents=True, exist_ok=True)
            _file(workdir, number).write_text(str(number))
    except OSError as error:
        return f"cannot write to workdir {workdir}: {paths.reason(error)}; name another workdir"
    return ""


def _appears(workdir: str | Path, number: int) -> bool:
    """Whether the file is there, or comes within SECONDS."""
    limit = time.monotonic() + SECONDS
    while True:
        with contextlib.suppress(OSError), paths.errors(workdir):
            if _file(workdir, number).read_text() == str(number):
                return True
        if time.monotonic() > limit:
            return False
        time.sleep(min(0.5, SECONDS / 10))
