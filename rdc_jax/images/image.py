"""The content of an image file: pixels, alpha and metadata."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LoadedImage:
    """An upright image with its alpha plane and metadata.

    Attributes:
        pixels: uint8 [height, width, 3], in the colour space of `icc` (sRGB if `icc` is None).
        grey: True for a grey image, whose three channels are equal.
        alpha: uint8 [height, width], 255 = opaque. None if every pixel is opaque.
        icc: ICC profile of the pixels.
        exif: EXIF block that starts with its byte order mark. An orientation in it is 1.
        xmp: XMP packet. An orientation in it is 1.
        source_mode: Pillow's name of the file's pixel layout, such as "RGB", "P" or "I;16".
        notes: What was ignored or changed while reading, for people. Each continues "The file ...".
    """

    pixels: np.ndarray
    grey: bool = False
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    source_mode: str = "RGB"
    notes: tuple[str, ...] = ()
