"""Crops with borders such as the encoder makes where a picture's sides do not fit its grid.

The encoder repeats a picture's last row and column up to a multiple of 8 pixels, or up to a whole
tile if the picture is smaller. For the hyper-latent, whose cells cover 32 pixels, it repeats the
last row and column of latent and importance map. A crop gets such a border by forgetting some of
its pixels and repeating the last ones it has. In large pictures this is exact for up to 7 pixels;
beyond them the encoder repeats latent pixels, the crop picture pixels.
"""

import numpy as np

GRID_PIXELS = 32
"""Picture pixels that a cell of the hyper-latent covers."""


def draw_true_size(rng: np.random.Generator, size: int) -> tuple[int, int]:
    """Height and width of what a crop of `size` pixels still shows.

    At the right, the bottom or both (equally often) 1 to 31 pixels are missing.
    """
    most = min(GRID_PIXELS, size)
    height, width = (size - int(rng.integers(1, most)) for _ in range(2))
    where = rng.integers(3)
    return (size if where == 1 else height), (size if where == 2 else width)


def continued(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """An array [h, w, ...] whose rows from `height` and columns from `width` repeat the last."""
    rows = np.minimum(np.arange(array.shape[0]), height - 1)
    columns = np.minimum(np.arange(array.shape[1]), width - 1)
    return array[rows[:, None], columns]
