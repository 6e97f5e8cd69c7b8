"""The crops that validation looks at: centres of held-out training images."""

from typing import Any

import ml_collections
import numpy as np

from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.errors import RdcError

SMALLEST = 64
"""Least side of a crop in pixels: a window of the metric of added patterns."""
SIDE_MULTIPLE = 32


def crop_side(config: ml_collections.ConfigDict) -> int:
    """Side of the validation crops in pixels. Raises RdcError for a side that networks refuse."""
    size = config.data.get("validation_size", 2 * config.data.crop_size)
    if size < SMALLEST or size % SIDE_MULTIPLE:
        raise RdcError(
            f"data.validation_size must be a multiple of {SIDE_MULTIPLE} and at least {SMALLEST}, "
            f"not {size}"
        )
    return size


def validation_crops(source: Any, indices: np.ndarray, size: int) -> np.ndarray:
    """Centre crops of the held-out images, uint8 [N,size,size,3]; smaller images are repeated.

    Of latents: the centres of the held-out tiles, float16 [N,size/8,size/8,C], or whole tiles
    where tiles are smaller.

    Args:
        source: Of the images.
        indices: Of the held-out images.
        size: Side of the crops in pixels.
    """
    crops = []
    for index in indices:
        example = source[int(index)]
        if "latent" in example:
            tile = example["latent"]
            side = min(size // LATENT_PIXELS, len(tile))
            start = (len(tile) - side) // 2
            crops.append(tile[start : start + side, start : start + side])
            continue
        image = example["image"]
        repeat = [-(-size // n) for n in image.shape[:2]]
        image = np.tile(image, (*repeat, 1))
        top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
        crops.append(image[top : top + size, left : left + size])
    return np.stack(crops)
