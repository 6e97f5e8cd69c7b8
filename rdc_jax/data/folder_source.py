"""Images from a folder."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.data.records import check_size
from rdc_jax.data.replacing_source import ReadError, ReplacingSource, SourceGone
from rdc_jax.data.shards import fingerprint, kind_of_folder
from rdc_jax.errors import RdcError
from rdc_jax.images import EncodedImage, formats

CACHE_BYTES = 4 << 30
"""Default limit of the memory for decoded images of a folder."""


class FolderSource(ReplacingSource):
    """All jpg, png and webp images in a folder and its subfolders, in sorted order.

    Unreadable images and images with a side below `records.MIN_SIDE` are replaced (see
    ReplacingSource). Reading raises RdcError if the folder disappears.
    """

    def __init__(self, path: str | Path, cache: bool = True, *, cache_bytes: int = CACHE_BYTES):
        """Lists the images of a folder.

        Args:
            path: The folder.
            cache: True to keep decoded images in memory.
            cache_bytes: Limit of the cache in bytes.

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
        except (SourceGone, ReadError):
            raise
        except RdcError as error:
            raise RdcError(str(error).removeprefix(f"'{self._keys[index]}' ")) from error

    def name(self, index: int) -> str:
        return str(self._keys[index].relative_to(self._root))

    def fingerprint(self) -> str:
        return fingerprint((p.relative_to(self._root), p.stat().st_size) for p in self._keys)

    def _load(self, key: Path) -> dict[str, Any]:
        image = self._cache.get(key)
        if image is not None:
            return {"image": image}
        # A crop of a draft differs slightly. Examples must not depend on what the cache holds.
        encoded = EncodedImage(self._bytes(key), str(key), draft=False)
        check_size(encoded, key)
        if not self._cache.has_room(encoded.height * encoded.width * 3):
            return {"image": encoded}
        pixels = encoded.pixels()
        self._cache.put(key, pixels)
        return {"image": pixels}

    def _bytes(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            if not self._root.is_dir():
                raise SourceGone(f"data.path: the folder '{self._root}' is gone") from error
            missing = isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError)
            kind = RdcError if missing else ReadError
            raise kind(f"'{path}' cannot be read: {error.strerror or error}") from error


def image_paths(root: Path) -> list[Path]:
    """Returns all images below a folder, sorted; links to folders are followed.

    Raises RdcError without a folder or images.
    """
    if not root.is_dir():
        raise RdcError(f"no folder '{root}'; name a folder of images")
    paths = sorted(p for p in _files(root, ()) if formats.is_named(p, formats.COMMON))
    if not paths and (kind := kind_of_folder(root)):
        raise RdcError(f"'{root}' holds shards; read them with data.kind={kind}")
    if not paths:
        raise RdcError(f"no jpg, png or webp images below '{root}'")
    return paths


def _files(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """All files below a folder. A link back to a folder that it lies in is not followed.

    above: device and number of the folders that `folder` lies in.
    """
    try:
        status = folder.stat()
        entries = list(folder.iterdir())
    except OSError:  # no permission, or gone
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for path in entries:
        if path.is_dir():
            yield from _files(path, (*above, here))
        elif path.is_file():
            yield path


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

    def has_room(self, count: int) -> bool:
        """Returns True if an image of `count` bytes fits."""
        return self._held + count <= self._limit

    def put(self, path: Path, image: np.ndarray) -> None:
        with self._lock:
            if path not in self._images and self._held + image.nbytes <= self._limit:
                self._images[path] = image
                self._held += image.nbytes

    def __getstate__(self) -> int:
        """Worker processes start with an empty cache."""
        return self._limit

    def __setstate__(self, limit: int) -> None:
        self.__init__(limit)
