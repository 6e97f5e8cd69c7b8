"""The training loop, in chapters: processes, data, parameters, state, loop.

    rdc train --config configs/tiny.py data.path=FOLDER workdir=runs/tiny

The same command serves a laptop, one GPU and a pod (launch/). Interrupting (Ctrl-C, or SIGTERM
from a scheduler) ends the step and saves; starting again with the same workdir resumes exactly,
data included, on as many devices as there are then.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from clu import parameter_overview
from jax.experimental import multihost_utils

from rdc_jax.data import mixing, pipeline, sources
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model
from rdc_jax.models.hyperprior import blinded
from rdc_jax.models.networks import Networks
from rdc_jax.training import program
from rdc_jax.training.checkpoints import Checkpoints
from rdc_jax.training.cluster import distributed, partitioning
from rdc_jax.training.cluster.interrupts import CONTINUE, TERMINATED, Terminated, noted_signals
from rdc_jax.training.cluster.watchdog import watchdog
from rdc_jax.training.cost import hardware
from rdc_jax.training.metric_writer import MetricWriter
from rdc_jax.training.profile import profile_window
from rdc_jax.training.step import STOP
from rdc_jax.training.tasks import fusion_task, latent_checks
from rdc_jax.training.tasks.initialization import fitted_to, match_empirical_scales
from rdc_jax.training.throughput import Throughput
from rdc_jax.training.validation import measuring, run_validation


@distributed.failing_alone()
def train(config: ml_collections.ConfigDict) -> Path:
    """Runs the configured stage to `training.total_steps`; returns the exported model folder.

    Raises RdcError naming the setting for anything the user can mend, and for a non-finite loss
    (the last good checkpoint stays); after a signal, and once the state is saved,
    KeyboardInterrupt or Terminated.
    """
    # Processes: one, or those that launch/ started. The first one alone logs and exports.
    distributed.initialize()
    is_first = jax.process_index() == 0
    mesh = partitioning.make_mesh(config.mesh.to_dict())
    training, batch_size = config.training, config.data.batch_size
    partitioning.check_batch_size(mesh, batch_size, training.accumulate)
    program.check_stage(config.stage)
    config = fusion_task.with_base(config)

    # Data: the source, a few of its images held out for validation, and other sets to mix in.
    source = open_source(config)
    mix = mixing.open_mix(config.data.get("mix", ""))
    latent_checks.check_settings(config, source)
    held_out = pipeline.held_out_split(len(source), config.data.held_out, seed=0)
    crops = measuring.validation_crops(source, held_out, size=measuring.crop_side(config))

    # Parameters: fresh, or from a weights folder. The program says which are trained.
    networks = Networks.from_config(config.model.to_dict())
    params = initial_parameters(config, networks, crops)
    latent_checks.check_autoencoder(config, source, params)
    validate = run_validation.RunValidation(config, networks, crops) if is_first else None
    run = program.build(config, mesh, params)
    trained, frozen = program.split_parameters(config.stage, params)
    for part, tree in params.items() if is_first else ():
        count = parameter_overview.count_parameters(tree)
        print(f"{'trained' if part in trained else 'frozen'}: {part}, {count:,} parameters")

    # State: placed on the mesh; restored if this workdir has a checkpoint, the data with it.
    checkpoints = Checkpoints(config.workdir, training.keep_checkpoints)
    start, progress = 0, {"examples": 0}
    if checkpoints.latest_step() is None:
        train_state = run.create_state(partitioning.place(trained, run.state.params))
    else:
        start, train_state, progress = checkpoints.restore(run.state)
        progress.setdefault("examples", start * batch_size)  # as before checkpoints said it
        if is_first:
            print(f"resumed from step {start} of {config.workdir}", flush=True)
    frozen = partitioning.place(frozen, run.frozen)
    del params, trained
    rows = partitioning.batch_rows(mesh, batch_size)
    batches = training_batches(config, source, held_out, rows, progress["examples"], mix)
    image_sources = [source, *(part.source for part in mix)]

    # Loop: next batch, step, log, validate, save. A step is looked at once the next is under way,
    # so devices never wait for the host, and all processes see the same and stop together.
    writer = MetricWriter(config.workdir, silent=not is_first)
    encoder_shares = program.build_encoder_shares(config, mesh)
    meter = throughput_meter(config, run, mesh)
    key = jax.random.key(config.seed)
    step, total, examples = start, training.total_steps, progress["examples"]
    window, before, stop = [], None, CONTINUE
    try:
        with (
            distributed.errors_in_words(),
            noted_signals() as asked,
            watchdog(training.stall_timeout) as moved,
            profile_window(config.workdir, training) as profile,
        ):

            def go_on() -> bool:  # whether a validation, which may take minutes, should
                moved()
                return asked() == CONTINUE

            while step < total and stop == CONTINUE:
                profile(step - start)
                with meter.waiting_for_input():
                    local = next(batches)
                local[STOP] = np.full(len(rows), asked(), np.int32)
                batch = partitioning.global_batch(local, run.batch, rows)
                with meter.paused() if before is None else contextlib.nullcontext():  # compiles
                    train_state, metrics = run.step(
                        train_state, frozen, batch, jax.random.fold_in(key, step)
                    )
                step, examples = step + 1, examples + batch_size
                if before is not None:
                    stop = int(before[STOP])  # waits for the step before
                    moved()
                before = metrics
                window.append(metrics)
                saving = stop or step == total or step % training.checkpoint_every == 0
                if saving or step % training.log_every == 0:  # what is not finite is never saved
                    values = mean_metrics(jax.device_get(window), step, config.workdir)
                    count = mixing.count_skipped(image_sources)
                    skipped = {"skipped_images": count} if count else {}
                    seen = {"images": examples} | meter.rates(len(window)) | skipped
                    writer.write_scalars(step, values | seen)
                    window = []
                if saving:
                    checkpoints.save(step, train_state, {"examples": examples})
                if step == total or step % training.sample_every == 0:
                    with meter.paused():
                        if encoder_shares:
                            parts = encoder_shares(train_state.params, frozen, batch, key)
                            writer.write_scalars(step, jax.device_get(parts))
                        average = partitioning.gather(frozen | train_state.ema_params)
                        if is_first and (found := validate(average, step, go_on)):
                            run_validation.write(writer, step, {"images": examples}, *found)
    finally:
        checkpoints.close()
        writer.close()
    if stop:
        if is_first:
            print(f"stopped by a signal: saved step {step}", flush=True)
        jax.distributed.shutdown()  # all processes are here
        raise Terminated if stop == TERMINATED else KeyboardInterrupt
    average = partitioning.gather(frozen | train_state.ema_params)
    if is_first:
        export(config, networks, average)
    return Path(config.workdir) / "model"


def export(config: ml_collections.ConfigDict, networks: Networks, params: Any) -> None:
    """Writes `workdir/model`, for `rdc encode --model`, or of a module for `rdc decode --fusion`.

    params: host arrays. Raises RdcError when the folder cannot be written.
    """
    folder = Path(config.workdir) / "model"
    try:
        if fusion_task.makes_codec(config):
            export_codec(config, networks, folder, fusion_task.without_module(params))
        if fusion_task.is_fusion(config):
            fusion_task.export(config, folder, params)
    except OSError as error:
        raise RdcError(
            f"cannot write {folder}: {error.strerror or error}; make room there and give the same "
            "command again"
        ) from error


def export_codec(
    config: ml_collections.ConfigDict, networks: Networks, folder: Path, params: Any
) -> None:
    """Writes a codec's model folder, its integer tables made from the weights as stored."""
    stored = jax.tree.map(lambda x: np.asarray(x).astype(np.float16), params)
    params = jax.tree.map(lambda x: x.astype(np.float32), stored)  # what a decoder will load
    entropy = codec_model.entropy_arrays(
        params["hyperprior"], networks.step_table(params), **networks.entropy_settings()
    )
    name = fusion_task.codec_name(config)
    codec_model.save(folder, name, config.model.to_dict(), params, entropy)


