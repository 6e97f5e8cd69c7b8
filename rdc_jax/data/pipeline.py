"""The training pipeline: source -> random crop and its importance map -> batches.

The only module that imports grain, whose interface still moves.
"""

import functools
from collections.abc import Mapping, Sequence

import grain
import numpy as np

from rdc_jax.data.examples import SEGMENTATION_SHARE, Recipe, make_example
from rdc_jax.data.masks import DEFAULT_MIXTURE
from rdc_jax.data.mixing import Part
from rdc_jax.data.subset_source import SubsetSource
from rdc_jax.errors import RdcError

UPRIGHT_SHARE = 0.5
"""Of the examples of the sets beside the first, how many are neither scaled nor turned."""
ENDLESS = 2**40
"""Batches of a run without end."""


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
    prefetch: int = 16,
):
    """An endless, deterministic iterator over training batches.

    Example i of the run depends on (sources, seed, i) only, and batch k has the examples from
    k * batch_size on: whatever the number of threads or of processes. That is also how a run
    resumes: it asks for the batches from `start` on.

    Args:
        source: has `__len__` and `__getitem__(i) -> {"image": uint8 [height, width, 3]}`,
            perhaps with "mask": uint8 [height, width], segment numbers. Or with latents, as
            LatentSource: {"latents": [tiles, h, w, C]}, "mask": [tiles, h, w].
        batch_size: examples per batch of all processes together.
        crop_size, cell_size, num_levels, mixture, segmentation_share, ragged_share: see Recipe.
        seed: non-negative integer below 2**32.
        exclude: indices of `source` that are never drawn (see `held_out_split`).
        mix: sets of images beside `source`, with their shares of the examples. The examples of
            each set are evenly spread; those of `source` are the same ones, in the same order, as
            without other sets.
        darken_share: see Recipe; examples of `source` only.
        rows: which of each batch's examples this process reads; None for all.
        start: number of the first batch.
        num_threads: reading threads, 0 for none.
        prefetch: batches prepared in advance.

    Returns:
        A grain DatasetIterator of {"image": uint8 [rows, crop_size, crop_size, 3],
        "importance": uint8 [rows, cells, cells]} with cells = crop_size / cell_size. From
        latents {"latent": float16 [rows, crop_size / 8, crop_size / 8, C], "importance"}.

    Raises:
        RdcError: when a size or share does not fit, or nothing is left of the source.
    """
    common = dict(
        crop_size=crop_size, cell_size=cell_size, num_levels=num_levels, mixture=mixture,
        segmentation_share=segmentation_share, ragged_share=ragged_share,
    )  # fmt: skip
    of_source = Recipe(**common, darken_share=darken_share)
    of_mix = Recipe(**common, upright_share=UPRIGHT_SHARE)
    rows = range(batch_size) if rows is None else [int(row) for row in rows]
    if len(exclude):
        source = without(source, exclude)
    if len(source) == 0:
        raise RdcError("data.path: no image is left for training; hold out fewer images")
    examples = _examples(source, seed, of_source)
    if mix:
        others = [_examples(part.source, _seed_of(seed, i), of_mix) for i, part in enumerate(mix)]
        shares = [part.share for part in mix]
        examples = grain.MapDataset.mix([examples, *others], [1 - sum(shares), *shares])

    def make_batch(number: int) -> dict:
        mine = [examples[int(number) * batch_size + row] for row in rows]
        return {name: np.stack([example[name] for example in mine]) for name in mine[0]}

    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=prefetch)
    batches = grain.MapDataset.range(start, ENDLESS).map(make_batch)
    return iter(batches.to_iter_dataset(options))


def _examples(source, seed: int, recipe: Recipe) -> grain.MapDataset:
    """The endless examples of one set, shuffled anew each epoch."""
    make = functools.partial(make_example, recipe)
    return grain.MapDataset.source(source).seed(seed).shuffle().repeat().random_map(make)


def _seed_of(seed: int, number: int) -> int:
    """A seed of its own for each further set, so that no two draw alike."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def held_out_split(source_len: int, count: int, seed: int) -> np.ndarray:
    """Which images of a source to keep for validation: sorted int64 [count], the same every run.

    Pass the result as `exclude` to `training_iterator`.

    Raises:
        RdcError: when the source has no more than `count` images.
    """
    if not 0 <= count < source_len:
        raise RdcError(
            f"cannot hold out {count} of {source_len} images; hold out fewer or add images"
        )
    return np.sort(np.random.default_rng(seed).permutation(source_len)[:count])


def only(source, indices: Sequence[int]):
    """The source restricted to these indices, in this order."""
    if hasattr(source, "subset"):
        return source.subset(indices)
    return SubsetSource(source, indices)


def without(source, indices: Sequence[int]):
    """The source without these indices."""
    return only(source, np.setdiff1d(np.arange(len(source)), np.asarray(indices)))
