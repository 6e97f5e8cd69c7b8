"""Image files: reading, writing, and the checks on pixels that an encoder makes.

The names below are the ones that other rooms use.
"""

import os

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.images.atomic_files import atomic_write
from rdc_jax.images.image import LoadedImage
from rdc_jax.images.reading import MAX_PIXELS, read_image
from rdc_jax.images.writing import image_bytes, write_image, write_loaded_image

__all__ = [
    "MAX_PIXELS",
    "LoadedImage",
    "atomic_write",
    "checked_pixels",
    "image_bytes",
    "read_image",
    "write_image",
    "write_loaded_image",
]


def checked_pixels(pixels: np.ndarray, grey: bool = False) -> tuple[np.ndarray, bool]:
    """Returns pixels in the form an encoder takes, and whether they are grey.

    Args:
        pixels: uint8 [height, width, 3], or [height, width] for grey.
        grey: True if the three channels are known to be equal.

    Returns:
        uint8 [height, width, 3], and True for a grey image.

    Raises:
        RdcError: `pixels` is a path, or has the wrong dtype or shape.
    """
    if isinstance(pixels, str | os.PathLike):
        raise RdcError(
            "encoding takes pixels, not a path: pass "
            f"rdc_jax.images.read_image({str(pixels)!r}).pixels"
        )
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise RdcError(f"pixels must be uint8 [H,W,3], not {pixels.dtype} {pixels.shape}")
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=-1), True
    if pixels.shape[-1] != 3:
        hint = "; alpha goes into extras, see rdc_jax.codec.metadata_sections"
        given = f"{pixels.shape[-1]}{hint if pixels.shape[-1] == 4 else ''}"
        raise RdcError(f"pixels must have 3 channels, not {given}")
    return pixels, grey
