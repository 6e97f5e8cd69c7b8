"""The networks that a folder describes, with its weights on the device. Both are checked."""

from typing import Any

import jax

from rdc_jax.codec.window_networks import FusionNetwork
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, files, fusion_module
from rdc_jax.models.fusion import Fusion
from rdc_jax.models.networks import Networks


def of_model(model: codec_model.Model) -> tuple[Networks, dict[str, Any]]:
    """The networks of a model, and the parameters of those that run in floating point.

    Raises RdcError if the config does not describe a model, or the weights do not fit the config.
    """
    with files.described_by(model.path, "a model"):
        networks = Networks.from_config(model.config)
        expected = jax.eval_shape(networks.init, jax.random.key(0))
    _check_parameters(model.params, expected)
    params = {part: tree for part, tree in model.params.items() if part != "hyperprior"}
    return networks, jax.device_put(params)


def of_module(module: fusion_module.Module, networks: Networks) -> FusionNetwork:
    """The network of a fusion module for the networks of its base, with its parameters.

    Raises RdcError if the config does not describe a module, or the weights do not fit the config.
    """
    with files.described_by(module.path, "a module"):
        fusion = Fusion.from_config(module.config, networks)
        expected = jax.eval_shape(fusion.init, jax.random.key(0))
    params = {"transform": module.params["transform"]}
    _check_parameters(params, {"transform": expected["transform"]})
    return FusionNetwork(fusion, jax.device_put(params))


def _check_parameters(params: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raises RdcError unless the names and shapes of all parameters are as expected."""
    have, want = map(files.parameter_shapes, (params, expected))
    for key in sorted(have.keys() | want.keys()):
        if have.get(key) != want.get(key):
            raise RdcError(
                f"weights do not fit their config: {key} is {have.get(key)}, not {want.get(key)}"
            )
