"""The training pipeline: source, random crops with importance maps, batches.

This is the only module that imports grain, because the interface of grain still changes.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import grain
import numpy as np
from absl import flags

from rdc_jax.data.examples import REPLACED, SEGMENTATION_SHARE, Recipe, make_example
from rdc_jax.data.masks import DEFAULT_MIXTURE
from rdc_jax.data.mixing import Part
from rdc_jax.data.subset_source import SubsetSource
from rdc_jax.data.worker import start_worker
from rdc_jax.errors import RdcError
from rdc_jax.images import keep_memory

UPRIGHT_SHARE = 0.5
"""Share of the examples from additional sets that are neither scaled nor turned."""
ENDLESS = 2**40
"""Number of batches of an endless run."""


def training_iterator(
    source,
    *,
    batch_size: int,
    crop_size: int,
    cell_size: int = 16,
    num_levels: int = 8,
    seed: int,
    exclude: Sequence[int] = (),
    mix: Sequence[Part] = (),
    mixture: Mapping[str, float] = DEFAULT_MIXTURE,
    segmentation_share: float = SEGMENTATION_SHARE,
    darken_share: float = 0.0,
    ragged_share: float = 0.0,
    rows: Sequence[int] | None = None,
    start: int = 0,
    num_threads: int = 2,
    num_workers: int = 0,
    prefetch: int = 16,
) -> grain.DatasetIterator[dict[str, np.ndarray]]:
    """Returns an endless, deterministic iterator over training batches.

    Example i depends only on the sources, the seed and i. Batch k holds the examples from
    k * batch_size on, for any number of threads, worker processes and hosts. So a run resumes by
    setting `start`.

    Args:
        source: Image source as in `sources`, with images or latents.
        batch_size: Examples per batch, of all processes together.
        crop_size: Side of the crops in pixels. `cell_size`, `num_levels`, `mixture`,
            `segmentation_share`, `darken_share` and `ragged_share` are described in Recipe, too.
            Only examples of `source` are darkened.
        seed: Seed of all randomness, 0 to 2**32 - 1.
        exclude: Indices of `source` that are never drawn (see `held_out_split`).
        mix: Additional sets with their shares. The examples of each set are evenly spread. Examples
            of `source` and their order do not depend on other sets.
        rows: Examples of each batch that this process reads; None for all.
        start: Number of the first batch.
        num_threads: Number of reading threads of each process; 0 to read in the thread that asks.
        num_workers: Number of worker processes; 0 to read in this process. Each worker makes every
            num_workers-th batch. Call `close` of the iterator to end them.
        prefetch: Number of batches prepared in advance.

    Returns:
        Iterator of {"image": uint8 [rows, crop_size, crop_size, 3], "importance": uint8 [rows,
        cells, cells], REPLACED: uint8 [rows]} with cells = crop_size / cell_size. Latents give
        "latent": float16 [rows, crop_size / 8, crop_size / 8, C] instead of "image".

    Raises:
        RdcError: a size or share is out of range, or no image is left for training.
    """
    common = dict(
        crop_size=crop_size, cell_size=cell_size, num_levels=num_levels, mixture=mixture,
        segmentation_share=segmentation_share, ragged_share=ragged_share,
    )  # fmt: skip
    of_source = Recipe(**common, darken_share=darken_share)
    of_mix = Recipe(**common, upright_share=UPRIGHT_SHARE)
    examples = _mixed(_examples(_remaining(source, exclude), seed, of_source), mix, seed, of_mix)
    batches = _batches(examples, batch_size, rows, start)
    return _started(batches, num_threads, num_workers, prefetch)


def _started(
    batches: grain.MapDataset, num_threads: int, num_workers: int, prefetch: int
) -> grain.DatasetIterator:
    """Returns an iterator over batches that threads or worker processes prepare in advance."""
    keep_memory()
    if not num_workers:
        threads = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=prefetch)
        return iter(batches.to_iter_dataset(threads))
    if not flags.FLAGS.is_parsed():  # grain reads its flags, which only absl's main function parses
        flags.FLAGS.mark_as_parsed()
    threads = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=num_threads)
    each = math.ceil(prefetch / num_workers)
    workers = grain.MultiprocessingOptions(num_workers, per_worker_buffer_size=each)
    return iter(batches.to_iter_dataset(threads).mp_prefetch(workers, start_worker))


def _remaining(source, exclude: Sequence[int]):
    """Returns the source without held-out images. Raises RdcError if none is left."""
    if len(exclude):
        source = without(source, exclude)
    if len(source) == 0:
        raise RdcError("data.path: no image is left for training; hold out fewer images")
    return source


def _mixed(
    examples: grain.MapDataset, mix: Sequence[Part], seed: int, recipe: Recipe
) -> grain.MapDataset:
    """Mixes examples of additional sets into those of the first set."""
    if not mix:
        return examples
    others = [_examples(part.source, _seed_of(seed, i), recipe) for i, part in enumerate(mix)]
    shares = [part.share for part in mix]
    return grain.MapDataset.mix([examples, *others], [1 - sum(shares), *shares])


def _batches(
    examples: grain.MapDataset, batch_size: int, rows: Sequence[int] | None, start: int
) -> grain.MapDataset:
    """Groups examples into batches, from batch `start` on, with only the given rows.

    This comes before the work is divided, so that each worker process makes whole batches.
    """
    chosen = range(batch_size) if rows is None else [int(row) for row in rows]

    def example(number: int) -> dict[str, np.ndarray]:
        batch, place = divmod(int(number), len(chosen))
        return examples[(start + batch) * batch_size + chosen[place]]

    mine = grain.MapDataset.range(ENDLESS * len(chosen)).map(example)
    return mine.batch(len(chosen), drop_remainder=True)


def _examples(source, seed: int, recipe: Recipe) -> grain.MapDataset:
    """Returns the endless examples of one set, shuffled again in each epoch."""
    make = functools.partial(_example, source, recipe)
    return grain.MapDataset.range(len(source)).seed(seed).shuffle().repeat().random_map(make)


def _example(source, recipe: Recipe, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Makes a training example of image `index`, or of the next readable one."""
    if not hasattr(source, "make"):
        return make_example(recipe, source[index], rng) | {REPLACED: np.uint8(0)}
    state = rng.bit_generator.state

    def make(example: Mapping[str, Any]) -> dict[str, np.ndarray]:
        rng.bit_generator.state = state  # the same draws for the image that replaces a damaged one
        return make_example(recipe, example, rng)

    example, replaced = source.make(int(index), make)
    return example | {REPLACED: np.uint8(replaced)}


