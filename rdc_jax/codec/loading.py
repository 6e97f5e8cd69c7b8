"""The networks that a folder describes, with its weights on the device: strict about both."""

from typing import Any

import jax

from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, fusion_module
from rdc_jax.models.fusion import Fusion
from rdc_jax.models.networks import Networks


def of_model(model: codec_model.Model) -> tuple[Networks, dict[str, Any]]:
    """The networks of a model and the parameters of those that run as floats.

    Raises RdcError when the config describes no model or the weights are not its.
    """
    with codec_model.described_by(model.path, "a model"):
        networks = Networks.from_config(model.config)
        expected = jax.eval_shape(networks.init, jax.random.key(0))
    _check_parameters(model.params, expected)
    params = {part: tree for part, tree in model.params.items() if part != "hyperprior"}
    return networks, jax.device_put(params)


def of_module(module: fusion_module.Module, networks: Networks) -> tuple[Fusion, dict[str, Any]]:
    """The plug-and-play module for the networks of its base, and the parameters that decode."""
    with codec_model.described_by(module.path, "a module"):
        fusion = Fusion.from_config(module.config, networks)
        expected = jax.eval_shape(fusion.init, jax.random.key(0))
    params = {"transform": module.params["transform"]}
    _check_parameters(params, {"transform": expected["transform"]})
    return fusion, jax.device_put(params)


def _check_parameters(params: dict[str, Any], expected: dict[str, Any]) -> None:
    """Strict: every parameter present, none left over, all shapes right."""
    have, want = map(codec_model.parameter_shapes, (params, expected))
    for key in sorted(have.keys() | want.keys()):
        if have.get(key) != want.get(key):
            raise RdcError(
                f"weights do not fit their config: {key} is {have.get(key)}, not {want.get(key)}"
            )
