"""The mask of the region of interest that --roi and the shapes describe."""

import os
from argparse import Namespace
from typing import NamedTuple

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.importance import detectors, maps, shapes

CENTRE = ("center", "centre")  # values of --roi besides a file and the detectors
SHAPES = {
    "roi_box": shapes.box,
    "roi_ellipse": shapes.ellipse,
    "roi_polygon": shapes.polygon,
    "fovea": shapes.fovea,
}


class Region(NamedTuple):
    """A region of interest.

    Attributes:
        mask: float32 [h,w] in [0,1]; None for no region.
        found: What a detector found, for people to read; None without a detector.
    """

    mask: np.ndarray | None
    found: str | None


def shapes_of(args: Namespace) -> list[shapes.Shape]:
    """The shapes given by numbers. Raises RdcError for one that cannot be read."""
    return [read(text) for name, read in SHAPES.items() for text in getattr(args, name)]


def region_of(
    roi: str | None,
    given: list[shapes.Shape],
    pixels: np.ndarray,
    alpha: np.ndarray | None = None,
) -> Region:
    """The union of a mask and of shapes.

    Args:
        roi: A mask file, "center", or one of `detectors.DETECTORS`; None for no mask.
        given: The shapes.
        pixels: uint8 [h,w,3] or [h,w].
        alpha: uint8 [h,w]; fully transparent pixels are not important.

    Raises:
        RdcError: The mask cannot be read or does not fit, or a detector is missing or finds
            nothing.
    """
    size = pixels.shape[:2]
    masks = [shape(*size) for shape in given]
    found = None
    if roi in detectors.DETECTORS:
        mask, found = detectors.find(pixels, roi)
        masks.append(mask)
    elif roi in CENTRE:
        masks.append(shapes.centre(*size))
    elif roi is not None:
        masks.append(np.float32(_read_mask(roi, *size)) / np.float32(255))
    if masks and alpha is not None:
        masks = [np.where(alpha > 0, mask, np.float32(0)) for mask in masks]
    return Region(np.maximum.reduce(masks) if masks else None, found)


def _read_mask(roi: str, height: int, width: int) -> np.ndarray:
    try:
        return maps.read_mask(roi, height, width)
    except RdcError as error:
        if roi == "-" or os.path.lexists(roi):
            raise
        raise RdcError(
            f"no mask '{roi}': a region is an image of the same size, center, "
            f"{', '.join(detectors.DETECTORS[:-1])} or {detectors.DETECTORS[-1]}"
        ) from error
