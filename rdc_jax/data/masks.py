"""Random importance maps for training that resemble the maps of users.

A map is a grid of level indices, 0 = least and num_levels - 1 = most important. Each kind of map
draws a soft field in [0, 1]. `random_importance` then inverts the field at random, scales it to a
random range of levels, and rounds it. `segment_importance` takes the field from a segmentation.
"""

from collections.abc import Mapping

import numpy as np
from PIL import Image

DEFAULT_MIXTURE = {
    "constant": 0.35,
    "content": 0.20,
    "blobs": 0.21,
    "boxes": 0.08,
    "ellipses": 0.08,
    "ramp": 0.08,
}
"""Probability of each kind of map. The values are normalised to the sum 1."""

INVERSION_PROBABILITY = 0.3
FULL_RANGE_PROBABILITY = 0.5
_LUMA = np.array([0.25, 0.5, 0.25], np.float32)


def random_importance(
    rng: np.random.Generator,
    height: int,
    width: int,
    *,
    num_levels: int,
    image: np.ndarray | None = None,
    mixture: Mapping[str, float] = DEFAULT_MIXTURE,
) -> np.ndarray:
    """Draws one importance map.

    Args:
        rng: Source of all randomness.
        height: Height of the map in cells.
        width: Width of the map in cells.
        num_levels: Number of importance levels, 1 to 256.
        image: The image of the map, uint8 [image height, image width, 3], or its latent, floats
            [h, w, C]. Its sides are at least those of the map. Without an image, "content" maps
            become "blobs".
        mixture: Probability of each kind in DEFAULT_MIXTURE.

    Returns:
        uint8 [height, width] with values in [0, num_levels - 1].
    """
    kind = _draw_kind(rng, mixture)
    if kind == "constant":
        return np.full((height, width), rng.integers(num_levels), np.uint8)
    if kind == "content" and image is not None:
        field = _content(rng, height, width, image)
    elif kind in ("content", "blobs"):
        field = _blobs(rng, height, width)
    elif kind == "ramp":
        field = _ramp(rng, height, width)
    else:
        field = _shapes(rng, height, width, ellipse=kind == "ellipses")
    if rng.random() < INVERSION_PROBABILITY:
        field = 1.0 - field
    return _levels(rng, field, num_levels)


def segment_importance(
    rng: np.random.Generator, labels: np.ndarray, height: int, width: int, *, num_levels: int
) -> np.ndarray | None:
    """Makes a random part of the segments, at least one and not all, the region of interest.

    A cell's field is the share that the chosen segments cover.

    Args:
        rng: Source of all randomness.
        labels: uint8 [image height, image width], segment number of each pixel.
        height: Height of the map in cells.
        width: Width of the map in cells.
        num_levels: Number of importance levels, 1 to 256.

    Returns:
        uint8 [height, width] with values in [0, num_levels - 1], or None if there is only one
        segment.
    """
    segments = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
    if len(segments) < 2:
        return None
    chosen = np.zeros(256, np.uint8)
    chosen[rng.choice(segments, rng.integers(1, len(segments)), replace=False)] = 255
    inside = Image.fromarray(chosen[labels])
    covered = np.asarray(inside.resize((width, height), Image.Resampling.BOX)) / 255.0
    return _levels(rng, covered, num_levels)


