"""The images of a run: where they come from, which are held out, and the batches of the others."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from rdc_jax.data import mixing, pipeline, sources
from rdc_jax.errors import RdcError
from rdc_jax.training.tasks import latent_checks
from rdc_jax.training.tasks.task import Task
from rdc_jax.training.validation import held_out

EXAMPLES = 8
"""Training images that fresh networks take their statistics from, if none is held out."""


class ImageSets(NamedTuple):
    """The sets of images that a run reads."""

    source: Any  # of data.path
    mix: Sequence[mixing.Part]  # of data.mix
    held_out: np.ndarray  # indices of `source` that are never trained on
    crops: np.ndarray  # of the held-out images, for validation; empty if none is held out
    examples: np.ndarray  # crops whose statistics fresh networks start from


def open_images(task: Task) -> ImageSets:
    """Opens what the config's `data` section names. Raises RdcError naming a setting."""
    config = task.config
    source = open_source(config)
    mix = mixing.open_mix(config.data.get("mix", ""), processes=config.data.get("num_workers", 0))
    latent_checks.check_settings(task, source)
    try:
        indices = pipeline.held_out_split(len(source), config.data.held_out, seed=0)
    except RdcError as error:
        raise RdcError(f"data.held_out: {error}") from error
    side = held_out.crop_side(config)
    if len(indices):
        crops = examples = held_out.validation_crops(source, indices, size=side)
    else:
        crops = np.zeros((0, side, side, 3), np.uint8)
        some = np.unique(np.linspace(0, len(source) - 1, EXAMPLES).astype(int))
        examples = held_out.validation_crops(source, some, size=side)
    return ImageSets(source, mix, pipeline.whole_photos(source, indices), crops, examples)


def open_source(config: ml_collections.ConfigDict) -> Any:
    """The image source of a config's `data` section, whose `kind` is no longer "auto" then."""
    config.data.kind = sources.kind_of(config.data.kind, config.data.path)
    return sources.open_source(
        config.data.kind,
        config.data.path,
        split=config.data.split,
        tfds_dir=config.data.tfds_dir,
        synthetic_size=2 * config.data.crop_size,
        seed=config.seed,
        processes=config.data.get("num_workers", 0),
    )


def training_batches(
    config: ml_collections.ConfigDict, images: ImageSets, rows: np.ndarray, examples: int
) -> Any:
    """This process's `rows` of every batch, from where a run that has seen `examples` stands.

    The result is an iterator that must be closed, see `pipeline.training_iterator`.

    Args:
        config: Of the run.
        images: What it reads.
        rows: Numbers within a batch, of the examples that this process reads.
        examples: How many the run has seen.
    """
    data = config.data
    return pipeline.training_iterator(
        images.source,
        batch_size=data.batch_size,
        crop_size=data.crop_size,
        cell_size=config.model.cell_size,
        num_levels=config.model.num_levels,
        seed=config.seed,
        exclude=images.held_out,
        mix=images.mix,
        darken_share=data.get("darken_share", 0.0),
        ragged_share=data.get("ragged_share", 0.0),
        rows=rows,
        start=examples // data.batch_size,
        num_threads=data.num_threads,
        num_workers=data.get("num_workers", 0),
    )
