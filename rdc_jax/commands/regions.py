"""The region of interest that arguments describe, for `rdc encode` and `rdc roi`."""

from argparse import Namespace

import numpy as np

from rdc_jax import importance, region_shapes
from rdc_jax.saliency import salient

AUTO, CENTRE = ("auto",), ("center", "centre")  # what --roi takes besides a file
SHAPES = {
    "roi_box": region_shapes.box,
    "roi_ellipse": region_shapes.ellipse,
    "roi_polygon": region_shapes.polygon,
    "fovea": region_shapes.fovea,
}


def shapes_of(args: Namespace) -> list[region_shapes.Shape]:
    """The shapes that are given in numbers. Raises RdcError for one that cannot be read."""
    return [read(text) for name, read in SHAPES.items() for text in getattr(args, name)]


def mask_of(
    roi: str | None,
    shapes: list[region_shapes.Shape],
    pixels: np.ndarray,
    alpha: np.ndarray | None = None,
) -> np.ndarray | None:
    """The union of a mask and shapes: float32 [h,w] in [0,1], None for neither.

    roi: a mask file, "auto" or "center"; pixels: uint8 [h,w,3] or [h,w]. alpha: uint8 [h,w], what
    is fully transparent is not important.
    """
    size = pixels.shape[:2]
    masks = [shape(*size) for shape in shapes]
    if roi in AUTO:
        masks.append(salient(pixels))
    elif roi in CENTRE:
        masks.append(region_shapes.centre(*size))
    elif roi is not None:
        masks.append(np.float32(importance.read_mask(roi, *size)) / np.float32(255))
    if masks and alpha is not None:
        masks = [np.where(alpha > 0, mask, np.float32(0)) for mask in masks]
    return np.maximum.reduce(masks) if masks else None
