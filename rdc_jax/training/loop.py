"""The loop of a run: next batch, step, log, save, validate.

A step's metrics are read once the next step is under way, so devices never wait for the host, and
all processes see the same signals and stop together.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from rdc_jax.errors import RdcError
from rdc_jax.training import program
from rdc_jax.training.checkpoints import Checkpoints
from rdc_jax.training.cluster import distributed, partitioning
from rdc_jax.training.cluster.interrupts import CONTINUE, largest_request, noted_signals
from rdc_jax.training.cluster.watchdog import watchdog
from rdc_jax.training.cost import hardware
from rdc_jax.training.image_sets import ImageSets, training_batches
from rdc_jax.training.means import StepMeans
from rdc_jax.training.metric_writers import MultiWriter
from rdc_jax.training.profile import profile_window
from rdc_jax.training.step import REPLACED, STOP
from rdc_jax.training.tasks.task import Task
from rdc_jax.training.throughput import Throughput
from rdc_jax.training.validation import run_validation


class Progress(NamedTuple):
    """Where a run stands."""

    step: int  # steps done
    examples: int  # images seen
    state: Any  # a TrainState


class Session(NamedTuple):
    """All that the loop of one process works with."""

    task: Task
    mesh: jax.sharding.Mesh
    run: program.Program
    frozen: Any  # parameters that are not trained, placed on the mesh
    unused: Any  # parameters that the loss does not use, host arrays
    images: ImageSets
    checkpoints: Checkpoints
    writer: MultiWriter
    validate: run_validation.RunValidation | None  # None for a run that never validates
    started: Callable[[], None]  # to be called after the first step
    meter: Throughput
    means: StepMeans  # of the steps since the last line of the log


def run_steps(session: Session, progress: Progress) -> tuple[Progress, int]:
    """Trains to the last step, or until a signal; returns where it stands, and the signal."""
    config, run, meter = session.task.config, session.run, session.meter
    training, batch_size = config.training, config.data.batch_size
    rows = partitioning.batch_rows(session.mesh, batch_size)
    batches = training_batches(config, session.images, rows, progress.examples)
    key, start = jax.random.key(config.seed), progress.step
    before, stop = None, CONTINUE
    with (
        contextlib.closing(batches),  # ends worker processes
        distributed.errors_in_words(),
        noted_signals() as asked,
        watchdog(training.stall_timeout) as moved,
        profile_window(config.workdir, training) as profile,
    ):

        def go_on() -> bool:  # asked by a validation, which may take minutes
            moved()
            return asked() == CONTINUE

        while progress.step < training.total_steps and stop == CONTINUE:
            profile(progress.step - start)
            with jax.profiler.StepTraceAnnotation("train", step_num=progress.step):
                with meter.waiting_for_input():
                    local = next(batches)
                local[STOP] = np.full(len(rows), asked(), np.int32)
                batch = partitioning.global_batch(local, run.batch, rows)
                step_key = jax.random.fold_in(key, progress.step)
                with meter.paused() if before is None else contextlib.nullcontext():  # compiles
                    state, metrics = run.step(progress.state, session.frozen, batch, step_key)
            progress = Progress(progress.step + 1, progress.examples + batch_size, state)
            if before is None:
                jax.block_until_ready(metrics)  # from now on, a signal has the state saved
                session.started()
            else:
                stop = int(before[STOP])  # waits for the step before
                moved()
            before = metrics
            session.means.add({name: x for name, x in metrics.items() if name != STOP})
            after_step(session, progress, batch, stop, go_on)
        if stop == CONTINUE:  # no step told the others of a signal during the last validation
            stop = largest_request(asked())
    return progress, stop


def after_step(
    session: Session, progress: Progress, batch: Any, stop: int, go_on: Callable[[], bool]
) -> None:
    """Logs, saves and validates, each if it is due.

    Args:
        session: Of the run.
        progress: After the step.
        batch: Of the step, on the devices.
        stop: The signal that ends the run, or CONTINUE.
        go_on: Asked before every image of a validation.
    """
    training, step = session.task.config.training, progress.step
    last = step == training.total_steps
    validating = session.validate is not None and (last or due(training.sample_every, step))
    ranked = validating and training.keep_best != ""  # its checkpoint needs the result
    saving = last or stop != CONTINUE or ranked or due(training.checkpoint_every, step)
    if saving or due(training.log_every, step):  # what is not finite is never saved
        log(session, progress)
    if saving and not ranked:
        save(session, progress)
    if validating:
        with session.meter.paused():
            scalars = validate(session, progress, batch, go_on)
        if ranked:
            save(session, progress, agreed(scalars.get(training.keep_best)))


def due(every: int, step: int) -> bool:
    """Whether something that happens every so many steps happens after this one; 0: never."""
    return every > 0 and step % every == 0


def save(session: Session, progress: Progress, metric: float | None = None) -> None:
    """Starts to write a checkpoint.

    Args:
        session: Of the run.
        progress: What to save.
        metric: training.keep_best of this step, if it was measured.
    """
    with session.meter.paused():
        data = {"examples": progress.examples}
        session.checkpoints.save(progress.step, progress.state, data, metric)


def agreed(metric: float | None) -> float | None:
    """What the first process measured, in all processes, which rank checkpoints alike."""
    value = np.float32(math.nan if metric is None else metric)
    if jax.process_count() > 1:
        value = multihost_utils.broadcast_one_to_all(value)
    return float(value) if math.isfinite(value) else None


def validate(
    session: Session, progress: Progress, batch: Any, go_on: Callable[[], bool]
) -> Mapping[str, float]:
    """Measures the averaged weights on held-out images, and the task's monitor on a batch.

    Args:
        session: Of the run.
        progress: Where it stands.
        batch: The last one, on the devices.
        go_on: Asked before every image.

    Returns:
        The scalars of the validation, in the first process; {} if it was ended.
    """
    run, state, writer = session.run, progress.state, session.writer
    if run.monitor:
        key = jax.random.key(session.task.config.seed)
        scalars = run.monitor(state.params, session.frozen, batch, key)
        writer.write_scalars(progress.step, jax.device_get(scalars))
    average = session.frozen | state.ema_params | session.unused
    found = session.validate(average, progress.step, go_on)
    if not found:
        return {}
    run_validation.write(writer, progress.step, {"images": progress.examples}, *found)
    return found[0]


def log(session: Session, progress: Progress) -> None:
    """Writes the means of the last steps' metrics, and the speed; with log_every 0, only checks.

    Args:
        session: Of the run.
        progress: After the last of these steps.

    Raises:
        RdcError: for a metric that is not finite.
    """
    config = session.task.config
    steps, values = session.means.take()
    if not all(math.isfinite(value) for value in values.values()):
        raise RdcError(
            f"loss is not finite at step {progress.step}: lower training.muon_learning_rate or "
            "training.adam_learning_rate and start again, the last good checkpoint is in "
            f"{config.workdir}"
        )
    seen = {"images": progress.examples} | session.meter.rates(steps)
    if replaced := round(steps * values.pop(REPLACED, 0)):
        seen["replaced_images"] = replaced
    if config.training.log_every:
        session.writer.write_scalars(progress.step, values | seen)


def throughput_meter(
    task: Task, run: program.Program, mesh: jax.sharding.Mesh, begun: float
) -> Throughput:
    """Measures speed, with model FLOPs utilisation where the devices' peak is known.

    Args:
        task: Of the run.
        run: Its program.
        mesh: Of the devices.
        begun: When the run began, see `Throughput`.
    """
    batch_size = task.config.data.batch_size
    peaks = hardware.peaks_of(mesh.devices.flat[0].device_kind)
    if peaks is None:
        return Throughput(batch_size, begun)
    work = program.model_flops(task, run.state.params | run.frozen)
    return Throughput(batch_size, begun, work, peaks.flops * mesh.devices.size)
