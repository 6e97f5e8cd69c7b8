"""Training a fusion module: stages auxiliary, transform, realism, and with its base end_to_end.

The base codec comes from `init_from` (a shipped model's name or a folder), and with it
`config.model`; the module of an earlier stage comes from `fusion_from`.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections

from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, files, fusion_module
from rdc_jax.model_folder.codec_model import Model
from rdc_jax.models.fusion import Fusion
from rdc_jax.models.networks import Networks
from rdc_jax.training.tasks import codec_task, decoders, end_to_end_loss, fusion_losses, looks
from rdc_jax.training.tasks.initialization import (
    errors_of_networks,
    fitted_to,
    fresh,
    same_everywhere,
)
from rdc_jax.training.tasks.recipe import recipe_of
from rdc_jax.training.tasks.task import Task

TRAINED = fusion_losses.TRAINED | {"end_to_end": end_to_end_loss.TRAINED}
LOSSES = fusion_losses.LOSSES | {"end_to_end": end_to_end_loss.end_to_end_loss}
MONITORS = {"end_to_end": end_to_end_loss.encoder_shares}
STAGES = tuple(TRAINED)
WITH_BASE = ("end_to_end",)
"""Stages that train the base codec too, and make a new one."""

BASE_WEIGHTS = ("distortion_weight", "latent_weight", "balance")
"""Settings of `training` that the loss of the base codec reads."""


def make(config: ml_collections.ConfigDict) -> Task:
    """The task of a stage in STAGES. Raises RdcError naming the setting that does not fit."""
    if not config.init_from:
        raise RdcError(f"stage {config.stage} needs init_from=MODEL, the frozen base codec")
    base = codec_model.load(config.init_from)
    config, stage = with_base(config, base), config.stage
    with errors_of_networks("grow"):  # of a base that was loaded, only this can be wrong
        networks = Networks.from_config(config.model.to_dict())
    section = config.fusion.to_dict()
    with errors_of_networks("fusion"):
        fusion = Fusion.from_config(section, networks)
    of_base = recipe_of(config, *(BASE_WEIGHTS if stage in WITH_BASE else ()))
    recipe = fusion_losses.fusion_recipe(config, networks.downsampling, of_base)

    def built(functions: Mapping[str, Any], networks: Networks) -> Any:
        return functions[stage](networks, Fusion.from_config(section, networks), recipe)

    monitored = stage in MONITORS
    views = decoders.of_auxiliary if stage == "auxiliary" else decoders.of_module

    def decoder(networks: Networks) -> decoders.Decoder:
        return views(networks, Fusion.from_config(section, networks))

    return Task(
        config=config,
        networks=networks,
        trained=TRAINED[stage],
        takes_latents=False,
        coarsest_stride=codec_task.coarsest_stride(networks, denoiser=True, entropy_model=True),
        initial_parameters=lambda crops: initial_parameters(config, base, networks, fusion),
        parameter_shapes=lambda: initial_parameters(config, base, networks, fusion),
        build_loss=functools.partial(built, LOSSES),
        build_monitor=functools.partial(built, MONITORS) if monitored else None,
        build_decoder=decoder,
        export=functools.partial(export, config, base, networks),
    )


def with_base(config: ml_collections.ConfigDict, base: Model) -> ml_collections.ConfigDict:
    """A copy of the config with the `model` section of its base, grown where `grow` says so."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.model = ml_collections.ConfigDict(base.config)
        for part, fields in config.get("grow", {}).items():
            if fields and config.stage not in WITH_BASE:
                raise RdcError(f"stage {config.stage} keeps its base: grow.{part} must be empty")
            config.model[part].update(fields)
    return config


def initial_parameters(
    config: ml_collections.ConfigDict, base: Model, networks: Networks, fusion: Fusion
) -> dict[str, Any]:
    """The parameters of base, module (fresh, or of `fusion_from`) and LPIPS networks.

    Args:
        config: Of the run, with the model section of its base.
        base: The base codec, which may be smaller than `networks` (see `grow`).
        networks: The codec's networks.
        fusion: The module's networks.
    """
    base_params = fitted_to(networks, base.params, config.seed)
    module = fresh(fusion.init, config.seed, "fusion")
    module = same_everywhere(jax.device_get(fusion.start(module, base_params)))
    if config.fusion_from:
        earlier = fusion_module.load(config.fusion_from, base.model_id).params
        for part, params in earlier.items():
            wanted, stored = map(files.parameter_shapes, (module[part], params))
            if wanted != stored:
                raise RdcError(f"the {part} in {config.fusion_from} does not fit config.fusion")
        module |= earlier
    params = base_params | module
    if config.stage != "transform":
        judges = looks.Looks.from_config(config.training.to_dict(), networks.downsampling)
        judges.check_crop(config.data.crop_size)
        params["perceptual"] = looks.load_networks(judges)
    return params


def export(
    config: ml_collections.ConfigDict,
    base: Model,
    networks: Networks,
    folder: Path,
    params: Mapping[str, Any],
) -> None:
    """Writes the module's folder, bound to its base.

    A base that has learnt with its module is written to `folder` under its old name, and the module
    into that folder.

    Args:
        config: Of the run.
        base: The base codec that the run started from.
        networks: The codec's networks.
        folder: Where to.
        params: Host arrays of all parts.
    """
    base_id = base.model_id
    if config.stage in WITH_BASE:
        model = config.model.to_dict()
        base_id = codec_task.export_codec(folder, base.name, model, networks, params)
        folder = folder / fusion_module.FOLDER
    fusion_module.save(folder, config.name, config.fusion.to_dict(), base_id, params)
