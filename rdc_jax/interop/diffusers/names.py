"""Names and layouts of parameters: our paths and channels-last arrays, diffusers' keys and arrays.

    down_blocks_0_resnets_1/conv1/kernel     down_blocks.0.resnets.1.conv1.weight
        [h,w,i,o]                                [o,i,h,w]
    mid_block/attentions_0/to_q/kernel       mid_block.attentions.0.to_q.weight
        [i,o]                                    [o,i]
    conv_norm_out/scale [c]                  conv_norm_out.weight [c]

Our path decides the key; the way back goes through the paths that a model has. NumPy only.
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from rdc_jax.errors import RdcError

LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias"}
TIME_LAYERS = ("linear_1", "linear_2")  # their numbers are part of the name
OLDER_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
OLDER_KEY = re.compile(rf"(.*\.attentions\.\d+\.)({'|'.join(OLDER_ATTENTION)})(\.\w+)")
LISTED = 4  # keys in a message


def diffusers_key(path: str) -> str:
    """The key of the parameter at one of our paths."""
    *modules, leaf = path.split("/")
    return ".".join([*map(_dotted, modules), LEAVES[leaf]])


def current_key(key: str) -> str:
    """A key under the name that it has today: attention of autoencoders was called otherwise."""
    match = OLDER_KEY.fullmatch(key)
    return f"{match[1]}{OLDER_ATTENTION[match[2]]}{match[3]}" if match else key


def check_names(have: Iterable[str], expected: Iterable[str], what: str) -> None:
    """Raises RdcError listing what is missing and what is unknown: every key counts once."""
    have, expected = set(have), set(expected)
    for names, said in ((expected - have, "lacks"), (have - expected, "has unknown")):
        if names:
            listed = ", ".join(sorted(names)[:LISTED])
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            raise RdcError(
                f"{what} {said} {listed}{more}; the weights are of another architecture than the "
                "config says, or not complete"
            )


def to_diffusers(path: str, value: np.ndarray) -> np.ndarray:
    """An array of ours in PyTorch's layout, contiguous, of the same dtype."""
    if path.endswith("/kernel"):
        value = value.transpose((3, 2, 0, 1) if value.ndim == 4 else (1, 0))
    return np.ascontiguousarray(value)


def from_diffusers(path: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An array of theirs in the layout of our parameter at `path`, which has this shape.

    A 1x1 convolution stands for a dense layer, and the other way round. Raises RdcError when the
    shapes do not fit.
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
    """{key: our path} for all parameters of a model; raises where two would share a key."""
    paths = {diffusers_key(path): path for path in shapes}
    if len(paths) != len(shapes):
        raise ValueError("two parameters have the same diffusers key")
    return paths


def _dotted(module: str) -> str:
    """down_blocks_0_resnets_1 -> down_blocks.0.resnets.1, ff_net_0_proj -> ff.net.0.proj."""
    if module in TIME_LAYERS:
        return module
    name = re.sub(r"_(\d+)(?:_|$)", r".\1.", module).rstrip(".")
    return re.sub(r"^(mid_block|ff)_", r"\1.", name)
