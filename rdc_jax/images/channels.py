"""The channels of an opened image: colour of 8 bits, and alpha."""

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from rdc_jax.images import tiff_layout, transparency, wide_samples
from rdc_jax.images.tiff_layout import Layout

_GREY_MODES = ("1", "L", "LA", "F", *wide_samples.GREY_MODES)
_OTHER_SPACES = ("CMYK", "LAB")


def channels(
    image: Image.Image, again: Callable[[], Image.Image], layout: Layout | None, name: str
) -> tuple[Image.Image, Image.Image | None]:
    """Splits an image into colour and alpha.

    Args:
        image: Opened image; of a file, its pixels must not be loaded yet.
        again: Opens the same image once more.
        layout: What a TIFF file declares about its samples; None for other files.
        name: Name of the file, for error messages.

    Returns:
        Colour of mode RGB, L, CMYK or LAB, and alpha of mode L or None.

    Raises:
        RdcError: the samples are out of range.
    """
    wide = wide_samples.read(image, again, layout, name)
    if wide is not None:
        samples, plane = wide
        height, width, count = samples.shape
        mode = {1: "L", 3: "RGB", 4: "CMYK"}[count]
        colour = Image.frombytes(mode, (width, height), samples.tobytes())
        return colour, None if plane is None else Image.fromarray(np.ascontiguousarray(plane))
    if layout is not None and layout.photometric == 3 and hasattr(image, "tag_v2"):
        _repair_palette(image)
    image.load()
    if image.mode in _OTHER_SPACES:
        return image, None
    if image.mode == "La":
        both = np.asarray(image)
        straight = transparency.unmultiplied(both[..., :1], both[..., 1], 255)[..., 0]
        return Image.fromarray(straight.astype(np.uint8)), image.getchannel(1)
    mode = "L" if image.mode in _GREY_MODES else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode), None
    apart = image.convert("RGBA")
    return apart.convert("RGB").convert(mode), apart.getchannel("A")


def _repair_palette(image: Any) -> None:
    """Reads the palette of a TIFF file that has 8 bits where the format wants 16."""
    values = np.array(image.tag_v2[tiff_layout.COLORMAP]).reshape(3, -1)
    if values.max() < 256 and image.palette is not None:
        image.palette.palette = values.astype(np.uint8).tobytes()
