"""A profiler window over a few steps of a run, for TensorBoard, Perfetto or xprof."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import ml_collections


@contextlib.contextmanager
def profile_window(
    workdir: str | Path, training: ml_collections.ConfigDict
) -> Iterator[Callable[[int], None]]:
    """Yields a function to call before every step, with the number of steps done so far.

    It records `training.profile_steps` steps, or as many as there are, to `workdir/profile`; 0
    records nothing. The window opens `training.profile_from` steps after the start of the process,
    when everything is compiled.
    """
    first, recording = training.profile_from, [False]

    def before_step(steps_done: int) -> None:
        if steps_done == first and training.profile_steps:
            jax.profiler.start_trace(str(Path(workdir) / "profile"))
            recording[0] = True
        elif steps_done == first + training.profile_steps:
            close()

    def close() -> None:
        if recording[0]:
            recording[0] = False
            jax.profiler.stop_trace()

    try:
        yield before_step
    finally:
        close()
