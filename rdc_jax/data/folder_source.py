"""Images of a folder."""

import threading
from pathlib import Path

import numpy as np

from rdc_jax.data.records import check_size
from rdc_jax.data.replacing_source import ReplacingSource, SourceGone
from rdc_jax.data.shards import fingerprint
from rdc_jax.errors import RdcError
from rdc_jax.images import formats, read_image


class FolderSource(ReplacingSource):
    """All jpg, png and webp images below a folder, in sorted order.

    Images are decoded when first asked for and, with `cache`, kept in memory up to `cache_bytes`.
    Images that cannot be read are replaced (see ReplacingSource), and those with a side below
    `records.MIN_SIDE` too.

    Raises RdcError when the folder is missing or has no images, and when it vanishes later.
    """

    def __init__(self, path: str | Path, cache: bool = True, *, cache_bytes: int = 4 << 30):
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
        """The files, one an index."""
        return list(self._keys)

    def read(self, index: int) -> dict[str, np.ndarray]:
        """As in ReplacingSource; the error does not repeat the path, which `name` says."""
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
    """All images below a folder, sorted; RdcError when there is no folder or no image."""
    if not root.is_dir():
        raise RdcError(f"no folder '{root}'; name a folder of images")
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in formats.COMMON and p.is_file())
    if not paths:
        raise RdcError(f"no jpg, png or webp images below '{root}'")
    return paths


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
