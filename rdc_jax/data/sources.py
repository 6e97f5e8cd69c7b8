"""Random-access image sources for the training pipeline.

A source has `__len__` and `__getitem__(i) -> {"image": uint8 [height, width, 3]}`, which is all
that grain (and the pipeline) asks for; TFDS and ArrayRecord data sources fit too.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.image_io import read_image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MIN_SIDE = 64

_log = logging.getLogger(__name__)


class _Cache:
    """Decoded images by path, filled until `limit` bytes are held and then left as it is.

    Nothing is evicted: shuffled epochs visit every image once, so with a set larger than the
    limit a full least-recently-used cache would never be hit, while this one keeps its share.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._held = 0
        self._images: dict[Path, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, path: Path) -> np.ndarray | None:
        return self._images.get(path)

    def put(self, path: Path, image: np.ndarray) -> None:
        with self._lock:
            if path not in self._images and self._held + image.nbytes <= self._limit:
                self._images[path] = image
                self._held += image.nbytes


class FolderSource:
    """All jpg, png and webp images below a folder, in sorted order.

    Images are decoded when first asked for and, with `cache`, kept in memory up to `cache_bytes`.
    An image that cannot be read, or whose shorter side is below `MIN_SIDE` pixels, is reported
    once in the log and replaced by the next readable one of this source. Safe to share between
    threads.

    Raises RdcError when the folder is missing or has no images, and on access when not one of
    its images is readable.
    """

    def __init__(self, path: str | Path, cache: bool = True, *, cache_bytes: int = 4 << 30):
        root = Path(path).expanduser()
        if not root.is_dir():
            raise RdcError(f"data.path: no folder '{root}'; set it to a folder of images")
        self.paths = sorted(
            p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()
        )
        if not self.paths:
            raise RdcError(f"data.path: no jpg, png or webp images below '{root}'")
        self.root = root
        self.skipped: set[Path] = set()
        self._cache = _Cache(cache_bytes if cache else 0)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Image `index`, or the next readable one: {"image": uint8 [height, width, 3]}."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        for step in range(len(self)):
            image = self._read(self.paths[(index + step) % len(self)])
            if image is not None:
                return {"image": image}
        raise RdcError(f"data.path: none of the {len(self)} images below '{self.root}' is readable")

    def __repr__(self) -> str:
        """Stable across processes: grain stores it to check a restored iterator."""
        return f"FolderSource({len(self)} images)"

    def subset(self, indices: Sequence[int]) -> "FolderSource":
        """The same folder with only these images; an unreadable one is replaced from them too."""
        chosen = object.__new__(FolderSource)
        chosen.__dict__.update(self.__dict__)
        chosen.paths = [self.paths[i] for i in indices]
        return chosen

    def _read(self, path: Path) -> np.ndarray | None:
        if path in self.skipped:
            return None
        image = self._cache.get(path)
        if image is not None:
            return image
        try:
            image = read_image(path).pixels
            small = min(image.shape[:2]) < MIN_SIDE
            reason = f"'{path}' is smaller than {MIN_SIDE} pixels" if small else None
        except RdcError as error:
            reason = str(error)
        if reason is None:
            self._cache.put(path, image)
            return image
        with self._lock:
            if path not in self.skipped:
                self.skipped.add(path)
                _log.warning("image skipped: %s", reason)
        return None


class SubsetSource:
    """Some of the images of any source, by index."""

    def __init__(self, source, indices: Sequence[int]):
        self._source = source
        self._indices = [int(i) for i in indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self._source[self._indices[index]]

    def __repr__(self) -> str:
        return f"SubsetSource({len(self)} of {self._source!r})"


class SyntheticSource:
    """Procedural images, for tests and for training runs without data.

    Each image is a colour gradient with a few filled ellipses and boxes, some of them textured
    with noise. Image i depends on (seed, i) only.

    Args:
        num_images: number of images, at least 1.
        size: side of the square images in pixels, at least MIN_SIDE.
        seed: non-negative integer.
    """

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
        """Image `index`: {"image": uint8 [size, size, 3]}."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng((self._seed, index % len(self)))
        return {"image": _synthetic_image(rng, self._size)}

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
