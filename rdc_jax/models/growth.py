"""Parameters of a larger network that starts as a smaller one, whose arrays it takes over."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from rdc_jax.errors import RdcError


def grown(fresh: Mapping[str, Any], stored: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """`fresh` with every array of `stored` in its place; arrays that `stored` lacks stay fresh.

    The result computes what `stored` did wherever the added branches end in layers of zeros.

    Args:
        fresh: Nested dict of arrays, the parameters of the larger network.
        stored: Nested dict of arrays, those of the smaller one.
        path: Of both in a larger tree, for messages.

    Raises:
        RdcError: an array of `stored` has no place in `fresh`, or another shape there.
    """
    result = dict(fresh)
    for name, value in stored.items():
        place = f"{path}{name}"
        if name not in fresh:
            raise RdcError(f"the stored weights have {place!r}, the config's network does not")
        if isinstance(value, Mapping) != isinstance(fresh[name], Mapping):
            raise RdcError(f"{place!r} is a layer in one of stored weights and config only")
        if isinstance(value, Mapping):
            result[name] = grown(fresh[name], value, f"{place}/")
            continue
        if jnp.shape(value) != jnp.shape(fresh[name]):
            raise RdcError(
                f"{place!r} has shape {jnp.shape(value)} in the stored weights and "
                f"{jnp.shape(fresh[name])} in the config's network; growing adds arrays only"
            )
        result[name] = value
    return result
