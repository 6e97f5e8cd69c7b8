"""The training pipeline: source -> random crop and its importance map -> batches.

The only module that imports grain, whose interface still moves.
"""

from collections.abc import Mapping, Sequence

import grain
import numpy as np

from rdc_jax.data.crops import crop_image, draw_crop, draw_window
from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.data.masks import DEFAULT_MIXTURE, random_importance, segment_importance
from rdc_jax.data.subset_source import SubsetSource
from rdc_jax.errors import RdcError

SEGMENTATION_SHARE = 0.5
"""Of the examples that have a segmentation, how many take their map from it."""
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
    mixture: Mapping[str, float] = DEFAULT_MIXTURE,
    segmentation_share: float = SEGMENTATION_SHARE,
    rows: Sequence[int] | None = None,
    start: int = 0,
    num_threads: int = 2,
    prefetch: int = 16,
):
    """An endless, deterministic iterator over training batches.

    Example i of the run depends on (source, seed, i) only, and batch k has the examples from
    k * batch_size on: whatever the number of threads or of processes. That is also how a run
    resumes: it asks for the batches from `start` on.

    Args:
        source: has `__len__` and `__getitem__(i) -> {"image": uint8 [height, width, 3]}`,
            perhaps with "mask": uint8 [height, width], segment numbers. Or with latents, as
            LatentSource: {"latents": [tiles, h, w, C]}, "mask": [tiles, h, w].
        batch_size: examples per batch of all processes together.
        crop_size: side of the crops in pixels, a multiple of `cell_size`.
        cell_size: side of a cell of the importance map in pixels.
        num_levels: number of importance levels, 1 to 256.
        seed: non-negative integer below 2**32.
        exclude: indices of the source that are never drawn (see `held_out_split`).
        mixture: probability of each kind of map (see `masks.random_importance`).
        segmentation_share: of the examples that have a segmentation, how many take their map from
            it: a random part of the segments is the region of interest. The others, and those
            whose crop lies in one segment, take a random map.
        rows: which of each batch's examples this process reads; None for all.
        start: number of the first batch.
        num_threads: reading threads, 0 for none.
        prefetch: batches prepared in advance.

    Returns:
        A grain DatasetIterator of {"image": uint8 [rows, crop_size, crop_size, 3],
        "importance": uint8 [rows, cells, cells]} with cells = crop_size / cell_size. From
        latents {"latent": float16 [rows, crop_size / 8, crop_size / 8, C], "importance"}.

    Raises:
        RdcError: when a size does not fit, or nothing is left of the source.
    """
    if crop_size < 1 or cell_size < 1 or crop_size % cell_size:
        raise RdcError(
            f"data.crop_size {crop_size} must be a positive multiple of the map's cell size "
            f"{cell_size}"
        )
    if not 1 <= num_levels <= 256:
        raise RdcError(f"the number of importance levels must be 1 to 256, got {num_levels}")
    rows = range(batch_size) if rows is None else [int(row) for row in rows]
    if len(exclude):
        source = without(source, exclude)
    if len(source) == 0:
        raise RdcError("data.path: no image is left for training; hold out fewer images")
    cells = crop_size // cell_size

    def make_example(example: dict, rng: np.random.Generator) -> dict:
        name = "latent" if "latents" in example else "image"
        if name == "latent":
            crop = draw_window(rng, example["latents"].shape, crop_size // LATENT_PIXELS)
            image = crop.of(example["latents"])
        else:
            crop = draw_crop(rng, *example["image"].shape[:2], crop_size)
            image = crop_image(example["image"], crop, crop_size)
        importance = None
        if "mask" in example and rng.random() < segmentation_share:
            labels = crop.of(example["mask"])
            importance = segment_importance(rng, labels, cells, cells, num_levels=num_levels)
        if importance is None:
            importance = random_importance(
                rng, cells, cells, num_levels=num_levels, image=image, mixture=mixture
            )
        return {name: image, "importance": importance}

    examples = (
        grain.MapDataset.source(source).seed(seed).shuffle().repeat().random_map(make_example)
    )

    def make_batch(number: int) -> dict:
        mine = [examples[int(number) * batch_size + row] for row in rows]
        return {name: np.stack([example[name] for example in mine]) for name in mine[0]}

    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=prefetch)
    batches = grain.MapDataset.range(start, ENDLESS).map(make_batch)
    return iter(batches.to_iter_dataset(options))


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
