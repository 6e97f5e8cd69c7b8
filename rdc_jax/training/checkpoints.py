"""Saves and restores a run through orbax: the train state, and the number of images seen.

This is the only user of orbax, whose interface still changes. Writing goes on in the background
while training continues. A checkpoint appears under its name only when it is complete, so a run
that is killed at any moment keeps its earlier checkpoints.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from rdc_jax.errors import RdcError


class Checkpoints:
    """The checkpoints of one run, `workdir/checkpoints/<step>`; the newest few are kept."""

    def __init__(self, workdir: str | Path, keep: int):
        self._directory = Path(workdir).absolute() / "checkpoints"
        with self._disk_errors():
            self._directory.mkdir(parents=True, exist_ok=True)
        self._checkpointer = ocp.training.Checkpointer(
            self._directory,
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,
        )

    def latest_step(self) -> int | None:
        """Step of the newest complete checkpoint."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, state: Any, data: dict[str, Any]) -> None:
        """Starts to write a checkpoint, once the one before is written.

        Args:
            step: Steps done.
            state: The train state.
            data: JSON values.

        Raises:
            RdcError: when this checkpoint or the one before cannot be written.
        """
        if self.latest_step() == step:
            return
        with self._disk_errors():
            self._checkpointer.wait()
            self._checkpointer.save_checkpointables_async(
                step, {"state": state}, custom_metadata=data
            )

    def restore(self, abstract_state: Any) -> tuple[int, Any, dict[str, Any]]:
        """Step, state and data of the newest checkpoint; the state placed like `abstract_state`.

        The checkpoint may come from another mesh and another number of processes.
        """
        step = self.latest_step()
        try:
            stored = self._checkpointer.checkpointables_metadata(step)
            reason = _first_difference(stored.metadata["state"], abstract_state)
            if reason:
                raise ValueError(reason)
            items = {"state": abstract_state}
            state = self._checkpointer.load_checkpointables(step, items)["state"]
        except (ValueError, KeyError, FileNotFoundError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise RdcError(
                f"{self._directory / str(step)} does not fit this config ({reason}); name another "
                "workdir, or train on with the config it was made with"
            ) from error
        return step, state, dict(stored.custom_metadata or {})

    def close(self) -> None:
        """Waits for writes under way."""
        with self._disk_errors():
            self._checkpointer.close()

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except jax.errors.JaxRuntimeError:  # another process is lost: not the disk's fault
            raise
        except Exception as error:  # tensorstore reports a full disk as a ValueError
            raise RdcError(
                f"cannot write a checkpoint to workdir {self._directory.parent}: {_reason(error)}; "
                "make room there or name another workdir. Checkpoints already written are complete"
            ) from error


def _first_difference(stored: Any, wanted: Any) -> str:
    """The first difference of two trees in paths and shapes, parameters first; "" for none."""

    def shapes(tree):
        leaves = jax.tree.leaves_with_path(tree)
        return {jax.tree_util.keystr(p, simple=True, separator="/"): x.shape for p, x in leaves}

    have, want = shapes(stored), shapes(wanted)
    for path in sorted(have | want, key=lambda path: (not path.startswith("params"), path)):
        if path not in have:
            return f"it has no {path}"
        if path not in want:
            return f"it has {path}, which is not trained"
        if have[path] != want[path]:
            return f"{path} has the shape {have[path]}, not {want[path]}"
    return ""


def _reason(error: Exception) -> str:
    """The operating system's words where it is behind the error."""
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if code or (isinstance(error, OSError) and error.errno):
        return os.strerror(int(code[1]) if code else error.errno)
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
