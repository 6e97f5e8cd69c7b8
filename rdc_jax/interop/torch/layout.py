"""A model folder's parameters under the names and in the layout of our PyTorch modules; NumPy only.

unet: down_blocks_0_resnets_1/conv1/kernel [h,w,i,o]
->    networks.unet.down_blocks.0.resnets.1.conv1.weight [o,i,h,w]
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rdc_jax.interop.diffusers.names import LEAVES, diffusers_key, to_diffusers
from rdc_jax.model_folder.files import flatten

PREFIXES = {  # of the modules that the parts of a model folder are
    "autoencoder": "networks.autoencoder.",
    "unet": "networks.unet.",
    "transform": "fusion.transform.",
}
SINGLE = {
    "step_profile/octaves": "networks.step_octaves",
    "context/empty_prompt": "networks.context",
}


def torch_state(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """{PyTorch's name: array in PyTorch's layout} of one part's nested dict."""
    return {_name(path): to_diffusers(path, value) for path, value in flatten(params).items()}


def decoder_state(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The same of {part: nested dict}, under the names of a whole decoder.

    The hyperprior, which decoding does not use, is left out; what is unknown keeps its path.
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
