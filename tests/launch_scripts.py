"""Runs the scripts in launch/ with stand-ins for the tools they call."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

LAUNCH = Path(__file__).resolve().parents[1] / "launch"
VARIABLES = {"PROCESSES", "PORT", "NODES", "TPU", "ZONE", "PROJECT", "FOLDER", "CLUSTER", "IMAGE"}
VARIABLES |= {"CHIP", "SLICES", "TPU_TYPE", "XLA_FLAGS", "LIBTPU_INIT_ARGS"}


@contextlib.contextmanager
def launched(name, *arguments, tools="", **variables):
    """A running script, with a folder of stand-ins for the tools it calls; killed at the end."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    environment["PATH"] = f"{tools}{os.pathsep}{environment['PATH']}"
    with subprocess.Popen(
        [LAUNCH / name, *arguments],
        env=environment | variables, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def finish(process):
    """(exit code, standard output, standard error)."""
    output, error = process.communicate(timeout=20)
    return process.returncode, output, error


def launch(name, *arguments, **options):
    """Runs a script to its end; what `finish` returns."""
    with launched(name, *arguments, **options) as process:
        return finish(process)
