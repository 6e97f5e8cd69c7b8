"""Simple procedural images, for tests and for training runs without data."""

from collections.abc import Sequence

import numpy as np

from rdc_jax.data.records import MIN_SIDE
from rdc_jax.data.subset_source import SubsetSource
from rdc_jax.errors import RdcError


class SyntheticSource:
    """Procedural images.

    Each image is a colour gradient with a few filled ellipses and boxes. Some of them are textured
    with noise. Image i depends only on the seed and i.

    Args:
        num_images: Number of images, at least 1.
        size: Side of the square images in pixels, at least MIN_SIDE.
        seed: Non-negative integer.
    """

    skipped: frozenset[int] = frozenset()

    def __init__(self, num_images: int, size: int, seed: int = 0):
        if num_images < 1 or size < MIN_SIDE or seed < 0:
            raise RdcError(
                f"data: synthetic images need num_images >= 1, size >= {MIN_SIDE}, seed >= 0; "
                f"got {num_images}, {size}, {seed}"
            )
        self._num_images, self._size, self._seed = num_images, size, seed

    def __len__(self) -> int:
        return self._num_images

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Returns {"image": uint8 [size, size, 3]}."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng((self._seed, index % len(self)))
        return {"image": _synthetic_image(rng, self._size)}

    read = __getitem__

    def name(self, index: int) -> str:
        return f"synthetic image {index}"

    def fingerprint(self) -> str:
        return repr(self)

    def subset(self, indices: Sequence[int]) -> SubsetSource:
        return SubsetSource(self, indices)

    def __repr__(self) -> str:
        return f"SyntheticSource({self._num_images}, {self._size}, {self._seed})"


def _synthetic_image(rng: np.random.Generator, size: int) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    corners = rng.uniform(0, 255, (3, 3)).astype(np.float32)
    image = corners[0] + (corners[1] - corners[0]) * x[..., None]
    image = image + (corners[2] - corners[0]) * y[..., None] * 0.5
    for _ in range(int(rng.integers(3, 8))):
        (cy, cx), (ry, rx) = rng.uniform(0, 1, 2), rng.uniform(0.05, 0.35, 2)
        dy, dx = np.abs(y - cy) / ry, np.abs(x - cx) / rx
        inside = (dy * dy + dx * dx < 1) if rng.random() < 0.5 else (np.maximum(dy, dx) < 1)
        colour = np.broadcast_to(rng.uniform(0, 255, 3).astype(np.float32), image.shape)
        if rng.random() < 0.5:
            grain_size = int(rng.integers(1, 5))
            cells = -(-size // grain_size)
            noise = rng.normal(0, 40, (cells, cells)).astype(np.float32)
            noise = noise.repeat(grain_size, 0).repeat(grain_size, 1)[:size, :size]
            colour = colour + noise[..., None]
        image = np.where(inside[..., None], colour, image)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)
