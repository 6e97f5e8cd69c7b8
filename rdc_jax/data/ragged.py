"""Crops with the borders that the encoder makes if an image does not fit its grid.

The encoder repeats the last row and column of an image up to a multiple of 8 pixels, or up to a
whole window if the image is smaller. For the hyper-latent, whose cells cover 32 pixels, it repeats
the last row and column of latent and importance map.

A crop gets such a border when its last rows and columns are replaced by copies of the row and
column before them. For large images this is exact up to 7 pixels. Beyond 7 pixels the encoder
repeats latent pixels, while the crop repeats image pixels.
"""

import numpy as np

GRID_PIXELS = 32
"""Image pixels per cell of the hyper-latent along a side."""


def draw_true_size(rng: np.random.Generator, size: int) -> tuple[int, int]:
    """Draws the height and width that remain of a crop of `size` x `size` pixels.

    1 to 31 pixels are removed on the right, at the bottom, or both, with equal probability.
    """
    most = min(GRID_PIXELS, size)
    height, width = (size - int(rng.integers(1, most)) for _ in range(2))
    where = rng.integers(3)
    return (size if where == 1 else height), (size if where == 2 else width)


def continued(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """Replaces the last rows and columns by copies of the row and column before them.

    Args:
        array: [h, w, ...].
        height: Number of rows to keep.
        width: Number of columns to keep.

    Returns:
        Array of the same shape.
    """
    rows = np.minimum(np.arange(array.shape[0]), height - 1)
    columns = np.minimum(np.arange(array.shape[1]), width - 1)
    return array[rows[:, None], columns]
