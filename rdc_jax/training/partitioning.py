"""Where parameters and batches live: a mesh by axis names, and rules that place trees on it.

Shardings are decided here from the shape and path of each leaf, never inside modules, so a model
moves from a laptop to a pod without being touched.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXES = ("data", "fsdp")
FSDP_MIN_SIZE = 2**18  # leaves smaller than this many elements are replicated


def make_mesh(sizes: Mapping[str, int] | None = None) -> Mesh:
    """A mesh over all devices; by default all of them on the `data` axis."""
    sizes = dict(sizes or {})
    shape = tuple(sizes.get(axis, 1) for axis in AXES)
    if not sizes:
        shape = (jax.device_count(), 1)
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def parameter_sharding(mesh: Mesh, tree: Any) -> Any:
    """Shardings for a tree of arrays or ShapeDtypeStructs: fsdp on the largest divisible axis."""
    ways = mesh.shape["fsdp"]

    def rule(leaf):
        spec = [None] * leaf.ndim
        if ways > 1 and leaf.size >= FSDP_MIN_SIZE:
            axes = [i for i in range(leaf.ndim) if leaf.shape[i] % ways == 0]
            if axes:
                spec[max(axes, key=lambda i: leaf.shape[i])] = "fsdp"
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(rule, tree)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Examples spread over every axis that holds data."""
    return NamedSharding(mesh, PartitionSpec(AXES))


def global_batch(mesh: Mesh, local: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """This process's examples as (its part of) global arrays."""
    sharding = batch_sharding(mesh)
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in local.items()}
