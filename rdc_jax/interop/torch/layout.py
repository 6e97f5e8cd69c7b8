"""Conversion of parameters to the names and layout of our PyTorch modules. NumPy only.

unet: down_blocks_0_resnets_1/conv1/kernel [h,w,i,o]
->    networks.unet.down_blocks.0.resnets.1.conv1.weight [o,i,h,w]
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rdc_jax.interop.diffusers.names import LEAVES, diffusers_key, to_diffusers
from rdc_jax.model_folder.files import flatten

PREFIXES = {  # names of the PyTorch modules for the parts of a model folder
    "autoencoder": "networks.autoencoder.",
    "unet": "networks.unet.",
    "transform": "fusion.transform.",
}
SINGLE = {
    "step_profile/octaves": "networks.step_octaves",
    "context/empty_prompt": "networks.context",
}


def torch_state(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Converts the nested parameters of one part to PyTorch arrays by name."""
    return {_name(path): to_diffusers(path, value) for path, value in flatten(params).items()}


def decoder_state(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Converts the nested parameters of all parts to the arrays of a decoder, by name.

    The hyperprior is left out, because decoding does not use it. Unknown parts keep their paths.
    """
    state = {}
    for part, tree in params.items():
        if part in PREFIXES:
            state |= {PREFIXES[part] + name: value for name, value in torch_state(tree).items()}
        elif part != "hyperprior":
            paths = flatten({part: tree})
            state |= {SINGLE.get(path, path): value for path, value in paths.items()}
    return state


def _name(path: str) -> str:
    modules, leaf = path.rsplit("/", 1)
    if leaf in LEAVES:
        return diffusers_key(path)
    return diffusers_key(f"{modules}/bias").removesuffix("bias") + leaf  # beta, gamma
