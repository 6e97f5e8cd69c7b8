"""The compiled part of a run: what `train` executes, and what `--aot` compiles for a pod.

Everything here follows from a config, a mesh and the shapes of the parameters.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.errors import RdcError
from rdc_jax.models.fusion import Fusion
from rdc_jax.models.hyperprior import HYPER_DOWNSAMPLING
from rdc_jax.models.networks import Networks
from rdc_jax.models.unet import REMAT
from rdc_jax.training import optimizer as optimizers
from rdc_jax.training import state
from rdc_jax.training.attention import attention_kernel
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.step import STOP, make_step
from rdc_jax.training.tasks import codec_losses, fusion_losses, looks

TRAINED = codec_losses.TRAINED | fusion_losses.TRAINED  # parts of the parameters, by stage
COMPUTE_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


class Program(NamedTuple):
    """Functions, and trees of ShapeDtypeStruct with shardings that say what they take."""

    step: Callable  # (state, frozen, batch, key) -> (state, metrics), jitted
    create_state: Callable  # trained parameters -> state at step 0, jitted
    state: Any
    frozen: Any
    batch: dict[str, jax.ShapeDtypeStruct]


def build(config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh, params: Any) -> Program:
    """`params`: the model's parameters or their shapes. Raises RdcError naming a setting."""
    training, batch_size = config.training, config.data.batch_size
    partitioning.check_batch_size(mesh, batch_size, training.accumulate)
    trained, frozen = split_parameters(config.stage, params)
    optimizer = optimizers.build(training.to_dict())

    def create(parameters):
        return state.create(parameters, optimizer)

    abstract = jax.eval_shape(create, trained)
    shardings = partitioning.parameter_sharding(mesh, abstract)
    loss = build_loss(config, training_networks(config, mesh))
    if training.split_rows:
        check_rows(config, mesh)
        loss = on_whole_kernels(loss, mesh)
    decay = state.ema_decay(training.ema_half_life, batch_size)
    return Program(
        step=make_step(
            loss, optimizer, decay, accumulate=training.accumulate, shardings=shardings
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
            for name, (shape, dtype) in batch_entries(config).items()
        },
    )  # fmt: skip


def check_stage(stage: str) -> None:
    """Raises RdcError for no such stage."""
    if stage not in TRAINED:
        raise RdcError(f"stage must be one of {', '.join(TRAINED)}, not {stage!r}")


def split_parameters(stage: str, params: Mapping[str, Any]) -> tuple[dict, dict]:
    """(trained, frozen) parts of the parameters in a stage."""
    check_stage(stage)
    trained = {part: params[part] for part in TRAINED[stage] if part in params}
    if not trained:
        raise RdcError(f"stage {stage} trains the denoiser, and this model has none")
    return trained, {part: tree for part, tree in params.items() if part not in trained}


def training_networks(config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh) -> Networks:
    """The networks as training computes them: dtype, rematerialisation, attention kernel."""
    training = config.training
    if training.compute_dtype not in COMPUTE_DTYPES:
        names = " or ".join(COMPUTE_DTYPES)
        raise RdcError(f"training.compute_dtype must be {names}, not {training.compute_dtype!r}")
    if training.remat not in REMAT:
        raise RdcError(f"training.remat must be {', '.join(REMAT)}, not {training.remat!r}")
    dtype = COMPUTE_DTYPES[training.compute_dtype]
    attend = attention_kernel(training.attention, mesh, dtype)
    return Networks.from_config(config.model.to_dict(), dtype, training.remat, attend)


LOSSES = codec_losses.LOSSES | fusion_losses.LOSSES