def open_source(config: ml_collections.ConfigDict) -> Any:
    """The image source of a config's `data` section."""
    return sources.open_source(
        config.data.kind,
        config.data.path,
        split=config.data.split,
        tfds_dir=config.data.tfds_dir,
        synthetic_size=2 * config.data.crop_size,
        seed=config.seed,
    )


def training_batches(
    config: ml_collections.ConfigDict,
    source: Any,
    held_out: np.ndarray,
    rows: np.ndarray,
    examples: int,
    mix: Sequence[mixing.Part] = (),
) -> Iterator[dict[str, np.ndarray]]:
    """This process's `rows` of every batch, from where a run that has seen `examples` stands.

    Args:
        config: of the run.
        source: the images of `data.path`.
        held_out: indices of the source that are never drawn.
        rows: numbers within a batch, of the examples that this process reads.
        examples: how many the run has seen.
        mix: the sets of `data.mix`.
    """
    return pipeline.training_iterator(
        source,
        batch_size=config.data.batch_size,
        crop_size=config.data.crop_size,
        cell_size=config.model.cell_size,
        num_levels=config.model.num_levels,
        seed=config.seed,
        exclude=held_out,
        mix=mix,
        darken_share=config.data.get("darken_share", 0.0),
        ragged_share=config.data.get("ragged_share", 0.0),
        rows=rows,
        start=examples // config.data.batch_size,
        num_threads=config.data.num_threads,
    )


