"""Pictures as finders see them: small."""

import numpy as np
from PIL import Image


def reduced(pixels: np.ndarray, side: int) -> np.ndarray:
    """uint8 [h,w,3] of a picture uint8 [H,W,3] or [H,W], its longer side `side` pixels at most."""
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(pixels).convert("RGB").resize(size, Image.Resampling.BOX)
    return np.asarray(small)
