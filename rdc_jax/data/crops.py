"""Random square crops of an image or its latents, and by the same draw of maps beside them."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

WHOLE_SIDE_PROBABILITY = 0.1
"""How often a crop covers the whole short side of its image instead of a box near its own size."""


@dataclass(frozen=True)
class Crop:
    """A square of an image, then turned by `turn` quarters and perhaps flipped, in pixels."""

    top: int
    left: int
    side: int
    turn: int
    flip: bool

    def of(self, array: np.ndarray) -> np.ndarray:
        """The crop of an array [height, width, ...] at its own resolution: [side, side, ...]."""
        return self.turned(self.box(array))

    def box(self, array: np.ndarray) -> np.ndarray:
        """The square of an array [height, width, ...], not yet turned."""
        return array[self.top : self.top + self.side, self.left : self.left + self.side]

    def turned(self, box: np.ndarray) -> np.ndarray:
        """A square [n, n, ...], turned and flipped, contiguous."""
        box = np.rot90(box, self.turn)  # with the four turns, one flip gives all eight symmetries
        return np.ascontiguousarray(box[:, ::-1] if self.flip else box)


@dataclass(frozen=True)
class Window:
    """A square of one of a photo's tiles, in elements of the latent.

    Never scaled, turned or flipped: that of an image is not the same of its latent, because an
    autoencoder is not equivariant.
    """

    tile: int
    top: int
    left: int
    side: int

    def of(self, tiles: np.ndarray) -> np.ndarray:
        """The window of an array [tiles, h, w, ...]: [side, side, ...], contiguous."""
        rows, columns = (slice(start, start + self.side) for start in (self.top, self.left))
        return np.ascontiguousarray(tiles[self.tile, rows, columns])


def draw_window(rng: np.random.Generator, shape: tuple[int, ...], side: int) -> Window:
    """A random window of latents of shape (tiles, h, w, C); `side` is at most h and w."""
    tiles, height, width = shape[:3]
    tile = int(rng.integers(tiles))
    top, left = (int(rng.integers(length - side + 1)) for length in (height, width))
    return Window(tile, top, left, side)


def draw_crop(rng: np.random.Generator, height: int, width: int, size: int) -> Crop:
    """A random square of an image, flipped and turned at random.

    Its side is size * 2**u, u uniform in [0, 1), at most the image's short side; now and then it
    is the whole short side.
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
    """A random square of `size` pixels at the image's own scale, neither turned nor flipped.

    `size` is at most the image's short side. For text and screens, whose letters and lines lie on
    whole pixels and stand upright.
    """
    top, left = (int(rng.integers(length - size + 1)) for length in (height, width))
    return Crop(top, left, size, turn=0, flip=False)


def crop_image(image: np.ndarray, crop: Crop, size: int) -> np.ndarray:
    """The crop, scaled to `size`: every pixel is interpolated from real ones, nothing is padded.

    Args:
        image: uint8 [height, width, 3].
        crop: which square.
        size: side of the result in pixels.

    Returns:
        uint8 [size, size, 3].
    """
    box = crop.box(image)
    if crop.side != size:
        kernel = Image.Resampling.LANCZOS if crop.side > size else Image.Resampling.BICUBIC
        picture = Image.fromarray(np.ascontiguousarray(box))
        box = np.asarray(picture.resize((size, size), kernel, reducing_gap=3.0))
    return crop.turned(box)
