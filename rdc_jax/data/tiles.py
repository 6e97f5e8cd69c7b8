"""Squares that cover a whole photo, for networks that are run on one size only."""

import math

import numpy as np

from rdc_jax.data.crops import Crop, crop_image
from rdc_jax.data.latent_records import LATENT_PIXELS


def covering_squares(height: int, width: int, tile: int) -> list[Crop]:
    """The fewest squares that cover a photo, spread evenly so that they overlap equally.

    Their side is `tile`; in a photo with a shorter side, that side, to be scaled up like the
    crops of training are.
    """
    side = min(height, width, tile)
    rows, columns = (_starts(length, side) for length in (height, width))
    return [Crop(top, left, side, turn=0, flip=False) for top in rows for left in columns]


def tile_pixels(image: np.ndarray, square: Crop, tile: int) -> np.ndarray:
    """uint8 [height, width, 3] -> [tile, tile, 3]."""
    return crop_image(image, square, tile)


def tile_labels(mask: np.ndarray, square: Crop, tile: int) -> np.ndarray:
    """Segment numbers of a tile at latent resolution: those in the middle of each element.

    uint8 [height, width] -> [tile / 8, tile / 8].
    """
    count = tile // LATENT_PIXELS
    middle = ((np.arange(count) + 0.5) * square.side / count).astype(int)
    return square.box(mask)[np.ix_(middle, middle)]


def _starts(length: int, side: int) -> list[int]:
    count = math.ceil(length / side)
    return np.round(np.linspace(0, length - side, count)).astype(int).tolist()
