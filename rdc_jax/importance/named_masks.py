"""Importance masks by name: the path of an image, "center", or a detector such as "auto"."""

import os

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.importance import detectors, maps, shapes

CENTRE = ("center", "centre")
STREAM = "-"  # a mask image from standard input


def is_file(name: str | os.PathLike) -> bool:
    """Whether a name is that of a mask image. Raises RdcError if it names no mask at all."""
    if name in (*CENTRE, *detectors.DETECTORS):
        return False
    if name != STREAM and not os.path.lexists(name):
        words = ", ".join(("center", *detectors.DETECTORS))
        raise RdcError(
            f"no mask '{os.fspath(name)}'; give a mask of the image's size, or one of {words}"
        )
    return True


def find(name: str | os.PathLike, pixels: np.ndarray) -> tuple[np.ndarray | None, str | None]:
    """The mask of an image.

    Args:
        name: Path of a mask image, "-" for one from standard input, "center", or one of
            `detectors.DETECTORS`.
        pixels: The image, uint8 [h,w,3] or [h,w].

    Returns:
        The mask [h,w], uint8 from a file and float32 in [0,1] otherwise, or None if "auto" finds
        nothing; and what a detector found, for people to read, or None.

    Raises:
        RdcError: There is no such mask, it cannot be read or does not fit, or a detector is
            missing or finds nothing.
    """
    height, width = pixels.shape[:2]
    if is_file(name):
        return maps.read_mask(os.fspath(name), height, width), None
    if name in CENTRE:
        return shapes.centre(height, width), None
    return detectors.find(pixels, str(name))