def local_contrast(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Measures fine detail: |luma - blurred luma|, averaged over each cell.

    For a latent, the same is done for each channel and averaged over channels. Pixels beyond a
    whole number per cell are ignored.

    Args:
        image: uint8 [image height, image width, 3], or a latent, floats [h, w, C]. The sides are at
            least `height` and `width`.
        height: Height of the map in cells.
        width: Width of the map in cells.

    Returns:
        float32 [height, width], in grey values (0 to 255) or in units of the latent.
    """
    cell_height, cell_width = image.shape[0] // height, image.shape[1] // width
    pixels = image[: cell_height * height, : cell_width * width]
    step_y, step_x = max(1, cell_height // 8), max(1, cell_width // 8)
    pixels = pixels[::step_y, ::step_x].astype(np.float32)
    planes = [pixels @ _LUMA] if image.dtype == np.uint8 else np.moveaxis(pixels, -1, 0)
    detail = np.mean([np.abs(plane - _box_blur(plane, 2)) for plane in planes], 0)
    rows = -(-np.arange(height) * cell_height // step_y)
    columns = -(-np.arange(width) * cell_width // step_x)
    sums = np.add.reduceat(np.add.reduceat(detail, rows, axis=0), columns, axis=1)
    row_counts = np.diff(np.append(rows, detail.shape[0]))
    column_counts = np.diff(np.append(columns, detail.shape[1]))
    counts = np.outer(row_counts, column_counts)
    return (sums / counts).astype(np.float32)


def _levels(rng: np.random.Generator, field: np.ndarray, num_levels: int) -> np.ndarray:
    """Scales a field in [0, 1] to a random range of levels and rounds it to uint8."""
    top = num_levels - 1
    low, high = 0.0, float(top)
    if rng.random() >= FULL_RANGE_PROBABILITY:
        low, high = np.sort(rng.uniform(0, top, 2))
    return np.clip(np.floor(low + (high - low) * field + 0.5), 0, top).astype(np.uint8)


def _draw_kind(rng: np.random.Generator, mixture: Mapping[str, float]) -> str:
    unknown = set(mixture) - set(DEFAULT_MIXTURE)
    if unknown:
        raise ValueError(f"unknown kinds of importance map: {sorted(unknown)}")
    remaining = rng.random() * sum(mixture.values())
    for kind, probability in mixture.items():  # noqa: B007 - the last kind is used after the loop
        remaining -= probability
        if remaining < 0:
            break
    return kind


def _soft_threshold(rng: np.random.Generator, field: np.ndarray) -> np.ndarray:
    """Thresholds a field at a random quantile, with a random softness of the edge."""
    ordered = np.sort(field, axis=None)
    threshold = ordered[int(rng.uniform(0.15, 0.9) * ordered.size)]
    softness = (ordered[-1] - ordered[0] + 1e-6) * 10.0 ** rng.uniform(-3.0, -0.5)
    return 1.0 / (1.0 + np.exp(np.clip((threshold - field) / softness, -30, 30)))


def _content(rng, height: int, width: int, image: np.ndarray) -> np.ndarray:
    field = np.log1p(local_contrast(image, height, width))
    if rng.random() < 0.7:
        field = _box_blur(field, 1)
    if rng.random() < 0.3:
        low, high = field.min(), field.max()
        return (field - low) / (high - low + 1e-6)
    return _soft_threshold(rng, field)


def _blobs(rng, height: int, width: int) -> np.ndarray:
    """Draws Gaussian noise on a coarse grid, interpolates it to the map and thresholds it."""
    spacing = rng.uniform(1.0, max(1.0, max(height, width) / 1.5))
    nodes_y, nodes_x = int(height / spacing) + 2, int(width / spacing) + 2
    noise = rng.standard_normal((nodes_y, nodes_x))
    rows = _interpolation(rng, height, nodes_y, spacing)
    columns = _interpolation(rng, width, nodes_x, spacing)
    return _soft_threshold(rng, rows @ noise @ columns.T)


def _interpolation(rng, cells: int, nodes: int, spacing: float) -> np.ndarray:
    """Returns weights of linear interpolation from nodes `spacing` cells apart, [cells, nodes]."""
    position = (np.arange(cells) + rng.random()) / spacing
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(nodes)))


def _centred_axes(rng, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns cell centres [h, 1] and [1, w] relative to a random point, as shares of the sides."""
    cy, cx = rng.uniform(0, 1, 2)
    y = (np.arange(height) + 0.5) / height - cy
    x = (np.arange(width) + 0.5) / width - cx
    return y[:, None], x[None, :]


def _shapes(rng, height: int, width: int, *, ellipse: bool) -> np.ndarray:
    """Draws the union of one to three boxes or ellipses with hard or soft edges."""
    field = np.zeros((height, width))
    for _ in range(int(rng.integers(1, 4))):
        y, x = _centred_axes(rng, height, width)
        ry, rx = rng.uniform(0.08, 0.5, 2)
        y, x = np.abs(y) / ry, np.abs(x) / rx
        distance = np.sqrt(y * y + x * x) if ellipse else np.maximum(y, x)
        softness = rng.uniform(0.02, 0.6) if rng.random() < 0.5 else 1e-3
        field = np.maximum(field, np.clip((1.0 - distance) / softness, 0.0, 1.0))
    return field


def _ramp(rng, height: int, width: int) -> np.ndarray:
    """Draws a linear ramp in a random direction, or a radial ramp around a random point."""
    y, x = _centred_axes(rng, height, width)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        field = np.cos(angle) * x + np.sin(angle) * y
    else:
        field = -np.sqrt(x * x + y * y)
    low, high = field.min(), field.max()
    return ((field - low) / (high - low + 1e-6)) ** rng.uniform(0.5, 2.0)


def _box_blur(field: np.ndarray, radius: int) -> np.ndarray:
    """Averages over squares of 2 radius + 1 cells, with repeated edges."""
    height, width = field.shape
    size = 2 * radius + 1
    rows = np.minimum(np.maximum(np.arange(-radius, height + radius), 0), height - 1)
    columns = np.minimum(np.maximum(np.arange(-radius, width + radius), 0), width - 1)
    padded = field[rows]
    total = padded[:height].copy()
    for shift in range(1, size):
        total += padded[shift : shift + height]
    padded = total[:, columns]
    total = padded[:, :width].copy()
    for shift in range(1, size):
        total += padded[:, shift : shift + width]
    total /= size * size
    return total
