"""Images from a folder."""

import threading
from pathlib import Path

import numpy as np

from rdc_jax.data.records import check_size
from rdc_jax.data.replacing_source import ReplacingSource, SourceGone
from rdc_jax.data.shards import fingerprint
from rdc_jax.errors import RdcError
from rdc_jax.images import formats, read_image


class FolderSource(ReplacingSource):
    """All jpg, png and webp images in a folder and its subfolders, in sorted order.

    Unreadable images and images with a side below `records.MIN_SIDE` are replaced (see
    ReplacingSource). Reading raises RdcError if the folder disappears.
    """

    def __init__(self, path: str | Path, cache: bool = True, *, cache_bytes: int = 4 << 30):
        """Lists the images of a folder.

        Args:
            path: the folder.
            cache: True to keep decoded images in memory.
            cache_bytes: limit of the cache in bytes.

        Raises:
            RdcError: the folder is missing or has no images.
        """
        root = Path(path).expanduser()
        try:
            paths = image_paths(root)
        except RdcError as error:
            raise RdcError(f"data.path: {error}") from None
        keys = np.empty(len(paths), object)
        keys[:] = paths
        super().__init__(keys, f"below '{root}'")
        self._root = root
        self._cache = _Cache(cache_bytes if cache else 0)

    @property
    def paths(self) -> list[Path]:
        """The file of each index."""
        return list(self._keys)

    def read(self, index: int) -> dict[str, np.ndarray]:
        """Like ReplacingSource.read, but the error message omits the path, which `name` gives."""
        try:
            return super().read(index)
        except SourceGone:
            raise
        except RdcError as error:
            raise RdcError(str(error).removeprefix(f"'{self._keys[index]}' ")) from error

    def name(self, index: int) -> str:
        return str(self._keys[index].relative_to(self._root))

    def fingerprint(self) -> str:
        return fingerprint((p.relative_to(self._root), p.stat().st_size) for p in self._keys)

    def _load(self, key: Path) -> dict[str, np.ndarray]:
        image = self._cache.get(key)
        if image is None:
            try:
                image = read_image(key).pixels
            except RdcError as error:
                if not self._root.is_dir():
                    raise SourceGone(f"data.path: the folder '{self._root}' is gone") from error
                raise
            check_size(image, key)
            self._cache.put(key, image)
        return {"image": image}


def image_paths(root: Path) -> list[Path]:
    """Returns all images below a folder, sorted. Raises RdcError without a folder or images."""
    if not root.is_dir():
        raise RdcError(f"no folder '{root}'; name a folder of images")
    paths = sorted(
        p for p in root.rglob("*") if formats.is_named(p, formats.COMMON) and p.is_file()
    )
    if not paths:
        raise RdcError(f"no jpg, png or webp images below '{root}'")
    return paths


class _Cache:
    """Decoded images by path, filled up to `limit` bytes and never evicted.

    A shuffled epoch visits every image once. If the set is larger than the limit, a cache that
    evicts the least recently used image is almost never hit. This cache keeps its share of hits.
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
