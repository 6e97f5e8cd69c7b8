"""Images and arrays as the page shows them."""

import base64
import dataclasses
import io

import numpy as np
from PIL import Image

from rdc_jax.images import LoadedImage, image_bytes

FAST = 2  # level of zlib, of 9: the page waits for these bytes


def png(image: LoadedImage) -> bytes:
    """A PNG file with alpha and profile as of `rdc decode`, compressed faster."""
    shown = dataclasses.replace(image, exif=None, xmp=None)
    return image_bytes(shown, ".png", compress_level=FAST)[0]


def data_url(pixels: np.ndarray) -> str:
    """A small image, uint8 [H,W,3] or [H,W], as the URL of a PNG for an answer in JSON."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=FAST)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode()


def heat(bits: np.ndarray) -> np.ndarray:
    """Bits [h,w] -> uint8 [h,w,3] from black through red and yellow to white.

    White is the 98th percentile. The colours show means over 2 x 2 latent pixels, as in `rdc demo`:
    within such a square the later coding passes always need fewer bits, which says nothing about
    the image.
    """
    h, w = bits.shape
    squares = np.pad(bits, ((0, h % 2), (0, w % 2)), mode="edge")
    squares = squares.reshape((h + 1) // 2, 2, (w + 1) // 2, 2).mean((1, 3))
    most = float(np.quantile(squares, 0.98)) or float(squares.max()) or 1.0
    values = (squares / most).repeat(2, 0).repeat(2, 1)[:h, :w]
    colours = np.clip(3 * np.clip(values, 0, 1)[..., None] - np.arange(3), 0, 1)
    return (255 * colours).astype(np.uint8)


def resized(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask uint8 [h,w], interpolated to [height,width]."""
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR))
