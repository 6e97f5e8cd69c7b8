"""The training loop, in chapters: processes, data, parameters, state, loop.

    rdc train --config configs/tiny.py data.path=FOLDER workdir=runs/tiny

The same command serves a laptop, one GPU and a pod (launch/). Interrupting (Ctrl-C, or SIGTERM
from a scheduler) ends the step and saves. Starting again with the same workdir resumes exactly,
data included, on as many devices as there are then.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
from clu import parameter_overview

from rdc_jax.errors import RdcError
from rdc_jax.training import program, saved_config
from rdc_jax.training.checkpoints import Checkpoints
from rdc_jax.training.cluster import distributed, partitioning
from rdc_jax.training.cluster.interrupts import CONTINUE, TERMINATED, Terminated, noted_signals
from rdc_jax.training.cluster.watchdog import watchdog
from rdc_jax.training.cost import hardware
from rdc_jax.training.image_sets import ImageSets, open_images, training_batches
from rdc_jax.training.metric_writer import MetricWriter
from rdc_jax.training.profile import profile_window
from rdc_jax.training.step import COUNTS, REPLACED, STOP
from rdc_jax.training.tasks import latent_checks
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.tasks.task import Task, split_parameters
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
    writer: MetricWriter
    validate: run_validation.RunValidation | None  # on the first process


@distributed.failing_alone()
def train(config: ml_collections.ConfigDict) -> Path:
    """Runs the configured stage to `training.total_steps`; returns the exported model folder.

    Raises:
        RdcError: naming the setting, for anything the user can fix; and for a non-finite loss (the
            last good checkpoint stays).
        KeyboardInterrupt, Terminated: after a signal, once the state is saved.
    """
    # Processes: one, or those that launch/ started. The first one alone logs and exports.
    distributed.initialize()
    is_first = jax.process_index() == 0
    mesh = partitioning.make_mesh(config.mesh.to_dict())
    partitioning.check_batch_size(mesh, config.data.batch_size, config.training.accumulate)

    # Data: the source, a few of its images held out for validation, and other sets to mix in.
    task = task_for(config)
    images = open_images(task)

    # Parameters: fresh, or from a model folder. The task says which are trained.
    params = task.initial_parameters(images.crops)
    latent_checks.check_autoencoder(task, images.source, params)
    validate = run_validation.RunValidation(task, images.crops) if is_first else None
    run = program.build(task, mesh, params)
    trained, frozen = split_parameters(task.trained, params)
    for part, tree in params.items() if is_first else ():
        count = parameter_overview.count_parameters(tree)
        print(f"{'trained' if part in trained else 'frozen'}: {part}, {count:,} parameters")

    # State: placed on the mesh; restored if this workdir has a checkpoint, the data with it.
    checkpoints = Checkpoints(config.workdir, config.training.keep_checkpoints)
    progress = start_or_resume(task, run, checkpoints, trained)
    unused = {part: frozen.pop(part) for part in task.unused if part in frozen}
    frozen = partitioning.place(frozen, run.frozen)
    del params, trained

    # Loop: next batch, step, log, validate, save.
    writer = MetricWriter(config.workdir, silent=not is_first)
    session = Session(task, mesh, run, frozen, unused, images, checkpoints, writer, validate)
    try:
        progress, stop = run_steps(session, progress)
    finally:
        checkpoints.close()
        writer.close()
    if stop != CONTINUE:
        if is_first:
            print(f"stopped by a signal: saved step {progress.step}", flush=True)
        jax.distributed.shutdown()  # all processes are here
        raise Terminated if stop == TERMINATED else KeyboardInterrupt
    average = partitioning.gather(frozen | progress.state.ema_params) | unused
    if is_first:
        export(task, average)
    return Path(config.workdir) / "model"


def start_or_resume(
    task: Task, run: program.Program, checkpoints: Checkpoints, trained: Mapping[str, Any]
) -> Progress:
    """The state at step 0, or of the newest checkpoint; keeps the config in the workdir.

    Args:
        task: Of the run.
        run: Its program.
        checkpoints: Those of the workdir.
        trained: Initial parameters, host arrays.

    Raises:
        RdcError: where the workdir holds another run.
    """
    config, is_first = task.config, jax.process_index() == 0
    if checkpoints.latest_step() is None:
        state = run.create_state(partitioning.place(trained, run.state.params))
        progress = Progress(0, 0, state)
    else:
        saved_config.check(config)
        step, state, data = checkpoints.restore(run.state)
        # Checkpoints of early versions do not say how many images were seen.
        examples = data.get("examples", step * config.data.batch_size)
        progress = Progress(step, examples, state)
        if is_first:
            print(f"resumed from step {step} of {config.workdir}", flush=True)
    if is_first:
        saved_config.write(config)
    return progress


def run_steps(session: Session, progress: Progress) -> tuple[Progress, int]:
    """Trains to the last step, or until a signal; returns where it stands, and the signal.

    A step's metrics are read once the next step is under way, so devices never wait for the host,
    and all processes see the same signals and stop together.
    """
    task, run, writer = session.task, session.run, session.writer
    training, batch_size = task.config.training, task.config.data.batch_size
    rows = partitioning.batch_rows(session.mesh, batch_size)
    batches = training_batches(task.config, session.images, rows, progress.examples)
    meter = throughput_meter(task, run, session.mesh)
    key = jax.random.key(task.config.seed)
    start, total = progress.step, training.total_steps
    window, before, stop = [], None, CONTINUE
    with (
        contextlib.closing(batches),  # ends worker processes
        distributed.errors_in_words(),
        noted_signals() as asked,
        watchdog(training.stall_timeout) as moved,
        profile_window(task.config.workdir, training) as profile,
    ):

        def go_on() -> bool:  # asked by a validation, which may take minutes
            moved()
            return asked() == CONTINUE

        while progress.step < total and stop == CONTINUE:
            profile(progress.step - start)
            with meter.waiting_for_input():
                local = next(batches)
            local[STOP] = np.full(len(rows), asked(), np.int32)
            batch = partitioning.global_batch(local, run.batch, rows)
            with meter.paused() if before is None else contextlib.nullcontext():  # compiles
                state, metrics = run.step(
                    progress.state, session.frozen, batch, jax.random.fold_in(key, progress.step)
                )
            progress = Progress(progress.step + 1, progress.examples + batch_size, state)
            if before is not None:
                stop = int(before[STOP])  # waits for the step before
                moved()
            before = metrics
            window.append(metrics)
            step = progress.step
            saving = stop or step == total or step % training.checkpoint_every == 0
            if saving or step % training.log_every == 0:  # what is not finite is never saved
                log(session, progress, window, meter)
                window = []
            if saving:
                session.checkpoints.save(step, state, {"examples": progress.examples})
            if step == total or step % training.sample_every == 0:
                with meter.paused():
                    if run.monitor:
                        scalars = run.monitor(state.params, session.frozen, batch, key)
                        writer.write_scalars(step, jax.device_get(scalars))
                    average = partitioning.gather(session.frozen | state.ema_params)
                    average |= session.unused
                    if session.validate and (found := session.validate(average, step, go_on)):
                        run_validation.write(writer, step, {"images": progress.examples}, *found)
    return progress, stop


def log(
    session: Session, progress: Progress, window: list[dict[str, Any]], meter: Throughput
) -> None:
    """Writes the means of the last steps' metrics, and the speed.

    Args:
        session: Of the run.
        progress: After the last of these steps.
        window: Metrics of the steps since the last log.
        meter: Of the speed.

    Raises:
        RdcError: for a metric that is not finite.
    """
    window = jax.device_get(window)
    values = mean_metrics(window, progress.step, session.task.config.workdir)
    seen = {"images": progress.examples} | meter.rates(len(window))
    if replaced := sum(int(metrics[REPLACED]) for metrics in window):
        seen["replaced_images"] = replaced
    session.writer.write_scalars(progress.step, values | seen)


def export(task: Task, params: Mapping[str, Any]) -> None:
    """Writes `workdir/model`, for `rdc encode --model`, or of a module for `rdc decode --fusion`.

    params: host arrays. Raises RdcError when the folder cannot be written.
    """
    folder = Path(task.config.workdir) / "model"
    try:
        task.export(folder, params)
    except OSError as error:
        raise RdcError(
            f"cannot write {folder}: {error.strerror or error}; make room there and give the same "
            "command again"
        ) from error


def throughput_meter(task: Task, run: program.Program, mesh: jax.sharding.Mesh) -> Throughput:
    """Measures speed, with model FLOPs utilisation where the devices' peak is known.

    Args:
        task: Of the run.
        run: Its program.
        mesh: Of the devices.
    """
    batch_size = task.config.data.batch_size
    peaks = hardware.peaks_of(mesh.devices.flat[0].device_kind)
    if peaks is None:
        return Throughput(batch_size)
    work = program.model_flops(task, run.state.params | run.frozen)
    return Throughput(batch_size, work, peaks.flops * mesh.devices.size)


def mean_metrics(window: list[dict[str, Any]], step: int, workdir: str) -> dict[str, float]:
    """Averages of the last steps' metrics.

    Args:
        window: Metrics of each step, host arrays.
        step: Steps done, for the message.
        workdir: For the message.

    Raises:
        RdcError: for a metric that is not finite.
    """
    names = [name for name in window[0] if name not in COUNTS]
    means = {name: float(np.mean([metrics[name] for metrics in window])) for name in names}
    if not all(np.isfinite(value) for value in means.values()):
        raise RdcError(
            f"loss is not finite at step {step}: lower training.muon_learning_rate or "
            "training.adam_learning_rate and start again, the last good checkpoint is in "
            f"{workdir}"
        )
    return means
