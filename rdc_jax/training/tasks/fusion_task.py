"""What a run that trains the plug-and-play module does otherwise than one that trains a codec.

The frozen base codec comes from `init_from` (a shipped model's name or a folder), and with it
`config.model`; the module of an earlier stage from `fusion_from`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections

from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, files, fusion_module
from rdc_jax.models.fusion import Fusion
from rdc_jax.models.networks import Networks
from rdc_jax.training.tasks import fusion_losses, looks
from rdc_jax.training.tasks.initialization import fitted_to


def is_fusion(config: ml_collections.ConfigDict) -> bool:
    """Whether the config's stage trains a module."""
    return config.stage in fusion_losses.TRAINED


def makes_codec(config: ml_collections.ConfigDict) -> bool:
    """Whether the config's stage trains a codec: alone, or together with its module."""
    return not is_fusion(config) or config.stage in fusion_losses.WITH_BASE


def without_module(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a run's parameters that are a codec's."""
    others = {*fusion_losses.MODULE, "perceptual"}
    return {part: tree for part, tree in params.items() if part not in others}


def codec_name(config: ml_collections.ConfigDict) -> str:
    """What the codec that a run makes is called: with a module, as its base was."""
    return codec_model.load(config.init_from).name if is_fusion(config) else config.name


def with_base(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The config with the `model` section of its base codec, grown where `grow` says so.

    Configs of other stages are returned as they are.
    """
    if not is_fusion(config):
        return config
    if not config.init_from:
        raise RdcError(f"stage {config.stage} needs init_from=MODEL, the frozen base codec")
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.model = ml_collections.ConfigDict(codec_model.load(config.init_from).config)
        for part, fields in config.get("grow", {}).items():
            if fields and config.stage not in fusion_losses.WITH_BASE:
                raise RdcError(f"stage {config.stage} keeps its base: grow.{part} must be empty")
            config.model[part].update(fields)
    return config


def initial_parameters(config: ml_collections.ConfigDict, networks: Networks) -> dict[str, Any]:
    """The base codec's parameters, the module's (fresh, or of `fusion_from`), and the LPIPS net."""
    base = codec_model.load(config.init_from)
    base_params = fitted_to(networks, base.params, config.seed)
    fusion = build(config, networks)
    module = jax.jit(fusion.init)(jax.random.key(config.seed))
    module = jax.device_get(fusion.start(module, base_params))
    if config.fusion_from:
        earlier = fusion_module.load(config.fusion_from, base.model_id).params
        for part, params in earlier.items():
            fresh, stored = map(files.parameter_shapes, (module[part], params))
            if fresh != stored:
                raise RdcError(f"the {part} in {config.fusion_from} does not fit config.fusion")
        module |= earlier
    params = base_params | module
    if config.stage != "transform":
        judges = looks.Looks.from_config(config.training.to_dict(), networks.downsampling)
        judges.check_crop(config.data.crop_size)
        params["perceptual"] = looks.load_networks(judges)
    return params


def build(config: ml_collections.ConfigDict, networks: Networks) -> Fusion:
    """The module's networks."""
    return Fusion.from_config(config.fusion.to_dict(), networks)


def export(config: ml_collections.ConfigDict, folder: Path, params: Mapping[str, Any]) -> None:
    """Writes the module's folder, bound to the base of `init_from`. params: host arrays.

    A module that has learnt together with its base goes inside the folder of that new base.
    """
    base = config.init_from
    if makes_codec(config):
        base, folder = folder, folder / fusion_module.FOLDER
    base_id = codec_model.load(base).model_id
    fusion_module.save(folder, config.name, config.fusion.to_dict(), base_id, params)
