"""Where parameters and batches live: a mesh by axis names, and rules that place trees on it.

    replica  copies of the whole arrangement, one per slice or island, joined by the slow network
    data     examples; parameters are copied
    fsdp     examples too; parameters, their averages and optimiser states are split and gathered
             where they are used (Rajbhandari et al. 2020, stage 3)
    tensor   output channels of a block's first layer and input channels of its second (Shoeybi
             et al. 2019); with `training.split_rows` also the rows of the images

Shardings are decided here from the shape and path of each leaf, never inside modules, so a model
moves from a laptop to a pod without being touched.
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rdc_jax.errors import RdcError

AXES = ("replica", "data", "fsdp", "tensor")
BATCH_AXES = ("replica", "data", "fsdp")
FSDP_MIN_SIZE = 2**18  # leaves smaller than this many elements are not split over fsdp
TENSOR_RULES = (  # path of a leaf -> which of its axes is split over `tensor`
    (r"(to_q|to_k|to_v|ff_net_0_proj)/(kernel|bias)$", -1),
    (r"(to_out_0|ff_net_2)/kernel$", -2),
    (r"resnets_\d+/(conv1|time_emb_proj)/(kernel|bias)$", -1),
    (r"resnets_\d+/conv2/kernel$", -2),
)


def make_mesh(
    sizes: Mapping[str, int] | None = None, devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """A mesh of these axis sizes over all devices, fast axes on neighbouring devices.

    Several TPU slices are joined by a slow network. So there, `replica` is the number of slices
    unless it is given, and then it must be a multiple of that number.

    Args:
        sizes: Of some axes of AXES; the others are 1. One may be -1, which takes the remaining
            devices. None: all devices on `data`.
        devices: Of the mesh; None for all.

    Raises:
        RdcError: naming mesh.AXIS.
    """
    devices = jax.devices() if devices is None else devices
    slices = slice_count(devices)
    sizes = {"data": -1} if sizes is None else dict(sizes)
    if slices > 1 and sizes.get("replica", 1) == 1:
        sizes["replica"] = slices
    shape = tuple(axis_sizes(sizes, len(devices)).values())
    if shape[0] % slices:
        raise RdcError(
            f"mesh.replica is {shape[0]} on {slices} slices; leave it out, or give a multiple of "
            f"{slices}, so that the other axes stay within a slice"
        )
    if slices > 1:
        array = mesh_utils.create_hybrid_device_mesh(
            (shape[0] // slices, *shape[1:]), (slices, 1, 1, 1), devices
        )
        return Mesh(array, AXES, axis_types=(AxisType.Auto,) * len(AXES))
    try:
        array = mesh_utils.create_device_mesh(shape, devices)
    except NotImplementedError:  # no arrangement of whole rings of the torus has these sizes
        array = mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    return Mesh(array, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def slice_count(devices: Sequence[jax.Device]) -> int:
    """Number of TPU slices that the devices belong to; 1 for all other devices."""
    if devices[0].platform != "tpu":  # on GPUs the index counts hosts
        return 1
    return len({getattr(device, "slice_index", 0) for device in devices})


def axis_sizes(sizes: Mapping[str, int], devices: int) -> dict[str, int]:
    """Sizes of all AXES, with the -1 filled in. Raises RdcError naming mesh.AXIS."""
    resolved = {axis: int(sizes.get(axis, 1)) for axis in AXES}
    for axis, size in sizes.items():
        if axis not in AXES:
            raise RdcError(f"mesh.{axis} is not an axis; they are {', '.join(AXES)}")
        if size == 0 or size < -1:
            raise RdcError(f"mesh.{axis} is {size}; it must be at least 1, or -1 for what is left")
    open_axes = [axis for axis, size in resolved.items() if size == -1]
    if len(open_axes) > 1:
        raise RdcError(f"only one of {', '.join(f'mesh.{a}' for a in open_axes)} may be -1")
    given = int(np.prod([size for size in resolved.values() if size != -1]))
    if open_axes and devices % given == 0:
        resolved[open_axes[0]] = devices // given
    if int(np.prod(list(resolved.values()))) != devices:
        product = " x ".join(f"mesh.{axis} {size}" for axis, size in resolved.items() if size != 1)
        raise RdcError(f"{product or 'a mesh of 1'} does not fit {devices} devices")
    return resolved


def parameter_sharding(mesh: Mesh, tree: Any) -> Any:
    """Shardings for a tree of arrays or ShapeDtypeStructs, by TENSOR_RULES, then fsdp.

    The rules also fit optimiser states and averages: the paths of their leaves end like those of
    the parameters. fsdp takes the largest axis that it divides and that `tensor` does not use.
    """
    tensor_ways, fsdp_ways = mesh.shape["tensor"], mesh.shape["fsdp"]

    def rule(path, leaf):
        spec: list[str | None] = [None] * leaf.ndim
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        for pattern, axis in TENSOR_RULES if tensor_ways > 1 else ():
            fits = leaf.ndim >= -axis and leaf.shape[axis] % tensor_ways == 0
            if fits and re.search(pattern, name):
                spec[axis] = "tensor"
        if fsdp_ways > 1 and leaf.size >= FSDP_MIN_SIZE:
            axes = [i for i in range(leaf.ndim) if not spec[i] and leaf.shape[i] % fsdp_ways == 0]
            if axes:
                spec[max(axes, key=lambda i: leaf.shape[i])] = "fsdp"
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map_with_path(rule, tree)


def check_batch_size(mesh: Mesh, batch_size: int, accumulate: int = 1) -> None:
    """Raises RdcError when a batch cannot be split evenly over the axes that hold examples.

    Args:
        mesh: Of the devices.
        batch_size: Of the whole run.
        accumulate: Parts of a batch that are computed one after the other.
    """
    ways = int(np.prod([mesh.shape[axis] for axis in BATCH_AXES]))
    if batch_size % (ways * accumulate):
        parts = f"{ways} devices of " + " x ".join(f"mesh.{axis}" for axis in BATCH_AXES)
        if accumulate > 1:
            parts += f" times training.accumulate {accumulate}"
        raise RdcError(f"data.batch_size {batch_size} does not divide among {parts}")


def batch_sharding(mesh: Mesh, name: str = "", split_rows: bool = False) -> NamedSharding:
    """The sharding of an entry [B,...] of a batch: examples over every axis that holds some.

    Args:
        mesh: Of the devices.
        name: Of the entry.
        split_rows: Whether the rows of images and latents are split over `tensor` as well, for
            crops whose activations are too large for one device. Convolutions exchange borders.
    """
    rows = ["tensor"] if split_rows and name in ("image", "latent") else []
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES, *rows))


def gather_kernels(mesh: Mesh, params: Any) -> Any:
    """Inside a jitted function: every device gets whole convolution kernels before their use.

    Needed for images that are split by rows. Where both the rows and the kernel's input channels
    are split, XLA's partitioner (jaxlib 0.10.2) adds up partial sums of devices that hold the same
    part, and the output of a 3x3 convolution is a multiple of the right one.
    """
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(
        lambda x: jax.lax.with_sharding_constraint(x, everywhere) if x.ndim == 4 else x, params
    )


def with_shardings(tree: Any, shardings: Any) -> Any:
    """Shapes and dtypes of a tree of arrays as ShapeDtypeStructs with these shardings."""
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), tree, shardings
    )


def place(tree: Any, like: Any) -> Any:
    """Host arrays, the same in every process, as global arrays with the shardings of `like`."""

    def put(value, target):
        value = np.asarray(value)
        return jax.make_array_from_callback(value.shape, target.sharding, lambda i: value[i])

    return jax.tree.map(put, tree, like)


def gather(tree: Any, keep: bool = True) -> Any:
    """Global arrays as host arrays, leaf by leaf; every process of the run must call it.

    Args:
        tree: Of global arrays.
        keep: Whether this process wants the values; otherwise it only sends its part, and its tree
            has empty leaves.
    """

    def fetch(leaf):
        if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
            leaf = _replicate(NamedSharding(leaf.sharding.mesh, PartitionSpec()))(leaf)
        return np.asarray(leaf) if keep else ()

    return jax.tree.map(fetch, tree)


@functools.cache  # one function per mesh: a new one for every leaf would be compiled every time
def _replicate(everywhere: NamedSharding) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda x: x, out_shardings=everywhere)


def batch_rows(mesh: Mesh, batch_size: int) -> np.ndarray:
    """The rows of a global batch that this process must load, sorted int64.

    When every process loads exactly its rows, the global batch does not depend on the number of
    processes and the order of their devices. Processes that share examples (a tensor axis across
    hosts) both load them.
    """
    held = batch_sharding(mesh).addressable_devices_indices_map((batch_size,)).values()
    return np.unique(np.concatenate([np.arange(batch_size)[index] for index in held]))


def global_batch(
    local: Mapping[str, np.ndarray], like: Mapping[str, jax.ShapeDtypeStruct], rows: np.ndarray
) -> dict[str, jax.Array]:
    """This process's examples as its part of global arrays.

    Args:
        local: Entries of the batch, this process's rows of each.
        like: Shapes and shardings of the global arrays.
        rows: Numbers of the rows in `local`, see `batch_rows`.
    """
    arrays = {}
    for name, target in like.items():

        def part(index, values=local[name], target=target):
            start, stop, _ = index[0].indices(target.shape[0])
            first = int(np.searchsorted(rows, start))
            return values[(slice(first, first + stop - start), *index[1:])]

        arrays[name] = jax.make_array_from_callback(target.shape, target.sharding, part)
    return arrays
