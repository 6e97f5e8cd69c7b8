"""Reduction of images to the small size that detectors use."""

import numpy as np
from PIL import Image


def reduced(pixels: np.ndarray, side: int) -> np.ndarray:
    """Reduces an image so that its longer side has at most `side` pixels.

    Takes uint8 [H,W,3] or [H,W] and returns uint8 [h,w,3]. Small images keep their size.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(pixels).convert("RGB").resize(size, Image.Resampling.BOX)
    return np.asarray(small)
