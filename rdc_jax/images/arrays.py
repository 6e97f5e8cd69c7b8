"""Images as users have them: arrays and tensors of any library, PIL images, paths.

Libraries are recognised by what their objects can do, so nothing is imported for it:

    NumPy, JAX, anything with `__array__`     uint8 [H,W,3]; float 0..1 [H,W,3] or [3,H,W]
    PyTorch, detached and on any device       the same
    PIL.Image.Image                           any mode; alpha, profile and EXIF are kept
    str, Path, file opened for reading        see `read_image`
    LoadedImage                               as it is

Grey images have shape [H,W], or one channel instead of three.
"""

import os
from typing import Any

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.images.image import LoadedImage
from rdc_jax.images.reading import from_pillow, read_image

ACCEPTED = (
    "image must be an array [H,W,3] or [H,W] of uint8 (0 to 255) or float (0 to 1), a PIL image, "
    "or a path"
)
TOLERANCE = 1e-6  # float samples may leave 0..1 by so much, through rounding


def is_batch(value: Any) -> bool:
    """Whether a value is several images, and not one: a list or a tuple."""
    return isinstance(value, list | tuple)


def as_image(value: Any) -> LoadedImage:
    """An image from what a user has.

    Args:
        value: See the table above.

    Returns:
        The image, upright, uint8 [H,W,3]. Alpha and metadata are those of a file or PIL image.

    Raises:
        RdcError: The type, shape, range or file is unusable; the message says how to fix it.
    """
    if isinstance(value, LoadedImage):
        return value
    if isinstance(value, str | os.PathLike) or hasattr(value, "read"):
        return read_image(value, keep_alpha=True)
    if isinstance(value, Image.Image):
        return from_pillow(value)
    if is_batch(value):
        raise RdcError("a batch is a list of images, not a list of lists")
    pixels = _channels_last(as_numpy(value, ACCEPTED))
    if pixels.dtype != np.uint8:
        pixels = _from_float(pixels)
    if pixels.shape[-1] == 1:
        return LoadedImage(np.repeat(pixels, 3, axis=-1), grey=True)
    return LoadedImage(pixels)


def as_mask(value: Any) -> np.ndarray:
    """An array [H,W] from a mask as a user has it: bool, uint8 (255 = important) or float 0..1.

    A PIL image becomes its luma. Raises RdcError for a type that is no array.
    """
    if isinstance(value, Image.Image):
        return np.asarray(value.convert("L"))
    return as_numpy(value, "a mask must be an array [H,W] of bool, uint8 or float, or a PIL image")


def as_numpy(value: Any, accepted: str) -> np.ndarray:
    """The values of an array or tensor of any library, on the CPU.

    accepted: What the error says is accepted instead.
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # PyTorch
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):
            value = value.float()
        value = value.numpy()
    if not hasattr(value, "__array__"):
        raise RdcError(f"{accepted}, not {type(value).__name__}")
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _channels_last(array: np.ndarray) -> np.ndarray:
    """[H,W,3] or [H,W,1], channels moved to the end where they come first."""
    shape, floating = array.shape, np.issubdtype(array.dtype, np.floating)
    if array.dtype != np.uint8 and not floating:
        raise RdcError(f"{ACCEPTED}, not {array.dtype}; convert it with .astype('uint8')")
    if array.ndim == 4:
        raise RdcError(f"{ACCEPTED}, not {shape}; give a batch as a list of images")
    if array.size == 0:
        raise RdcError(f"image has no pixels: its shape is {shape}")
    if array.ndim not in (2, 3):
        raise RdcError(f"{ACCEPTED}, not {shape}")
    if array.ndim == 2:
        return array[..., None]
    first, last = shape[0] in (1, 3), shape[-1] in (1, 3)
    if last and not (first and floating):
        return array
    if first and not last:
        if floating:
            return np.moveaxis(array, 0, -1)
        raise RdcError(f"{ACCEPTED}, not uint8 {shape}; move the channels to the end")
    if first and last:
        raise RdcError(
            f"image must say where its channels are, and {shape} does not; give uint8 [H,W,3]"
        )
    if shape[-1] == 4 or (floating and shape[0] == 4):
        raise RdcError(
            "image must have 3 channels, not 4; give a PIL image or a path to keep alpha, or "
            "remove the fourth channel"
        )
    raise RdcError(f"image must have 1 or 3 channels, not {array.dtype} {shape}")


def _from_float(pixels: np.ndarray) -> np.ndarray:
    """uint8 of float in 0..1, rounded."""
    if not np.isfinite(pixels).all():
        raise RdcError(
            "image must be finite, and some samples are NaN or infinite; replace them first"
        )
    least, most = float(pixels.min()), float(pixels.max())
    if least < -TOLERANCE or most > 1 + TOLERANCE:
        fix = "divide by 255" if 0 <= least and most <= 255 else "scale or clip it"
        raise RdcError(
            f"image must be in 0 to 1 as float, and this one is in {least:.4g} to {most:.4g}; "
            f"{fix}, or convert it to uint8"
        )
    return np.rint(255.0 * np.clip(pixels.astype(np.float64), 0.0, 1.0)).astype(np.uint8)
