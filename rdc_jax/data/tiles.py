"""Square tiles that cover a whole photo, for an autoencoder that runs at one size only.

These tiles of training data are not related to the tiles of `.rdc` files.
"""

import math

import numpy as np

from rdc_jax.data.crops import Crop, crop_image
from rdc_jax.data.latent_records import LATENT_PIXELS


def covering_squares(height: int, width: int, tile: int) -> list[Crop]:
    """Returns the fewest squares that cover a photo, evenly spread with equal overlap.

    The side of the squares is `tile`. If the photo has a shorter side, it is that side, and
    `tile_pixels` scales the squares up.

    Args:
        height: Height of the photo in pixels.
        width: Width of the photo in pixels.
        tile: Side of the tiles in pixels.
    """
    side = min(height, width, tile)
    rows, columns = (_starts(length, side) for length in (height, width))
    return [Crop(top, left, side, turn=0, flip=False) for top in rows for left in columns]


def tile_pixels(image: np.ndarray, square: Crop, tile: int) -> np.ndarray:
    """Returns the pixels of a tile.

    Args:
        image: uint8 [height, width, 3], the photo.
        square: Position of the tile in the photo.
        tile: Side of the tile in pixels.

    Returns:
        uint8 [tile, tile, 3].
    """
    return crop_image(image, square, tile)


def tile_labels(mask: np.ndarray, square: Crop, tile: int) -> np.ndarray:
    """Returns the segment number at the centre of each latent pixel of a tile.

    Args:
        mask: uint8 [height, width], segment numbers of the photo.
        square: Position of the tile in the photo.
        tile: Side of the tile in pixels.

    Returns:
        uint8 [tile / 8, tile / 8].
    """
    count = tile // LATENT_PIXELS
    middle = ((np.arange(count) + 0.5) * square.side / count).astype(int)
    return square.box(mask)[np.ix_(middle, middle)]


def _starts(length: int, side: int) -> list[int]:
    count = math.ceil(length / side)
    return np.round(np.linspace(0, length - side, count)).astype(int).tolist()
