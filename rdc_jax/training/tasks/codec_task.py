"""Training a codec: stages joint, diffusion and entropy."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model
from rdc_jax.models.conditions import blinded
from rdc_jax.models.hyperprior import HYPER_DOWNSAMPLING
from rdc_jax.models.networks import PARTS, Networks
from rdc_jax.training.tasks import codec_losses, decoders
from rdc_jax.training.tasks.initialization import (
    errors_of_networks,
    fitted_to,
    fresh,
    match_empirical_scales,
    same_everywhere,
)
from rdc_jax.training.tasks.recipe import recipe_of
from rdc_jax.training.tasks.task import Task

STAGES = tuple(codec_losses.TRAINED)
WEIGHTS = (
    *("distortion_weight", "latent_weight", "balance"),
    *("later_clock_share", "input_perturbation"),
)
"""Settings of `training` that the losses of a codec read."""


def make(config: ml_collections.ConfigDict) -> Task:
    """The task of a run whose stage is one of STAGES.

    config: The run's config; its `stage` says what is trained.

    Raises RdcError if the stage trains a part that the model lacks.
    """
    stage = config.stage
    with errors_of_networks("model"):
        networks = Networks.from_config(config.model.to_dict())
    if stage == "diffusion" and networks.unet is None:
        raise RdcError(f"stage {stage} trains the denoiser, and this model has none")
    recipe = recipe_of(config, *WEIGHTS)
    return Task(
        config=config,
        networks=networks,
        trained=codec_losses.TRAINED[stage],
        unused=codec_losses.UNUSED.get(stage, ()),
        takes_latents=stage in codec_losses.FROM_LATENTS,
        coarsest_stride=coarsest_stride(
            networks,
            denoiser=stage != "entropy",
            entropy_model=stage != "diffusion" or networks.prior_conditioning,
        ),
        initial_parameters=functools.partial(initial_parameters, config, networks),
        parameter_shapes=lambda: jax.eval_shape(networks.init, jax.random.key(0)),
        build_loss=lambda networks: codec_losses.LOSSES[stage](networks, recipe),
        build_monitor=None,
        build_decoder=decoders.of_codec,
        export=lambda folder, params: export_codec(
            folder, config.name, config.model.to_dict(), networks, params
        ),
    )


def coarsest_stride(networks: Networks, denoiser: bool, entropy_model: bool) -> int:
    """Latent pixels along a side per feature of the coarsest layer that a loss runs.

    Args:
        networks: The codec's networks.
        denoiser: Whether the loss runs the denoiser, if there is one.
        entropy_model: Whether the loss runs the entropy model.
    """
    strides = [1]
    if denoiser and networks.unet is not None:
        strides.append(2 ** (len(networks.unet.channels) - 1))
    if entropy_model:
        strides.append(HYPER_DOWNSAMPLING)
    return max(strides)


def initial_parameters(
    config: ml_collections.ConfigDict, networks: Networks, crops: np.ndarray
) -> dict[str, Any]:
    """Fresh parameters (stage joint) or those of the model folder `init_from`; host arrays.

    Args:
        config: Of the run.
        networks: The codec's networks.
        crops: uint8 [N,H,W,3], whose statistics fresh parameters start from.
    """
    if config.init_from:
        params = fitted_to(networks, codec_model.load(config.init_from).params, config.seed)
        if blind_to := config.training.get("blind_to", ""):
            params["hyperprior"] = jax.device_get(blinded(params["hyperprior"], blind_to))
        return params
    if config.stage != "joint":
        raise RdcError(f"stage {config.stage} needs init_from=FOLDER with trained weights")
    params = fresh(networks.init, config.seed, "model")
    return same_everywhere(jax.device_get(match_empirical_scales(networks, params, crops)))


def export_codec(
    folder: Path,
    name: str,
    model: Mapping[str, Any],
    networks: Networks,
    params: Mapping[str, Any],
) -> bytes:
    """Writes a model folder, its integer tables made from the weights as stored.

    Args:
        folder: Where to.
        name: Of the model.
        model: The `model` section of the config.
        networks: What that section describes.
        params: Host arrays; parts that are not the codec's are left out.

    Returns:
        The model id.
    """
    stored = {
        part: jax.tree.map(lambda x: np.asarray(x).astype(np.float16), params[part])
        for part in PARTS
        if part in params
    }
    loaded = jax.tree.map(lambda x: x.astype(np.float32), stored)  # what a decoder will load
    entropy = codec_model.entropy_arrays(
        loaded["hyperprior"], networks.step_table(loaded), **networks.entropy_settings()
    )
    return codec_model.save(folder, name, model, loaded, entropy)
