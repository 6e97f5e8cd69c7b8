"""Training examples: a crop of an image and an importance map."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rdc_jax.data.crops import Crop, crop_image, draw_crop, draw_latent_crop, draw_upright_crop
from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.data.low_light import darken
from rdc_jax.data.masks import DEFAULT_MIXTURE, random_importance, segment_importance
from rdc_jax.data.ragged import continued, draw_true_size
from rdc_jax.errors import RdcError

SEGMENTATION_SHARE = 0.5
"""Share of the examples with a segmentation whose importance map comes from it."""
REPLACED = "replaced"
"""Entry of a batch: 1 for examples that stand for an unreadable image, otherwise 0."""


@dataclass(frozen=True)
class Recipe:
    """How to make training examples.

    Attributes:
        crop_size: Side of the crops in pixels, a multiple of `cell_size`.
        cell_size: Side of a cell of the importance map in pixels.
        num_levels: Number of importance levels, 1 to 256.
        mixture: Probability of each kind of map (see `masks.random_importance`).
        segmentation_share: Share of the examples with a segmentation whose map comes from it. A
            random part of the segments is then the region of interest. Other examples, and those
            whose crop lies in a single segment, get a random map.
        darken_share: Share of the crops that `low_light.darken` darkens.
        ragged_share: Share of the crops with a border as in `ragged`.
        upright_share: Share of the crops at the image's own scale, neither turned nor flipped.

    Raises:
        RdcError: a size or a share is out of range.
    """

    crop_size: int
    cell_size: int = 16
    num_levels: int = 8
    mixture: Mapping[str, float] = field(default_factory=lambda: DEFAULT_MIXTURE)
    segmentation_share: float = SEGMENTATION_SHARE
    darken_share: float = 0.0
    ragged_share: float = 0.0
    upright_share: float = 0.0

    def __post_init__(self):
        size, cell = self.crop_size, self.cell_size
        if size < 1 or cell < 1 or size % cell:
            raise RdcError(
                f"data.crop_size {size} must be a positive multiple of the map's cell size {cell}"
            )
        if not 1 <= self.num_levels <= 256:
            raise RdcError(
                f"the number of importance levels must be 1 to 256, got {self.num_levels}"
            )
        for name in ("darken_share", "ragged_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise RdcError(f"data.{name} must be 0 to 1, not {getattr(self, name)}")


def make_example(
    recipe: Recipe, example: Mapping[str, Any], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Makes one training example.

    A share of 0 draws nothing from `rng`. So a recipe without an augmentation gives the same
    examples as a version of this program without it.

    Args:
        recipe: Crop size, shares and settings of the maps.
        example: Example of a source, see `sources`. The image may be an EncodedImage.
        rng: Source of all randomness.

    Returns:
        {"image": uint8 [crop_size, crop_size, 3], "importance": uint8 [cells, cells]} with cells =
        crop_size / cell_size. Latents give "latent" instead of "image", see `training_iterator`.
    """
    size, cells = recipe.crop_size, recipe.crop_size // recipe.cell_size
    true_size = (size, size)
    if "latent" in example:
        name = "latent"
        crop = draw_latent_crop(rng, example["latent"].shape, size // LATENT_PIXELS)
        image = crop.of(example["latent"])
    else:
        name = "image"
        crop = _draw_crop(recipe, rng, *example["image"].shape[:2])
        image = crop_image(example["image"], crop, size)
        if _drawn(rng, recipe.darken_share):
            image = darken(rng, image)
        if _drawn(rng, recipe.ragged_share):
            true_size = draw_true_size(rng, size)
            image = continued(image, *true_size)
    importance = None
    if "mask" in example and rng.random() < recipe.segmentation_share:
        labels = crop.of(example["mask"])
        importance = segment_importance(rng, labels, cells, cells, num_levels=recipe.num_levels)
    if importance is None:
        importance = random_importance(
            rng, cells, cells, num_levels=recipe.num_levels, image=image, mixture=recipe.mixture
        )
    if true_size != (size, size):
        importance = continued(importance, *(-(-n // recipe.cell_size) for n in true_size))
    return {name: image, "importance": importance}


def _draw_crop(recipe: Recipe, rng: np.random.Generator, height: int, width: int) -> Crop:
    if recipe.crop_size <= min(height, width) and _drawn(rng, recipe.upright_share):
        return draw_upright_crop(rng, height, width, recipe.crop_size)
    return draw_crop(rng, height, width, recipe.crop_size)


def _drawn(rng: np.random.Generator, share: float) -> bool:
    return share > 0 and rng.random() < share
