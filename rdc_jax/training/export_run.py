"""Exports a run that goes on: the averaged weights of one of its checkpoints, as a model.

The checkpoint is only read, in another process and on the CPU, so the run is not disturbed.
"""

import contextlib
from pathlib import Path

import jax
import numpy as np

from rdc_jax.training import check_config, saved_config
from rdc_jax.training.checkpoints import Checkpoints
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.tasks.task import split_parameters


def export_run(workdir: str, folder: Path, step: int | None = None) -> int:
    """Writes what the run itself would write to `workdir/model` at the end.

    Args:
        workdir: Of the run. Paths in its config, such as init_from, count from the current folder.
        folder: Where to.
        step: Of the checkpoint; None: the newest.

    Returns:
        The step of the checkpoint.

    Raises:
        RdcError: there is no such run or checkpoint.
    """
    jax.config.update("jax_platforms", "cpu")  # the run has the accelerators
    task = task_for(check_config.checked(saved_config.read(workdir)))
    trained, frozen = split_parameters(task.trained, task.parameter_shapes())
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), trained
    )
    with contextlib.closing(Checkpoints(workdir, keep=None)) as checkpoints:
        step, average = checkpoints.restore_average(abstract, step)
    if frozen:  # they are not in checkpoints, and do not depend on images
        params = task.initial_parameters(np.zeros((1, 64, 64, 3), np.uint8))
        frozen = split_parameters(task.trained, params)[1]
    task.export(folder, frozen | jax.device_get(average))
    return step
