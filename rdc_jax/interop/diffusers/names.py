"""Conversion between our parameters (paths, channels last) and those of diffusers (keys).

    down_blocks_0_resnets_1/conv1/kernel     down_blocks.0.resnets.1.conv1.weight
        [h,w,i,o]                                [o,i,h,w]
    mid_block/attentions_0/to_q/kernel       mid_block.attentions.0.to_q.weight
        [i,o]                                    [o,i]
    conv_norm_out/scale [c]                  conv_norm_out.weight [c]

A path determines its key. The reverse uses the known paths of a model. NumPy only.
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from rdc_jax.errors import RdcError

LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias"}
TIME_LAYERS = ("linear_1", "linear_2")  # the numbers are part of these names
OLDER_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
OLDER_KEY = re.compile(rf"(.*\.attentions\.\d+\.)({'|'.join(OLDER_ATTENTION)})(\.\w+)")
LISTED = 4  # number of keys in an error message


def diffusers_key(path: str) -> str:
    """Returns the diffusers key of the parameter at one of our paths."""
    *modules, leaf = path.split("/")
    return ".".join([*map(_dotted, modules), LEAVES[leaf]])


def current_key(key: str) -> str:
    """Returns the current name of a key. Attention layers of autoencoders were renamed."""
    match = OLDER_KEY.fullmatch(key)
    return f"{match[1]}{OLDER_ATTENTION[match[2]]}{match[3]}" if match else key


def check_names(have: Iterable[str], expected: Iterable[str], what: str) -> None:
    """Checks that weights have exactly the expected keys.

    Args:
        have: Keys of the weights.
        expected: Keys that the config requires.
        what: Name of the weights, for the error message.

    Raises:
        RdcError: keys are missing or unknown.
    """
    have, expected = set(have), set(expected)
    for names, said in ((expected - have, "lacks"), (have - expected, "has unknown")):
        if names:
            listed = ", ".join(sorted(names)[:LISTED])
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            raise RdcError(
                f"{what} {said} {listed}{more}; the weights are incomplete or have another "
                "architecture than the config"
            )


def to_diffusers(path: str, value: np.ndarray) -> np.ndarray:
    """Returns one of our arrays in the layout of PyTorch, contiguous and with the same dtype."""
    if path.endswith("/kernel"):
        value = value.transpose((3, 2, 0, 1) if value.ndim == 4 else (1, 0))
    return np.ascontiguousarray(value)


def from_diffusers(path: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a diffusers array in the layout of our parameter.

    A 1x1 convolution can replace a dense layer and vice versa.

    Args:
        path: Path of our parameter.
        value: Array of diffusers.
        shape: Shape of our parameter.

    Raises:
        RdcError: the shapes do not fit.
    """
    given = value.shape
    if path.endswith("/kernel"):
        if value.ndim == 4:
            value = value.transpose(2, 3, 1, 0)
        elif value.ndim == 2:
            value = value.transpose(1, 0)
        if value.ndim == 4 and len(shape) == 2 and value.shape[:2] == (1, 1):
            value = value[0, 0]
        elif value.ndim == 2 and len(shape) == 4:
            value = value[None, None]
    if value.shape != tuple(shape):
        raise RdcError(
            f"{diffusers_key(path)} has shape {given}, which does not fit {tuple(shape)} of the "
            "config (ours, channels last)"
        )
    return np.ascontiguousarray(value)


def by_key(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Returns our path for each diffusers key of a model.

    Raises:
        ValueError: two parameters have the same key.
    """
    paths = {diffusers_key(path): path for path in shapes}
    if len(paths) != len(shapes):
        raise ValueError("two parameters have the same diffusers key")
    return paths


def _dotted(module: str) -> str:
    """Converts down_blocks_0_resnets_1 to down_blocks.0.resnets.1, for example."""
    if module in TIME_LAYERS:
        return module
    name = re.sub(r"_(\d+)(?:_|$)", r".\1.", module).rstrip(".")
    return re.sub(r"^(mid_block|ff)_", r"\1.", name)