def initial_parameters(
    config: ml_collections.ConfigDict, networks: Networks, crops: np.ndarray
) -> dict[str, Any]:
    """Fresh parameters (joint stage) or those of the weights folder `init_from`; host arrays."""
    if fusion_task.is_fusion(config):
        return fusion_task.initial_parameters(config, networks)
    if config.init_from:
        stored = codec_model.load(config.init_from).params
        params = fitted_to(networks, stored, config.seed)
        if blind_to := config.training.get("blind_to", ""):
            params["hyperprior"] = jax.device_get(blinded(params["hyperprior"], blind_to))
        return params
    if config.stage != "joint":
        raise RdcError(f"stage {config.stage} needs init_from=FOLDER with trained weights")
    params = jax.jit(networks.init)(jax.random.key(config.seed))
    params = jax.device_get(match_empirical_scales(networks, params, crops))
    if jax.process_count() > 1:  # bit for bit the same, whatever machines the processes are on
        params = multihost_utils.broadcast_one_to_all(params)
    return params


def throughput_meter(
    config: ml_collections.ConfigDict, run: program.Program, mesh: jax.sharding.Mesh
) -> Throughput:
    """With model FLOPs utilisation where the devices' peak is known."""
    peaks = hardware.peaks_of(mesh.devices.flat[0].device_kind)
    if peaks is None:
        return Throughput(config.data.batch_size)
    work = program.model_flops(config, run.state.params | run.frozen)
    return Throughput(config.data.batch_size, work, peaks.flops * mesh.devices.size)


def mean_metrics(window: list[dict[str, Any]], step: int, workdir: str) -> dict[str, float]:
    """Averages of the last steps; a non-finite loss ends the run with a message."""
    names = [name for name in window[0] if name != STOP]
    means = {name: float(np.mean([metrics[name] for metrics in window])) for name in names}
    if not all(np.isfinite(value) for value in means.values()):
        raise RdcError(
            f"loss is not finite at step {step}: lower training.muon_learning_rate or "
            "training.adam_learning_rate and start again, the last good checkpoint is in "
            f"{workdir}"
        )
    return means
