"""Saves and restores a run through orbax: the train state, and the number of images seen.

This is the only user of orbax, whose interface still changes. Writing goes on in the background
while training continues. A checkpoint appears under its name only when it is complete, so a run
that is killed at any moment keeps its earlier checkpoints.

In a bucket (gs://...), where nothing can be renamed, orbax marks a complete checkpoint by a file
in it, and its own clients write the arrays. The first process alone says which checkpoint is the
newest: listings of a bucket or of NFS may be old, and processes that disagree would hang.
"""

import contextlib
import math
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from rdc_jax import paths
from rdc_jax.errors import RdcError

LISTING_SECONDS = 60.0
"""Time within which a process must see a checkpoint that the first process sees."""


class Checkpoints:
    """The checkpoints of one run, `workdir/checkpoints/<step>`; the newest few are kept."""

    def __init__(self, workdir: str | Path, keep: int | None, best: str = "", higher: bool = True):
        """Opens the checkpoints of a workdir.

        Args:
            workdir: A folder, or gs://BUCKET/FOLDER.
            keep: Number of the newest checkpoints that stay; None: for reading only, also while
                another process writes there.
            best: Metric whose best checkpoint stays too, see `save`; "": none.
            higher: Whether a higher value of it is better.

        Raises:
            RdcError: The folder cannot be made, or orbax cannot write there. For reading: there
                are no checkpoints.
        """
        check_location(workdir)
        folder = paths.of(workdir)
        folder = folder if paths.is_remote(folder) else folder.absolute()
        self._directory = folder / "checkpoints"
        self._best = best
        if keep is not None:
            with self._disk_errors():
                self._directory.mkdir(parents=True, exist_ok=True)
        elif not self._directory.is_dir():
            raise RdcError(f"no checkpoints in {workdir}; name the workdir of a run")
        self._checkpointer = ocp.training.Checkpointer(
            self._directory,
            preservation_policy=_preservation(keep, best, higher),
            cleanup_tmp_directories=keep is not None,
        )
        self._saved = self.latest_step()  # step of the checkpoint that was written last

    def latest_step(self) -> int | None:
        """Step of the newest complete checkpoint, as the first process sees it.

        Every process of the run must call it.
        """
        latest = self._checkpointer.latest
        step = np.int32(-1 if latest is None else latest.step)
        if jax.process_count() > 1:
            step = multihost_utils.broadcast_one_to_all(step)
        return None if step < 0 else int(step)

    def save(
        self, step: int, state: Any, data: dict[str, Any], metric: float | None = None
    ) -> None:
        """Starts to write a checkpoint, once the one before is written.

        Args:
            step: Steps done.
            state: The train state.
            data: JSON values.
            metric: `best` of this checkpoint, if it is known.

        Raises:
            RdcError: when this checkpoint or the one before cannot be written.
        """
        if self._saved == step:
            return
        with self._disk_errors():
            self._checkpointer.wait()
            self._checkpointer.save_checkpointables_async(
                step,
                {"state": state},
                custom_metadata=data,
                metrics=None if metric is None else {self._best: metric},
            )
        self._saved = step

    def restore(
        self, abstract_state: Any, step: int | None = None
    ) -> tuple[int, Any, dict[str, Any]]:
        """A stored state, placed like `abstract_state`.

        The checkpoint may come from another mesh and another number of processes.

        Args:
            abstract_state: Shapes, dtypes and shardings.
            step: Of the checkpoint; None: the newest.

        Returns:
            Step, state and data.

        Raises:
            RdcError: there is no such checkpoint, or it does not fit.
        """
        step = self._existing(step)
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

    def restore_average(self, abstract: Any, step: int | None = None) -> tuple[int, Any]:
        """The averaged parameters of a checkpoint, and nothing else of it.

        Args:
            abstract: Shapes, dtypes and shardings of the trained parameters.
            step: Of the checkpoint; None: the newest.

        Returns:
            Step and parameters.

        Raises:
            RdcError: there is no such checkpoint, or it does not fit.
        """
        step = self._existing(step)
        context = ocp.Context()
        context.pytree.loading.partial_load = True
        try:
            stored = self._checkpointer.checkpointables_metadata(step).metadata["state"]
            reason = _first_difference({"params": stored["ema_params"]}, {"params": abstract})
            if reason:
                raise ValueError(reason)
            with context:
                state = ocp.load_checkpointables(
                    self._directory / str(step), {"state": {"ema_params": abstract}}
                )["state"]
        except (ValueError, KeyError, FileNotFoundError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise RdcError(
                f"{self._directory / str(step)} is not of this config, or was just removed "
                f"({reason}); try again"
            ) from error
        return step, state["ema_params"]

    def _existing(self, step: int | None) -> int:
        """The step, or the newest one. Raises RdcError where there is no such checkpoint."""
        steps = [found.step for found in self._checkpointer.checkpoints]
        if step is None:
            step = self.latest_step()
            if step is None:
                raise RdcError(f"no checkpoints in {self._directory.parent} yet")
            self._wait_for_listing(step)
        elif step not in steps:
            there = ", ".join(map(str, steps)) or "none"
            raise RdcError(f"{self._directory.parent} has no checkpoint {step}; it has {there}")
        return step

    def _wait_for_listing(self, step: int) -> None:
        """Reads the listing again until it has this step. Raises RdcError after LISTING_SECONDS."""
        limit = time.monotonic() + LISTING_SECONDS
        while all(found.step != step for found in self._checkpointer.checkpoints):
            if time.monotonic() > limit:
                raise RdcError(
                    f"the first process restores {self._directory / str(step)}, and this one does "
                    "not see it; give all processes the same workdir on a shared file system"
                )
            time.sleep(min(1.0, LISTING_SECONDS / 10))
            self._checkpointer.reload()

    def close(self) -> None:
        """Waits for writes under way."""
        with self._disk_errors():
            self._checkpointer.close()

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except paths.RemoteError:  # says all already
            raise
        except jax.errors.JaxRuntimeError:  # another process is lost: not the disk's fault
            raise
        except Exception as error:  # tensorstore reports a full disk as a ValueError
            raise RdcError(
                f"cannot write a checkpoint to workdir {self._directory.parent}: {_reason(error)}; "
                "make room there or name another workdir. Checkpoints already written are complete"
            ) from error


def check_location(workdir: str | Path) -> None:
    """Raises RdcError for a remote workdir where orbax cannot write checkpoints."""
    if paths.is_remote(workdir) and not str(workdir).startswith("gs://"):
        raise RdcError(
            f"workdir={workdir}: checkpoints are written to a local or mounted folder, or to "
            "gs://BUCKET/FOLDER; name one of these"
        )


def _preservation(keep: int | None, best: str, higher: bool) -> Any:
    """What orbax keeps: the newest `keep` checkpoints, all for None, and the best one."""
    policies = ocp.training.preservation_policies
    if keep is None:
        return policies.PreserveAll()
    worst = -math.inf if higher else math.inf  # of a checkpoint that was ranked by another metric
    best_one = policies.BestN(
        get_metric_fn=lambda metrics: metrics.get(best, worst),
        reverse=not higher,
        n=1,
        keep_checkpoints_without_metrics=False,
    )
    newest = policies.LatestN(keep)
    return policies.AnyPreservationPolicy([newest, best_one]) if best else newest


def _first_difference(stored: Any, wanted: Any) -> str:
    """The first difference of two trees in paths and shapes, parameters first; "" for none."""

    def shapes(tree):
        leaves = jax.tree.leaves_with_path(tree)
        return {jax.tree_util.keystr(p, simple=True, separator="/"): x.shape for p, x in leaves}

    have, want = shapes(stored), shapes(wanted)
    for path in sorted(have | want, key=lambda path: (not path.startswith("params"), path)):
        if path.startswith("opt_state") and have.get(path) != want.get(path):
            return (
                "its optimiser's state is of another training.optimizer, or of an earlier version "
                "of rdc_jax: from that, only its weights can go on, see `rdc export --from`"
            )
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