def _seed_of(seed: int, number: int) -> int:
    """Returns a separate seed for each additional set."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def held_out_split(source_len: int, count: int, seed: int) -> np.ndarray:
    """Chooses the images of a source to hold out for validation, the same ones in every run.

    Pass the result as `exclude` to `training_iterator`.

    Args:
        source_len: Number of images in the source.
        count: Number of images to hold out.
        seed: Seed of the choice.

    Returns:
        Sorted int64 [count], indices of the source.

    Raises:
        RdcError: the source does not have more than `count` images.
    """
    if not 0 <= count < source_len:
        raise RdcError(
            f"cannot hold out {count} of {source_len} images; hold out fewer or add images"
        )
    return np.sort(np.random.default_rng(seed).permutation(source_len)[:count])


def whole_photos(source, indices: Sequence[int]) -> np.ndarray:
    """Adds all other tiles of the same photos to the indices of tiles.

    Args:
        source: Any source. For sources of images, the indices stay the same.
        indices: Some indices of it.

    Returns:
        Sorted int64.
    """
    if not hasattr(source, "same_photo"):
        return np.asarray(indices, np.int64)
    tiles: set[int] = set()
    for index in indices:
        try:
            tiles.update(source.same_photo(int(index)))
        except RdcError:  # a damaged tile is not trained on anyway
            tiles.add(int(index))
    return np.array(sorted(tiles), np.int64)


def only(source, indices: Sequence[int]):
    """Returns the source restricted to these indices, in this order."""
    if hasattr(source, "subset"):
        return source.subset(indices)
    return SubsetSource(source, indices)


def without(source, indices: Sequence[int]):
    """Returns the source without these indices."""
    return only(source, np.setdiff1d(np.arange(len(source)), np.asarray(indices)))
