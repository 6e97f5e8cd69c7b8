"""The images of a run's decoder, computed by all devices of the run, each with crops of its own.

    for shown in on_mesh.decode(decoder, mesh, state.ema_params | frozen, crops, seeds, timesteps):

The parameters stay on the devices. Within the compiled function every device gathers them, in the
dtype of the computation, and decodes one crop at a time, see `one_step.show`. Images travel to the
first process, which measures them. Every process of the run must take part.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from rdc_jax.training.cluster import partitioning
from rdc_jax.training.tasks import decoders
from rdc_jax.training.validation import one_step
from rdc_jax.training.validation.one_step import Shown

IN_ANOTHER_DTYPE = ("autoencoder", "unet", "transform", "auxiliary")
"""Parts that compute in training.compute_dtype; the entropy model stays in float32."""


def decode(
    decoder: decoders.Decoder,
    mesh: Mesh,
    params: Mapping[str, Any],
    crops: np.ndarray,
    seeds: np.ndarray,
    timesteps: np.ndarray,
) -> Iterator[Shown]:
    """Decodes crops, as many at a time as the mesh has rows of a batch.

    Args:
        decoder: Networks and views.
        mesh: Of the devices.
        params: Of `decoders.used`, global arrays or the same host arrays in every process.
        crops: uint8 [N,S,S,3], or latents float16 [N,s,s,C].
        seeds: Of the noise of each crop, int32 [N], not negative.
        timesteps: int32 [T].

    Yields:
        In the first process the images of each crop in order, as host arrays; nothing in others.
    """
    rows = int(np.prod([mesh.shape[axis] for axis in partitioning.BATCH_AXES]))
    program, sharding = _program(decoder, mesh), partitioning.batch_sharding(mesh)
    is_first = jax.process_index() == 0

    def everywhere(values: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    for start in range(0, len(crops), rows):
        chosen = np.arange(start, start + rows) % len(crops)
        wanted = np.where(np.arange(start, start + rows) < len(crops), seeds[chosen], -1)
        shown = program(
            params, everywhere(crops[chosen]), everywhere(wanted.astype(np.int32)), timesteps
        )
        shown = partitioning.gather(shown, keep=is_first)
        for i in range(min(rows, len(crops) - start) if is_first else 0):
            yield Shown(*(values[i] for values in shown))


@functools.lru_cache(maxsize=2)
def _program(decoder: decoders.Decoder, mesh: Mesh) -> Callable[..., Shown]:
    """(params, crops [rows,...], seeds [rows], timesteps) -> Shown with an axis of rows in front.

    A negative seed computes nothing.
    """
    dtype, whole = decoder.networks.dtype, PartitionSpec()
    split = PartitionSpec(partitioning.BATCH_AXES)

    def local(params, crops, seeds, timesteps):
        show = functools.partial(one_step.show, decoder, params, crops[0], timesteps)
        shapes = jax.eval_shape(show, seeds[0])
        nothing = functools.partial(jax.tree.map, lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        shown = jax.lax.cond(seeds[0] >= 0, lambda: show(seeds[0]), nothing)
        return jax.tree.map(lambda x: x[None], shown)

    def cast(path, leaf):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        of_layer = name.startswith(IN_ANOTHER_DTYPE) and name.endswith("/kernel")
        return leaf.astype(dtype) if of_layer else leaf

    def run(params, crops, seeds, timesteps):
        params = jax.tree.map_with_path(cast, params)
        mapped = jax.shard_map(
            local, mesh=mesh, in_specs=(whole, split, split, whole), out_specs=split,
            check_vma=False,
        )  # fmt: skip
        return mapped(params, crops, seeds, timesteps)

    return jax.jit(run)
