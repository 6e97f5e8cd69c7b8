"""Saving and restoring a run: train state and data iterator together, through orbax.

The only user of orbax, whose interface still moves.
"""

from pathlib import Path
from typing import Any

from orbax.checkpoint import v1 as ocp


class Checkpoints:
    """The checkpoints of one run, `workdir/checkpoints/<step>`; the newest few are kept."""

    def __init__(self, workdir: str | Path, keep: int):
        directory = Path(workdir).absolute() / "checkpoints"
        directory.mkdir(parents=True, exist_ok=True)
        self._checkpointer = ocp.training.Checkpointer(
            directory,
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,
        )

    def latest_step(self) -> int | None:
        """Step of the newest complete checkpoint."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, state: Any, data_iterator: Any) -> None:
        """Writes one checkpoint (atomically: a killed run leaves no half-written one)."""
        if self.latest_step() != step:
            items = {"state": state, "data": data_iterator}
            self._checkpointer.save_checkpointables(step, items)

    def restore(self, abstract_state: Any, data_iterator: Any) -> tuple[int, Any]:
        """The newest state, placed like `abstract_state`; moves `data_iterator` to its position."""
        step = self.latest_step()
        items = {"state": abstract_state, "data": data_iterator}
        return step, self._checkpointer.load_checkpointables(step, items)["state"]

    def restore_state(self, abstract_state: Any) -> tuple[int, Any]:
        """The newest state alone, for export."""
        step = self.latest_step()
        items = {"state": abstract_state}
        return step, self._checkpointer.load_checkpointables(step, items)["state"]

    def close(self) -> None:
        """Waits for writes under way."""
        self._checkpointer.close()
