"""Transparency: what is behind it, the colours below it, and its plane as a PNG file."""

import numpy as np
from PIL import Image

from rdc_jax.images import alpha_png, smooth_fill

WHITE = 255
_STEP = 17  # between the greys of a lossy plane: 0, 14 partly transparent ones, 255


def laid_on(pixels: np.ndarray, alpha: np.ndarray, background: int = WHITE) -> np.ndarray:
    """uint8 [H,W,3] of a picture in front of a grey, 0 to 255; alpha uint8 [H,W]."""
    picture = Image.fromarray(np.dstack([pixels, alpha]))
    behind = Image.new("RGBA", picture.size, (background,) * 3 + (255,))
    return np.array(Image.alpha_composite(behind, picture).convert("RGB"))


def filled(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """uint8 [H,W,3] with smooth colours where alpha, uint8 [H,W], is 0; white if it is everywhere.

    Nobody sees these pixels, but they are coded with the others.
    """
    hidden = alpha == 0
    return np.full_like(pixels, WHITE) if hidden.all() else smooth_fill.filled(pixels, hidden)


def to_png(alpha: np.ndarray, lossy: bool = False) -> bytes:
    """A plane uint8 [H,W] as an 8-bit grey PNG file.

    lossy: values between 0 and 255 may be rounded to 14 greys, if that makes the file smaller; 0
    and 255 never change, nor is anything rounded to them.
    """
    exact = alpha_png.encode(alpha)
    if not lossy:
        return exact
    rounded = np.clip((alpha.astype(np.int16) + _STEP // 2) // _STEP, 1, 14) * _STEP
    partly = (alpha > 0) & (alpha < 255)
    fewer = alpha_png.encode(np.where(partly, rounded, alpha).astype(np.uint8))
    return min(exact, fewer, key=len)
