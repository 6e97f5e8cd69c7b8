"""Transparency: backgrounds, colours under transparent pixels, and alpha planes as PNG files."""

import numpy as np
from PIL import Image

from rdc_jax.images import alpha_png, smooth_fill

WHITE = 255
_STEP = 17  # between values of a lossy alpha plane: 0, 14 partly transparent values, 255


def laid_on(pixels: np.ndarray, alpha: np.ndarray, background: int = WHITE) -> np.ndarray:
    """Composites an image over a plain grey background.

    Args:
        pixels: uint8 [H,W,3].
        alpha: uint8 [H,W], 255 = opaque.
        background: Grey value, 0 to 255.

    Returns:
        uint8 [H,W,3].
    """
    front = Image.fromarray(np.dstack([pixels, alpha]))
    behind = Image.new("RGBA", front.size, (background,) * 3 + (255,))
    return np.array(Image.alpha_composite(behind, front).convert("RGB"))


def unmultiplied(colour: np.ndarray, alpha: np.ndarray, full: int) -> np.ndarray:
    """Divides premultiplied colours by alpha. Colours above alpha become white.

    Args:
        colour: integers [H,W,C], 0 to `full`.
        alpha: integers [H,W], 0 to `full`.
        full: Value of opaque and of white.

    Returns:
        int64 [H,W,C]; 0 where alpha is 0.
    """
    alpha = np.maximum(alpha, 1).astype(np.int64)[..., None]
    return np.minimum((colour.astype(np.int64) * full + alpha // 2) // alpha, full)


def filled(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Gives smooth colours to pixels uint8 [H,W,3] where alpha uint8 [H,W] is 0.

    If alpha is 0 everywhere, all pixels become white. These pixels are invisible but still coded,
    and smooth colours cost few bits.
    """
    hidden = alpha == 0
    return np.full_like(pixels, WHITE) if hidden.all() else smooth_fill.filled(pixels, hidden)


def to_png(alpha: np.ndarray, lossy: bool = False) -> bytes:
    """Returns an alpha plane uint8 [H,W] as an 8-bit grey PNG file.

    With `lossy`, values between 0 and 255 are rounded to 14 values if that makes the file smaller.
    The values 0 and 255 never change, and no other value is rounded to them.
    """
    exact = alpha_png.encode(alpha)
    if not lossy:
        return exact
    rounded = np.clip((alpha.astype(np.int16) + _STEP // 2) // _STEP, 1, 14) * _STEP
    partly = (alpha > 0) & (alpha < 255)
    fewer = alpha_png.encode(np.where(partly, rounded, alpha).astype(np.uint8))
    return min(exact, fewer, key=len)
