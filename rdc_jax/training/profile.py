"""A profiler window over a few steps of a run, for TensorBoard, Perfetto or xprof."""

from pathlib import Path

import jax
import ml_collections


def profile_window(
    workdir: str | Path, steps_done: int, training: ml_collections.ConfigDict
) -> None:
    """Called before every step; records `training.profile_steps` steps to `workdir/profile`.

    The window opens `training.profile_from` steps after the start of the process, when all is
    compiled. profile_steps 0: nothing.
    """
    if not training.profile_steps:
        return
    if steps_done == training.profile_from:
        jax.profiler.start_trace(str(Path(workdir) / "profile"))
    elif steps_done == training.profile_from + training.profile_steps:
        jax.profiler.stop_trace()
