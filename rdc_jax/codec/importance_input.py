"""Importance as users give it: a mask, the path of a mask, or the name of a detector."""

import os
import warnings
from typing import Any

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage
from rdc_jax.images.arrays import as_mask
from rdc_jax.importance import detectors, maps, named_masks


def mask_of(importance: Any, image: LoadedImage) -> np.ndarray | tuple[Any, ...] | None:
    """The importance mask of an image.

    Args:
        importance: A mask [H,W] as an array, tensor or PIL image; the path of a mask; "center"; or
            one of `detectors.DETECTORS`, such as "auto". None: everything is equally important,
            which is also what "auto" comes to if it finds nothing. A warning says so if that is
            because no detector is installed.
        image: The image. Its fully transparent pixels are not important.

    Returns:
        bool, uint8 or float [H,W], or None.

    Raises:
        RdcError: The name is unknown, or the mask cannot be read.
    """
    if importance is None or isinstance(importance, tuple):  # `maps` refuses a tuple with a hint
        return importance
    if isinstance(importance, str | os.PathLike):
        mask, _ = named_masks.find(importance, image.pixels)
        if mask is None:
            if not detectors.installed():
                warnings.warn(detectors.note(), stacklevel=2)
            return None
    else:
        mask = as_mask(importance)
        if mask.dtype == np.uint8 and mask.size and 0 < mask.max() <= maps.DARKEST:
            raise RdcError(
                f"importance has values from 0 to {mask.max()} only, which is black in uint8; give "
                "255 for important parts, or a mask of bool or float"
            )
    if image.alpha is not None and mask.shape == image.alpha.shape:
        mask = np.where(image.alpha > 0, mask, mask.dtype.type(0))
    return mask
