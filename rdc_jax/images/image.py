"""What a picture file holds once it is read, and what is needed to write one."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LoadedImage:
    """A picture, upright, with what came with it.

    Attributes:
        pixels: uint8 [height, width, 3], the colours that icc describes (sRGB if there is none).
        grey: whether there is one luma channel (the three channels here are equal).
        alpha: uint8 [height, width], 255 = opaque; None for a picture that is opaque everywhere.
        icc: ICC profile of the pixels.
        exif: EXIF block, from its byte order mark on; its orientation, if it has one, is 1.
        xmp: XMP packet; its orientation, if it has one, is 1.
        source_mode: Pillow's name of the file's pixel layout, such as "RGB", "P" or "I;16".
    """

    pixels: np.ndarray
    grey: bool = False
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    source_mode: str = "RGB"
