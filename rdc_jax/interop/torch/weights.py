"""Strict loading of arrays into PyTorch modules by name."""

from collections.abc import Mapping

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.interop.torch.extra import nn, torch


def load_state(module: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Loads arrays into a module. All parameters must be present with the right shapes.

    The attribute `inner` of wrapper modules is not part of the names in `state`.

    Args:
        module: The module.
        state: Arrays by name.

    Raises:
        RdcError: a parameter is missing, unknown, or has another shape. The message names it.
    """
    own = module.state_dict()
    names = {name.replace("inner.", ""): name for name in own}
    wanted = {name: tuple(own[full].shape) for name, full in names.items()}
    given = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(wanted.keys() | given.keys()):
        if wanted.get(name) != given.get(name):
            raise RdcError(
                f"weights do not fit their config: {name} is {given.get(name)}, "
                f"not {wanted.get(name)}"
            )
    module.load_state_dict({names[name]: torch.tensor(value) for name, value in state.items()})
