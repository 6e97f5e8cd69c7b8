"""Random square crops of images or latents. A mask is cropped by the same draw as its image."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rdc_jax.images import EncodedImage, array_square

WHOLE_SIDE_PROBABILITY = 0.1
"""Probability that a crop covers the whole short side of its image."""

_METHODS = {
    (0, False): None,
    (1, False): Image.Transpose.ROTATE_90,
    (2, False): Image.Transpose.ROTATE_180,
    (3, False): Image.Transpose.ROTATE_270,
    (0, True): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, True): Image.Transpose.TRANSVERSE,
    (2, True): Image.Transpose.FLIP_TOP_BOTTOM,
    (3, True): Image.Transpose.TRANSPOSE,
}
"""Pillow's names of the eight symmetries (turn, flip) of `Crop`. Pillow is faster than NumPy."""


@dataclass(frozen=True)
class Crop:
    """A square of an image, in pixels, that is then turned by `turn` quarters and maybe flipped."""

    top: int
    left: int
    side: int
    turn: int
    flip: bool

    def of(self, array: np.ndarray) -> np.ndarray:
        """Crops an array [height, width, ...] at its own resolution to [side, side, ...]."""
        return self.turned(self.box(array))

    def box(self, array: np.ndarray) -> np.ndarray:
        """Returns the square of an array [height, width, ...] before turning."""
        return array[self.top : self.top + self.side, self.left : self.left + self.side]

    def turned(self, box: np.ndarray) -> np.ndarray:
        """Turns and flips a square [n, n, ...]. The result is contiguous."""
        box = np.rot90(box, self.turn)  # with the four turns, one flip gives all eight symmetries
        return np.ascontiguousarray(box[:, ::-1] if self.flip else box)


@dataclass(frozen=True)
class LatentCrop:
    """A square of a tile, in latent pixels.

    Latents are never scaled, turned or flipped. An autoencoder is not equivariant, so the latent of
    a turned image is not the turned latent.
    """

    top: int
    left: int
    side: int

    def of(self, tile: np.ndarray) -> np.ndarray:
        """Crops an array [h, w, ...] to [side, side, ...]. The result is contiguous."""
        rows, columns = (slice(start, start + self.side) for start in (self.top, self.left))
        return np.ascontiguousarray(tile[rows, columns])


def draw_latent_crop(rng: np.random.Generator, shape: tuple[int, ...], side: int) -> LatentCrop:
    """Draws a random square of latents.

    Args:
        rng: Source of all randomness.
        shape: Shape of the latent of a tile, (h, w, C).
        side: Side of the square in latent pixels, at most h and w.
    """
    top, left = (int(rng.integers(length - side + 1)) for length in shape[:2])
    return LatentCrop(top, left, side)


def draw_crop(rng: np.random.Generator, height: int, width: int, size: int) -> Crop:
    """Draws a random square of an image, turned and flipped at random.

    Its side is size * 2**u with u uniform in [0, 1), but at most the image's short side. With
    WHOLE_SIDE_PROBABILITY it is the whole short side.

    Args:
        rng: Source of all randomness.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        size: Side of the scaled crop in pixels.
    """
    short = min(height, width)
    side = round(size * 2.0 ** rng.uniform(0.0, 1.0))
    if side > short or rng.random() < WHOLE_SIDE_PROBABILITY:
        side = short
    top = int(rng.integers(height - side + 1))
    left = int(rng.integers(width - side + 1))
    turn, flip = int(rng.integers(4)), bool(rng.random() < 0.5)
    return Crop(top, left, side, turn, flip)


def draw_upright_crop(rng: np.random.Generator, height: int, width: int, size: int) -> Crop:
    """Draws a random square at the image's own scale, neither turned nor flipped.

    This suits text and screens, whose letters and lines are upright and lie on whole pixels.

    Args:
        rng: Source of all randomness.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        size: Side of the crop in pixels, at most the image's short side.
    """
    top, left = (int(rng.integers(length - size + 1)) for length in (height, width))
    return Crop(top, left, size, turn=0, flip=False)


def crop_image(image: np.ndarray | EncodedImage, crop: Crop, size: int) -> np.ndarray:
    """Crops an image and scales the crop to `size`. Nothing is padded.

    Args:
        image: uint8 [height, width, 3], or a file that is not decoded yet.
        crop: The square.
        size: Side of the result in pixels.

    Returns:
        uint8 [size, size, 3].

    Raises:
        RdcError: the file is damaged.
    """
    place = (crop.top, crop.left, crop.side, size)
    if isinstance(image, EncodedImage):
        square = image.square(*place)
    else:
        square = array_square(image, *place)
    method = _METHODS[crop.turn, crop.flip]
    return np.asarray(square if method is None else square.transpose(method))
