"""Importance maps from masks and levels.

A map is a grid of cells with `cell_size` pixels on a side. It holds one level index per cell: uint8
[rows, columns], 0 = least and num_levels - 1 = most important. Cells at the right and bottom edge
may lie only partly inside the image. They represent the pixels that are inside.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.images import read_image
from rdc_jax.importance.timesteps import check_levels

DARKEST = 8  # masks without a brighter value are labels, such as 0 and 1, and not greys


def grid_shape(height: int, width: int, cell_size: int) -> tuple[int, int]:
    """Returns (rows, columns) of the map of an image.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        cell_size: Side of a cell in pixels.

    Raises:
        RdcError: a size is below 1.
    """
    if height < 1 or width < 1 or cell_size < 1:
        raise RdcError(f"an image of {width} x {height} has no map with cells of {cell_size}")
    return -(-height // cell_size), -(-width // cell_size)


def uniform(
    height: int, width: int, cell_size: int, num_levels: int, level: int | None = None
) -> np.ndarray:
    """Returns a map of a single level.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        cell_size: Side of a cell in pixels.
        num_levels: Number of levels, 1 to 256.
        level: The level, 0 to num_levels - 1; by default the highest.

    Returns:
        uint8 [rows, columns].

    Raises:
        RdcError: an argument is out of range.
    """
    check_levels(num_levels)
    level = num_levels - 1 if level is None else level
    if not 0 <= level < num_levels:
        raise RdcError(f"importance level {level} is not in 0 to {num_levels - 1}")
    return np.full(grid_shape(height, width, cell_size), level, np.uint8)


def read_mask(path: str | Path, height: int, width: int) -> np.ndarray:
    """Reads a mask image: white is important, black is not, and greys lie between.

    Colours count by their luma, and transparent parts count as black.

    Args:
        path: The mask image.
        height: Height that the mask must have, in pixels.
        width: Width that the mask must have, in pixels.

    Returns:
        uint8 [height, width].

    Raises:
        RdcError: the file is not readable (see `read_image`), has another size, or has labels
            such as 0 and 1 instead of black and white.
    """
    image = read_image(path, background=0)
    check_size(f"mask '{path}'", image.pixels.shape[:2], (height, width))
    mask = np.asarray(Image.fromarray(image.pixels).convert("L"))
    if 0 < mask.max() <= DARKEST:
        raise RdcError(
            f"mask '{path}' has values from 0 to {mask.max()} only, which is black; important "
            "parts must be white (255)"
        )
    return mask


def from_mask_array(
    mask: np.ndarray, height: int, width: int, cell_size: int, num_levels: int
) -> np.ndarray:
    """Makes a map from a mask: averages over each cell and rounds to levels, halves up.

    Args:
        mask: [height, width]; bool, uint8 in [0, 255], or float in [0, 1].
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        cell_size: Side of a cell in pixels.
        num_levels: Number of levels, 1 to 256.

    Returns:
        uint8 [rows, columns].

    Raises:
        RdcError: the mask has the wrong size or dtype, or has NaN or values out of range.
    """
    check_levels(num_levels)
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise RdcError(f"the mask has shape {mask.shape}; give an array [H,W]")
    check_size("the mask", mask.shape, (height, width))
    rows, columns = grid_shape(height, width, cell_size)
    if mask.dtype == np.uint8:
        scale = 255.0
    elif mask.dtype == bool or np.issubdtype(mask.dtype, np.floating):
        scale = 1.0
    else:
        raise RdcError(f"the mask is {mask.dtype}; give bool, uint8 (0 to 255) or float (0 to 1)")
    if scale == 1.0 and not np.all((mask >= 0) & (mask <= 1)):  # false for NaN too
        raise RdcError("the mask has values that are not in 0 to 1; scale or clip it")
    tops, lefts = np.arange(rows) * cell_size, np.arange(columns) * cell_size
    sums = np.add.reduceat(mask, tops, axis=0, dtype=np.float64)
    sums = np.add.reduceat(sums, lefts, axis=1)
    counts = np.outer(np.diff(np.append(tops, height)), np.diff(np.append(lefts, width)))
    levels = np.floor(sums / (scale * counts) * (num_levels - 1) + 0.5)
    return np.clip(levels, 0, num_levels - 1).astype(np.uint8)


def check_size(what: str, mask: tuple[int, ...], image: tuple[int, ...]) -> None:
    """Raises RdcError if a mask and its image differ in shape (H, W); `what` names the mask."""
    if mask != image:
        raise RdcError(
            f"{what} is {mask[1]} x {mask[0]} pixels but the image is {image[1]} x {image[0]}; "
            "resize it to the image's size"
        )


def from_either(
    mask: np.ndarray | None,
    levels: np.ndarray | None,
    height: int,
    width: int,
    cell_size: int,
    num_levels: int,
) -> tuple[np.ndarray, int]:
    """Returns the map to code, from a mask, from ready levels, or from neither.

    Without mask and levels, all parts of the image are equally important. That is a map of one
    level.

    Args:
        mask: As in `from_mask_array`, or None.
        levels: uint8 [rows, columns], a ready map instead of a mask, or None.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        cell_size: Side of a cell in pixels.
        num_levels: Number of levels, 1 to 256.

    Returns:
        The map, uint8 [rows, columns], and its number of levels.

    Raises:
        RdcError: both mask and levels are given, or one of them does not fit the image.
    """
    if mask is not None and levels is not None:
        raise RdcError("give importance or levels, not both")
    if mask is not None:
        if isinstance(mask, str | tuple) or np.ndim(mask) != 2:  # such as a `detectors.Found`
            raise RdcError(
                "importance takes an array [H,W], such as "
                "rdc_jax.importance.detectors.find(pixels).mask"
            )
        levels = from_mask_array(mask, height, width, cell_size, num_levels)
    expected = grid_shape(height, width, cell_size)
    if levels is None:
        return np.zeros(expected, np.uint8), 1
    if levels.shape != expected or levels.dtype != np.uint8 or levels.max() >= num_levels:
        raise RdcError(f"levels must be uint8 {expected} below {num_levels}")
    return levels, num_levels


def cells_to_latent(levels: np.ndarray, height: int, width: int, factor: int) -> np.ndarray:
    """Returns the level of each latent pixel.

    A padded latent can reach beyond the map. There it repeats the last row and column.

    Args:
        levels: uint8 [rows, columns].
        height: Height of the latent in latent pixels.
        width: Width of the latent in latent pixels.
        factor: Latent pixels per cell along a side, at least 1.

    Returns:
        uint8 [height, width].
    """
    if factor < 1:
        raise RdcError(f"cells must span at least one latent pixel, got {factor}")
    rows = np.minimum(np.arange(height) // factor, levels.shape[0] - 1)
    columns = np.minimum(np.arange(width) // factor, levels.shape[1] - 1)
    return levels[rows[:, None], columns[None, :]]


def tau_map(
    tau: float | np.ndarray | str,
    levels: np.ndarray,
    num_levels: int,
    size: tuple[int, int],
    downsampling: int,
) -> np.ndarray:
    """Returns the strength tau of the fusion module at every latent pixel.

    tau = 0 means faithful, tau = 1 realistic.

    Args:
        tau: A number in 0..1 for the whole image; an array [H,W] of the image's size (bool, uint8
            with 255 = realistic, or float in [0,1]), averaged over each latent pixel; or "roi" for
            one minus the importance.
        levels: uint8 [h,w], importance level of each latent pixel.
        num_levels: Number of levels. With a single level, "roi" is realistic everywhere.
        size: (H, W) of the image in pixels.
        downsampling: Image pixels per latent pixel along a side.

    Returns:
        float32 [h,w] in 0..1.

    Raises:
        RdcError: `tau` is a string other than "roi", or an array of the wrong size or range.
    """
    if isinstance(tau, str):
        if tau != "roi":
            raise RdcError(f"tau {tau!r} is not a number, an array, or 'roi'")
        return (1.0 - levels.astype(np.float32) / max(1, num_levels - 1)).astype(np.float32)
    if np.ndim(tau) == 0:
        return np.full(levels.shape, tau, np.float32)
    fine = 256
    try:
        steps = from_mask_array(np.asarray(tau), *size, downsampling, fine)
    except RdcError as error:
        raise RdcError(f"tau map: {error}") from error
    return steps.astype(np.float32) / (fine - 1)
