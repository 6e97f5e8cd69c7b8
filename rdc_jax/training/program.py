"""The compiled part of a run: what `train` executes, and what `--aot` compiles for a pod.

Everything here follows from a task, a mesh and the shapes of the parameters.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
from jax.sharding import Mesh

from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.errors import RdcError
from rdc_jax.models.attention import plain_attention
from rdc_jax.models.networks import Networks
from rdc_jax.models.unet import REMAT
from rdc_jax.training import convolutions, state
from rdc_jax.training import optimizer as optimizers
from rdc_jax.training.attention import attention_kernel, compiler_options
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.step import COUNTS, REPLACED, STOP, make_step
from rdc_jax.training.tasks import latent_checks
from rdc_jax.training.tasks.task import Monitor, Task, split_parameters, used_parameters

COMPUTE_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


class Program(NamedTuple):
    """Functions, and trees of ShapeDtypeStruct with shardings that say what they take."""

    step: Callable  # (state, frozen, batch, key) -> (state, metrics), jitted
    monitor: Monitor | None  # of the task, jitted
    create_state: Callable  # trained parameters -> state at step 0, jitted
    state: Any
    frozen: Any
    batch: dict[str, jax.ShapeDtypeStruct]


def build(task: Task, mesh: Mesh, params: Mapping[str, Any]) -> Program:
    """The program of a task on a mesh.

    Args:
        task: What is trained.
        mesh: Of the devices.
        params: All parts of the parameters, or their shapes.

    Raises:
        RdcError: naming a setting that does not fit.
    """
    training, batch_size = task.config.training, task.config.data.batch_size
    partitioning.check_batch_size(mesh, batch_size, training.accumulate)
    trained, frozen = split_parameters(task.trained, used_parameters(task, params))
    optimizer = optimizers.build(training.to_dict())

    def create(parameters):
        return state.create(parameters, optimizer)

    abstract = jax.eval_shape(create, trained)
    shardings = partitioning.parameter_sharding(mesh, abstract)
    networks = training_networks(training, task.networks, mesh)
    loss = convolutions.rewritten(task.build_loss(networks), training.convolutions)
    monitor = task.build_monitor(networks) if task.build_monitor else None
    if training.split_rows:
        check_rows(task, mesh)
        loss = on_whole_kernels(loss, mesh)
        monitor = monitor and on_whole_kernels(monitor, mesh)
    decay = state.ema_decay(training.ema_half_life, batch_size)
    return Program(
        step=make_step(
            loss, optimizer, decay, accumulate=training.accumulate, shardings=shardings,
            compiler_options=compiler_options(mesh),
        ),
        monitor=monitor and jax.jit(
            of_some(monitor, batch_size // training.accumulate),
            compiler_options=compiler_options(mesh),
        ),
        create_state=jax.jit(create, out_shardings=shardings),
        state=partitioning.with_shardings(abstract, shardings),
        frozen=partitioning.with_shardings(
            frozen, partitioning.parameter_sharding(mesh, frozen)
        ),
        batch={
            name: jax.ShapeDtypeStruct(
                (batch_size, *shape), dtype,
                sharding=partitioning.batch_sharding(mesh, name, training.split_rows),
            )
            for name, (shape, dtype) in batch_entries(task).items()
        },
    )  # fmt: skip


def training_networks(
    training: ml_collections.ConfigDict, networks: Networks, mesh: Mesh
) -> Networks:
    """The networks as the step computes them: dtype, rematerialisation, attention kernel.

    Args:
        training: That section of a config.
        networks: The networks in float32.
        mesh: Of the devices that will compute.

    Raises:
        RdcError: naming a setting that does not fit.
    """
    dtype = compute_dtype(training)
    if training.remat not in REMAT:
        raise RdcError(f"training.remat must be {', '.join(REMAT)}, not {training.remat!r}")
    attend = attention_kernel(training.attention, mesh, dtype)
    return networks.computing_with(dtype, training.remat, attend)


def compute_dtype(training: ml_collections.ConfigDict) -> Any:
    """The dtype of training.compute_dtype. Raises RdcError for an unknown one."""
    if training.compute_dtype not in COMPUTE_DTYPES:
        names = " or ".join(COMPUTE_DTYPES)
        raise RdcError(f"training.compute_dtype must be {names}, not {training.compute_dtype!r}")
    return COMPUTE_DTYPES[training.compute_dtype]


def validation_networks(training: ml_collections.ConfigDict, networks: Networks) -> Networks:
    """The networks as validation computes them: the dtype of the step, plain attention.

    Every device decodes a crop of its own, so the kernels that know the mesh do not fit. Without
    a backward pass, a single crop needs little memory.

    Args:
        training: That section of a config.
        networks: The networks in float32.
    """
    return networks.computing_with(compute_dtype(training), "none", plain_attention)


def of_some(monitor: Monitor, count: int) -> Monitor:
    """The monitor of the first `count` examples of a batch, as many as the step holds at once."""

    def of_first(trained, frozen, batch, key):
        some = {name: value[:count] for name, value in batch.items() if name not in COUNTS}
        return monitor(trained, frozen, some, key)

    return of_first


def check_rows(task: Task, mesh: Mesh) -> None:
    """Raises RdcError unless every device has two rows, or more, of the coarsest features.

    With fewer, the partitioner of jaxlib 0.10.2 computes some gradients of convolutions wrongly.
    """
    ways, size = mesh.shape["tensor"], task.config.data.crop_size
    pixels = task.coarsest_stride * task.networks.downsampling * ways
    if ways > 1 and (size % pixels or size < 2 * pixels):
        raise RdcError(
            f"training.split_rows over mesh.tensor {ways} needs a data.crop_size that is a "
            f"multiple of {pixels} and at least {2 * pixels}, not {size}"
        )


def on_whole_kernels(function: Callable, mesh: Mesh) -> Callable:
    """The same loss or monitor, see `partitioning.gather_kernels`."""

    def gathered(trained, frozen, batch, key):
        trained, frozen = partitioning.gather_kernels(mesh, (trained, frozen))
        return function(trained, frozen, batch, key)

    return gathered


def batch_entries(task: Task) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Shape without the batch axis, and dtype, of each entry of a batch."""
    config = task.config
    size, cells = config.data.crop_size, config.data.crop_size // config.model.cell_size
    entries = {
        "importance": ((cells, cells), jnp.uint8),
        STOP: ((), jnp.int32),
        REPLACED: ((), jnp.uint8),
    }
    if config.data.kind == "latents":
        latent_checks.check_stage(task)
        side = size // LATENT_PIXELS
        entries["latent"] = ((side, side, config.model.latent_channels), jnp.float16)
    else:
        entries["image"] = ((size, size, 3), jnp.uint8)
    return entries


def model_flops(task: Task, params: Mapping[str, Any]) -> float:
    """Convolutions and matrix products of one step's loss and gradient, without recomputation.

    params: all parts of the parameters that the loss uses, or their shapes.
    """
    from rdc_jax.training.cost import flops

    halves = split_parameters(task.trained, params)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), halves)
    gradient = jax.grad(task.build_loss(task.networks), has_aux=True)
    one = {
        name: jax.ShapeDtypeStruct((1, *shape), dtype)
        for name, (shape, dtype) in batch_entries(task).items()
        if name not in COUNTS
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    return task.config.data.batch_size * flops.count(gradient, *shapes, one, key)
