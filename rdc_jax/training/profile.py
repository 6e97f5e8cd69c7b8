"""A profiler window over a few steps of a run, for TensorBoard, Perfetto or xprof."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import ml_collections

from rdc_jax import paths


@contextlib.contextmanager
def profile_window(
    workdir: str | Path, training: ml_collections.ConfigDict
) -> Iterator[Callable[[int], None]]:
    """Yields a function to call before every step, with the number of steps done so far.

    It records `training.profile_steps` steps, or as many as there are, to `workdir/profile`; 0
    records nothing. The window opens `training.profile_from` steps after the start of the process,
    when everything is compiled. JAX's profiler writes local files; for a workdir in a bucket they
    are copied there.
    """
    first, recording = training.profile_from, [False]
    folder = paths.of(workdir) / "profile"
    local = Path(tempfile.mkdtemp()) if paths.is_remote(folder) and training.profile_steps else None

    def before_step(steps_done: int) -> None:
        if steps_done == first and training.profile_steps:
            jax.profiler.start_trace(str(local or folder))
            recording[0] = True
        elif steps_done == first + training.profile_steps:
            close()

    def close() -> None:
        if recording[0]:
            recording[0] = False
            jax.profiler.stop_trace()
            if local:
                _upload(local, folder)

    try:
        yield before_step
    finally:
        close()
        if local:
            shutil.rmtree(local)


def _upload(local: Path, folder: Path) -> None:
    """Copies the files below a local folder. Raises RdcError if the bucket does not take them."""
    with paths.errors(folder):
        for file in sorted(path for path in local.rglob("*") if path.is_file()):
            target = folder / file.relative_to(local).as_posix()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
