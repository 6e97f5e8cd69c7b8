"""The training run, in chapters: processes, data, parameters, state, loop.

    rdc train --config configs/tiny.py data.path=FOLDER workdir=runs/tiny

The same command serves a laptop, one GPU and a pod (launch/). Interrupting (Ctrl-C, or SIGTERM
from a scheduler) ends the step and saves. Starting again with the same workdir resumes exactly,
data included, on as many devices as there are then. The loop is in loop.py.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections
from clu import parameter_overview

from rdc_jax import paths
from rdc_jax.errors import RdcError
from rdc_jax.training import check_config, program, saved_config, start_record, workdir_lock
from rdc_jax.training.checkpoints import Checkpoints, check_location
from rdc_jax.training.cluster import distributed, interrupts, partitioning, shared_workdir
from rdc_jax.training.cluster.interrupts import CONTINUE, TERMINATED, Terminated
from rdc_jax.training.image_sets import open_images
from rdc_jax.training.loop import Progress, Session, run_steps, throughput_meter
from rdc_jax.training.means import StepMeans
from rdc_jax.training.metric_writers import open_writers
from rdc_jax.training.tasks import latent_checks
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.tasks.task import Task, split_parameters
from rdc_jax.training.validation import reference_curve, run_validation


@distributed.failing_alone()
def train(config: ml_collections.ConfigDict) -> Path:
    """Runs the configured stage to `training.total_steps`; returns the exported model folder.

    Raises:
        RdcError: naming the setting, for anything the user can fix; and for a non-finite loss (the
            last good checkpoint stays).
        KeyboardInterrupt, Terminated: after a signal, once the state is saved.
    """
    config = check_config.checked(config)

    # Processes: one, or those that launch/ started. The first one alone logs and exports.
    check_location(config.workdir)
    distributed.initialize()
    is_first = jax.process_index() == 0
    with contextlib.ExitStack() as stack:
        started = stack.enter_context(interrupts.starting())
        if is_first:
            stack.enter_context(workdir_lock.empty_folders_removed(config.workdir))
        shared_workdir.check(config.workdir)
        if is_first:
            stack.enter_context(workdir_lock.only_run_in(config.workdir))
        return run_stage(config, started)


def run_stage(config: ml_collections.ConfigDict, started: Callable[[], None]) -> Path:
    """The chapters of `train` after the processes have met.

    Args:
        config: Of the run.
        started: Called after the first step.
    """
    begun, is_first = time.perf_counter(), jax.process_index() == 0
    mesh = partitioning.make_mesh(config.mesh.to_dict())
    partitioning.check_batch_size(mesh, config.data.batch_size, config.training.accumulate)

    # Data: the source, a few of its images held out for validation, and other sets to mix in.
    task = task_for(config)
    check_config.check_crops(task)
    images = open_images(task)

    # Parameters: fresh, or from a model folder. The task says which are trained.
    params = task.initial_parameters(images.examples)
    latent_checks.check_autoencoder(task, images.source, params)
    writer = open_writers(config, silent=not is_first)
    validate = None
    if run_validation.validates(config):
        validate = run_validation.RunValidation(task, images.crops, mesh)
    run = program.build(task, mesh, params)
    trained, frozen = split_parameters(task.trained, params)
    if is_first:
        report_parameters(writer, trained, frozen)

    # State: placed on the mesh; restored if this workdir has a checkpoint, the data with it.
    best = config.training.keep_best
    checkpoints = Checkpoints(
        config.workdir, config.training.keep_checkpoints, best, reference_curve.better(best)
    )
    progress = start_or_resume(task, run, checkpoints, trained)
    if is_first:
        saved_config.write(task.config)
        start_record.append(config.workdir, progress.step, mesh)
    unused = {part: frozen.pop(part) for part in task.unused if part in frozen}
    frozen = partitioning.place(frozen, run.frozen)
    del params, trained

    # Loop: next batch, step, log, validate, save.
    meter = throughput_meter(task, run, mesh, begun)
    session = Session(
        *(task, mesh, run, frozen, unused, images, checkpoints, writer, validate, started),
        *(meter, StepMeans()),
    )
    try:
        progress, stop = run_steps(session, progress)
    finally:
        checkpoints.close()
        writer.close()
    return finish(session, progress, stop)


def finish(session: Session, progress: Progress, stop: int) -> Path:
    """Exports the averaged weights of a run that is done; returns the model folder.

    Args:
        session: Of the run.
        progress: Where it stands.
        stop: The signal that ended it, or CONTINUE.

    Raises:
        KeyboardInterrupt, Terminated: for a run that a signal ended.
    """
    is_first = jax.process_index() == 0
    if stop != CONTINUE:
        if is_first:
            print(f"stopped by a signal: saved step {progress.step}", flush=True)
        jax.distributed.shutdown()  # all processes are here
        raise Terminated if stop == TERMINATED else KeyboardInterrupt
    average = partitioning.gather(session.frozen | progress.state.ema_params, keep=is_first)
    folder = paths.of(session.task.config.workdir) / "model"
    if is_first:
        export(session.task, folder, average | session.unused)
    return folder


def report_parameters(writer: Any, trained: Mapping[str, Any], frozen: Mapping[str, Any]) -> None:
    """Prints the sizes of the parts, and keeps the table of all arrays in parameters.txt.

    Args:
        writer: Of the run.
        trained: Parameters by part.
        frozen: Likewise.
    """
    for word, parts in (("trained", trained), ("frozen", frozen)):
        for part, tree in parts.items():
            print(f"{word}: {part}, {parameter_overview.count_parameters(tree):,} parameters")
    tree = {"trained": trained, "frozen": frozen}
    table = parameter_overview.get_parameter_overview(tree, include_stats=False)
    writer.write_texts(0, {"parameters": table})


def start_or_resume(
    task: Task, run: program.Program, checkpoints: Checkpoints, trained: Mapping[str, Any]
) -> Progress:
    """The state at step 0, of the newest checkpoint, or of another run that this one continues.

    Args:
        task: Of the run.
        run: Its program.
        checkpoints: Those of the workdir.
        trained: Initial parameters, host arrays.

    Raises:
        RdcError: where the workdir holds another run.
    """
    config = task.config
    if checkpoints.latest_step() is not None:
        folder = config.workdir
        saved_config.check(config)
        step, state, data = checkpoints.restore(run.state)
    elif config.restore_from:
        folder = config.restore_from
        saved_config.check(config, folder)
        step = config.restore_step if config.restore_step >= 0 else None
        with contextlib.closing(Checkpoints(folder, keep=None)) as source:
            step, state, data = source.restore(run.state, step)
    else:
        return Progress(0, 0, run.create_state(partitioning.place(trained, run.state.params)))
    # Checkpoints of early versions do not say how many images were seen.
    examples = data.get("examples", step * config.data.batch_size)
    if jax.process_index() == 0:
        print(f"resumed from step {step} of {folder}", flush=True)
    return Progress(step, examples, state)


def export(task: Task, folder: Path, params: Mapping[str, Any]) -> None:
    """Writes a model for `rdc encode --model`, or a module for `rdc decode --fusion`.

    Args:
        task: Of the run.
        folder: Where to.
        params: Host arrays of all parts.

    Raises:
        RdcError: the folder cannot be written.
    """
    try:
        task.export(folder, params)
    except paths.RemoteError:
        raise
    except OSError as error:
        raise RdcError(
            f"cannot write {folder}: {error.strerror or error}; make room there and give the same "
            "command again"
        ) from error
