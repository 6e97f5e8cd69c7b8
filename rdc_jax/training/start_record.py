"""starts.json of a workdir: one entry for every start of the run.

It says which command, which versions and which devices made the steps from there on. config.json
has the settings.
"""

import datetime
import json
import platform
import shlex
import sys
from importlib import metadata
from typing import Any

import jax

from rdc_jax import paths
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.results_file import write_results

FILE = "starts.json"
PACKAGES = (
    *("rdc_jax", "jax", "jaxlib", "libtpu", "flax", "optax", "orbax-checkpoint"),
    *("grain", "clu", "ml-collections", "numpy"),
)


def append(workdir: str, step: int, mesh: jax.sharding.Mesh) -> None:
    """Adds an entry for a start that is under way.

    Args:
        workdir: Of the run.
        step: Steps done so far.
        mesh: Of the devices.

    Raises:
        RdcError: the file cannot be written.
    """
    path = paths.of(workdir) / FILE
    try:
        with paths.errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_results(path, {"starts": [*_earlier(path), _entry(step, mesh)]})
    except OSError as error:
        raise RdcError(
            f"cannot write {path}: {paths.reason(error)}; make room there or name another workdir"
        ) from error


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that a training step depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # libtpu, or rdc_jax from a bare checkout
            continue
    return found


def _entry(step: int, mesh: jax.sharding.Mesh) -> dict[str, Any]:
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "step": step,
        "command": shlex.join(sys.argv),
        "versions": versions(),
        "device": mesh.devices.flat[0].device_kind,
        "mesh": dict(mesh.shape),
        "processes": jax.process_count(),
    }


def _earlier(path: Any) -> list[Any]:
    """The entries so far; none of a file that is missing or damaged."""
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["starts"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
