"""The region of interest that --roi and the shapes describe: its mask, and whether it fits."""

import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.images import read_image
from rdc_jax.importance import detectors, maps, named_masks, shapes

SHAPES = {
    "roi_box": shapes.box,
    "roi_ellipse": shapes.ellipse,
    "roi_polygon": shapes.polygon,
    "fovea": shapes.fovea,
}


class Region(NamedTuple):
    """A region of interest.

    Attributes:
        mask: float32 [h,w] in [0,1]; None for no region, also if "auto" finds none.
        found: What a detector found, for people to read; None without a detector.
    """

    mask: np.ndarray | None
    found: str | None


def shapes_of(args: Namespace) -> list[shapes.Shape]:
    """The shapes given by numbers. Raises RdcError for one that cannot be read."""
    return [read(text) for name, read in SHAPES.items() for text in getattr(args, name)]


def check(roi: str | None, given: list[shapes.Shape], sources: Iterable[str]) -> None:
    """Checks that a region fits all images. Reads each image, which is quick beside coding it.

    Args:
        roi: As in `region_of`.
        given: The shapes.
        sources: Paths of images. Those that cannot be read twice or at all are left out; the latter
            are reported when their turn comes.

    Raises:
        RdcError: There is no such mask, it has another size than an image, or a shape lies outside
            an image.
    """
    mask_size = None
    if roi is not None and named_masks.is_file(roi) and Path(roi).is_file():
        mask_size = read_image(roi).pixels.shape[:2]
    if mask_size is None and not given:
        return
    for source in sources:
        if not Path(source).is_file():
            continue
        try:
            height, width = read_image(source).pixels.shape[:2]
        except RdcError:
            continue
        try:
            if mask_size is not None:
                maps.check_size(f"mask '{roi}'", mask_size, (height, width))
            for shape in given:
                shape(height, width)
        except RdcError as error:
            raise RdcError(f"'{source}': {error}") from error


def note_on_detectors(roi: str | None) -> None:
    """Prints what --roi auto does without. Call it once, since it is the same for all images."""
    if roi == "auto" and (note := detectors.note()):
        print(f"rdc: note: {note}", file=sys.stderr)


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
    masks = [shape(*pixels.shape[:2]) for shape in given]
    found = None
    if roi is not None:
        mask, found = named_masks.find(roi, pixels)
        if mask is not None:
            masks.append(np.float32(mask) / np.float32(255) if mask.dtype == np.uint8 else mask)
    if masks and alpha is not None:
        masks = [np.where(alpha > 0, mask, np.float32(0)) for mask in masks]
    return Region(np.maximum.reduce(masks) if masks else None, found)