def build_loss(
    config: ml_collections.ConfigDict,
    networks: Networks,
    functions: Mapping[str, Callable] = LOSSES,
) -> codec_losses.Loss:
    """The loss of the config's stage, with the numbers it needs from the config.

    functions: what to build for each stage, from the arguments that losses are built from.
    """
    model, training = config.model, config.training
    coding = codec_losses.Recipe(
        num_levels=model.num_levels,
        timestep_range=tuple(model.timestep_range),
        timestep_gap=training.timestep_gap,
        uniform_map_share=training.uniform_map_share,
    )
    if config.stage not in fusion_losses.TRAINED or config.stage in fusion_losses.WITH_BASE:
        coding = dataclasses.replace(
            coding,
            distortion_weight=training.distortion_weight,
            latent_weight=training.latent_weight,
            balance=training.balance,
        )
    if config.stage not in fusion_losses.TRAINED:
        recipe = dataclasses.replace(
            coding,
            later_clock_share=training.later_clock_share,
            input_perturbation=training.input_perturbation,
            blind_to=training.get("blind_to", ""),
            gaussian_noise=training.get("gaussian_noise", False),
        )
        return functions[config.stage](networks, recipe)
    weights = {
        field.name: training[field.name]
        for field in dataclasses.fields(fusion_losses.FusionRecipe)
        if field.name not in ("base", "looks")
    }
    dtype = COMPUTE_DTYPES[training.compute_dtype]
    fusion = Fusion.from_config(config.fusion.to_dict(), networks, dtype)
    judged = looks.Looks.from_config(training.to_dict(), networks.downsampling)
    recipe = fusion_losses.FusionRecipe(coding, judged, **weights)
    return functions[config.stage](networks, fusion, recipe)


def build_encoder_shares(
    config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh
) -> Callable | None:
    """The jitted `fusion_losses.encoder_shares` where the stage has several parts, else None.

    It takes the arguments of the step, and looks at as many examples as the step does at once.
    """
    if config.stage != "end_to_end":
        return None
    shares = {"end_to_end": fusion_losses.encoder_shares}
    compute = build_loss(config, training_networks(config, mesh), shares)
    if config.training.split_rows:
        compute = on_whole_kernels(compute, mesh)
    count = config.data.batch_size // config.training.accumulate

    def of_some(trained, frozen, batch, key):
        some = {name: value[:count] for name, value in batch.items() if name != STOP}
        return compute(trained, frozen, some, key)

    return jax.jit(of_some)


def check_rows(config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh) -> None:
    """Raises RdcError unless every device has two rows, or more, of the coarsest features.

    With fewer, the partitioner of jaxlib 0.10.2 computes some gradients of convolutions wrongly.
    """
    networks, ways = Networks.from_config(config.model.to_dict()), mesh.shape["tensor"]
    strides = [1]
    if config.stage != "entropy" and networks.unet is not None:
        strides.append(2 ** (len(networks.unet.channels) - 1))
    if config.stage != "diffusion" or networks.prior_conditioning:
        strides.append(HYPER_DOWNSAMPLING)
    pixels = max(strides) * networks.downsampling * ways
    size = config.data.crop_size
    if ways > 1 and (size % pixels or size < 2 * pixels):
        raise RdcError(
            f"training.split_rows over mesh.tensor {ways} needs a data.crop_size that is a "
            f"multiple of {pixels} and at least {2 * pixels}, not {size}"
        )


def on_whole_kernels(loss: codec_losses.Loss, mesh: jax.sharding.Mesh) -> codec_losses.Loss:
    """The same loss, see `partitioning.gather_kernels`."""

    def gathered(trained, frozen, batch, key):
        trained, frozen = partitioning.gather_kernels(mesh, (trained, frozen))
        return loss(trained, frozen, batch, key)

    return gathered


def batch_entries(config: ml_collections.ConfigDict) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Shape without the batch axis, and dtype, of what the step takes."""
    size, cells = config.data.crop_size, config.data.crop_size // config.model.cell_size
    entries = {
        "importance": ((cells, cells), jnp.uint8),
        STOP: ((), jnp.int32),
    }
    if config.data.kind == "latents":
        if "autoencoder" in TRAINED[config.stage]:
            raise RdcError(
                f"stage {config.stage} trains the autoencoder, so data.kind must not be latents"
            )
        side = size // LATENT_PIXELS
        entries["latent"] = ((side, side, config.model.latent_channels), jnp.float16)
    else:
        entries["image"] = ((size, size, 3), jnp.uint8)
    return entries


def model_flops(config: ml_collections.ConfigDict, params: Any) -> float:
    """Convolutions and matrix products of one step's loss and gradient, without recomputation."""
    from rdc_jax.training.cost import flops

    trained, frozen = split_parameters(config.stage, params)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (trained, frozen))
    loss = build_loss(config, Networks.from_config(config.model.to_dict()))
    one = {
        name: jax.ShapeDtypeStruct((1, *shape), dtype)
        for name, (shape, dtype) in batch_entries(config).items()
        if name != STOP
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    return config.data.batch_size * flops.count(jax.grad(loss, has_aux=True), *shapes, one, key)
