"""The training loop, in chapters: data, networks, state, step, loop.

    rdc train --config configs/tiny.py data.path=FOLDER workdir=runs/tiny

Interrupting (Ctrl-C) ends the step and saves; starting again with the same workdir resumes
exactly, data included.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
import optax
from clu import parameter_overview

from rdc_jax import model_folder
from rdc_jax.data import pipeline, sources
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks
from rdc_jax.training import distributed, partitioning, stages, state, validation
from rdc_jax.training import optimizer as optimizers
from rdc_jax.training.checkpoints import Checkpoints
from rdc_jax.training.initialization import match_empirical_scales
from rdc_jax.training.interrupts import deferred_interrupt
from rdc_jax.training.metric_writer import MetricWriter


def train(config: ml_collections.ConfigDict) -> Path:
    """Runs the configured stage to `training.total_steps`; returns the exported model folder.

    Raises RdcError naming the setting for anything the user can mend, and for a non-finite loss
    (the last good checkpoint stays).
    """
    if config.stage not in stages.TRAINED:
        raise RdcError(f"stage must be one of {', '.join(stages.TRAINED)}, not {config.stage!r}")

    # Processes: one, or those that launch/ started. The first one alone logs and exports.
    distributed.initialize()
    processes, is_first = jax.process_count(), jax.process_index() == 0
    if config.data.batch_size % jax.device_count():
        raise RdcError(
            f"data.batch_size {config.data.batch_size} does not divide among "
            f"{jax.device_count()} devices"
        )

    # Data: one source, a few of its images held out for validation.
    model, training = config.model.to_dict(), config.training.to_dict()
    source = open_source(config)
    held_out = pipeline.held_out_split(len(source), config.data.held_out, seed=0)
    batches = pipeline.training_iterator(
        source,
        batch_size=config.data.batch_size // processes,
        crop_size=config.data.crop_size,
        cell_size=model["cell_size"],
        num_levels=model["num_levels"],
        seed=config.seed,
        exclude=held_out,
        process_index=jax.process_index(),
        process_count=processes,
        num_threads=config.data.num_threads,
    )
    crops = validation.validation_crops(source, held_out, size=2 * config.data.crop_size)

    # Networks and parameters: fresh, or from a weights folder; split into trained and frozen.
    networks = Networks.from_config(model)
    params = initial_parameters(config, networks, crops)
    trained = {k: params[k] for k in stages.TRAINED[config.stage] if k in params}
    frozen = {k: v for k, v in params.items() if k not in trained}
    for part, tree in params.items() if is_first else ():
        count = parameter_overview.count_parameters(tree)
        print(f"{'trained' if part in trained else 'frozen'}: {part}, {count:,} parameters")

    # State: placed on the mesh, restored if this workdir has a checkpoint.
    mesh = partitioning.make_mesh()
    optimizer = optimizers.build(training)
    train_state = state.create(trained, optimizer)
    shardings = partitioning.parameter_sharding(mesh, train_state)
    train_state = jax.device_put(train_state, shardings)
    frozen = jax.device_put(frozen, partitioning.parameter_sharding(mesh, frozen))
    checkpoints = Checkpoints(config.workdir, training["keep_checkpoints"])
    start = 0
    if checkpoints.latest_step() is not None:
        start, train_state = checkpoints.restore(train_state, batches)
        print(f"resumed from step {start} of {config.workdir}", flush=True)

    # Step: loss, gradient, update; the state is donated.
    recipe = make_recipe(model, training)
    loss = stages.LOSSES[config.stage](networks, recipe)
    step_fn = make_step(loss, optimizer, shardings, config)

    # Loop: next batch, step, log, validate, save. Saving precedes the next move of the iterator.
    writer = MetricWriter(config.workdir, silent=not is_first)
    validate = validation.make_validate(networks)
    key = jax.random.key(config.seed)
    step, total, log_every = start, training["total_steps"], training["log_every"]
    last_log, window = time.perf_counter(), []
    try:
        with deferred_interrupt() as interrupted:
            while step < total:
                batch = partitioning.global_batch(mesh, next(batches))
                step_key = jax.random.fold_in(key, step)
                train_state, metrics = step_fn(train_state, frozen, batch, step_key)
                window.append(metrics)
                step += 1
                stopping = interrupted()
                saving = stopping or step == total or step % training["checkpoint_every"] == 0
                if saving or step % log_every == 0:  # a loss that is not finite is never saved
                    values = mean_metrics(jax.device_get(window), step, config.workdir)
                    seconds = (time.perf_counter() - last_log) / len(window)
                    writer.write_scalars(step, values | {"seconds_per_step": seconds})
                    last_log, window = time.perf_counter(), []
                if is_first and (step == total or step % training["sample_every"] == 0):
                    params = jax.device_get(frozen | train_state.ema_params)
                    scalars, sheet = validation.run(validate, params, crops)
                    writer.write_scalars(step, scalars)
                    writer.write_images(step, {"validation": sheet})
                if saving:
                    checkpoints.save(step, train_state, batches)
                if stopping:
                    print(f"interrupted: saved step {step}", flush=True)
                    raise KeyboardInterrupt
    finally:
        checkpoints.close()
        writer.close()
    if is_first:
        export(config, networks, frozen | train_state.ema_params)
    return Path(config.workdir) / "model"


def export(config: ml_collections.ConfigDict, networks: Networks, params: Any) -> None:
    """Writes `workdir/model`, the folder that `rdc encode --model` takes."""
    stored = jax.tree.map(lambda x: np.asarray(x).astype(np.float16), jax.device_get(params))
    params = jax.tree.map(lambda x: x.astype(np.float32), stored)  # what a decoder will load
    entropy = model_folder.entropy_arrays(
        params["hyperprior"], networks.step_table(params), networks.hyperprior.latent_unit
    )
    folder = Path(config.workdir) / "model"
    model_folder.save(folder, config.name, config.model.to_dict(), params, entropy)


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


def initial_parameters(
    config: ml_collections.ConfigDict, networks: Networks, crops: np.ndarray
) -> dict[str, Any]:
    """Fresh parameters (joint stage) or those of the weights folder `init_from`."""
    if config.init_from:
        return model_folder.load(config.init_from).params
    if config.stage != "joint":
        raise RdcError(f"stage {config.stage} needs init_from=FOLDER with trained weights")
    params = jax.jit(networks.init)(jax.random.key(config.seed))
    return match_empirical_scales(networks, params, crops)


def make_recipe(model: dict[str, Any], training: dict[str, Any]) -> stages.Recipe:
    """The numbers the losses need, from the config's two sections."""
    return stages.Recipe(
        num_levels=model["num_levels"],
        timestep_range=tuple(model["timestep_range"]),
        timestep_gap=training["timestep_gap"],
        uniform_map_share=training["uniform_map_share"],
        distortion_weight=training["distortion_weight"],
        latent_weight=training["latent_weight"],
        balance=training["balance"],
        later_clock_share=training["later_clock_share"],
    )


def make_step(
    loss: stages.Loss, optimizer: Any, shardings: Any, config: ml_collections.ConfigDict
) -> Callable:
    """The jitted train step (state, frozen, batch, key) -> (state, metrics)."""
    decay = state.ema_decay(config.training.ema_half_life, config.data.batch_size)

    def train_step(train_state, frozen, batch, key):
        gradient = jax.value_and_grad(loss, has_aux=True)
        (value, metrics), grads = gradient(train_state.params, frozen, batch, key)
        new_state = state.apply_gradients(train_state, grads, optimizer, decay)
        return new_state, {"loss": value, "gradient_norm": optax.tree.norm(grads)} | metrics

    return jax.jit(train_step, donate_argnums=0, out_shardings=(shardings, None))


def mean_metrics(window: list[dict[str, Any]], step: int, workdir: str) -> dict[str, float]:
    """Averages of the last steps; a non-finite loss ends the run with a message."""
    means = {k: float(np.mean([m[k] for m in window])) for k in window[0]}
    if not all(np.isfinite(value) for value in means.values()):
        raise RdcError(
            f"loss is not finite at step {step}: lower training.muon_learning_rate and start "
            f"again, the last good checkpoint is in {workdir}"
        )
    return means
