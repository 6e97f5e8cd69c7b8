"""A data set on disk: ArrayRecord shards that an interruption cannot spoil.

A folder holds `images-00000-of-00008.arrayrecord` and so on, `manifest.json` with the settings and
what each finished shard holds, and `skipped.txt`, the images that cannot be read and why. A shard
is written under a temporary name, checked, renamed, and only then entered in the manifest: an
interrupted run is taken up where it stopped, and no half shard is ever read.
"""

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rdc_jax.errors import RdcError
from rdc_jax.images import atomic_write

MANIFEST = "manifest.json"
SKIPPED = "skipped.txt"
KIND_OF = {"images": "array_record", "latents": "latents"}
"""data.kind that reads a set with this content."""
_WRITER_OPTIONS = "group_size:1,uncompressed"  # random access; the content is dense already


class ShardSet:
    """The folder `out` while it is being written, by this run or by an earlier one like it.

    Args:
        out: made if need be.
        content: what the records are, a key of KIND_OF; the shards are named after it.
        settings: what decides the content of the shards, JSON values.
        source: fingerprint of the images.
        count: number of shards.

    Raises:
        RdcError: `out` holds shards made otherwise, or cannot be written.

    Attributes:
        manifest: {"content", "settings", "source", "shards": an entry or None for each,
            "complete", and the sums over the entries: "images" (records), "bytes", "skipped"
            (images that cannot be read) and whatever else the entries count}.
    """

    def __init__(
        self, out: Path, content: str, settings: Mapping[str, Any], source: str, count: int
    ):
        self._out, self._content, self._count = out, content, count
        fresh = {"content": content, "settings": dict(settings), "source": source}
        path = out / MANIFEST
        try:
            out.mkdir(parents=True, exist_ok=True)
            stored = json.loads(path.read_text()) if path.exists() else None
        except (OSError, ValueError) as error:
            raise RdcError(f"cannot use '{out}' as output: {error}") from None
        if stored is None:
            if any(out.glob("*.arrayrecord*")):
                raise RdcError(f"'{out}' holds other shards; choose another folder")
            self.manifest = fresh | {"shards": [None] * count}
            self._save()
            return
        same = isinstance(stored, dict) and all(stored.get(k) == v for k, v in fresh.items())
        if not same or len(stored["shards"]) != count:
            raise RdcError(
                f"'{out}' was made from other images or with other settings (see its {MANIFEST}); "
                "choose another folder or delete it"
            )
        for index, shard in enumerate(stored["shards"]):
            if shard and shard["records"] and not _is_whole(out / shard["file"], shard["bytes"]):
                stored["shards"][index] = None
        self.manifest = stored

    def missing(self) -> list[int]:
        """Numbers of the shards that are not there yet."""
        return [i for i, shard in enumerate(self.manifest["shards"]) if shard is None]

    def path(self, index: int) -> Path:
        """Where shard `index` belongs."""
        return self._out / f"{self._content}-{index:05d}-of-{self._count:05d}.arrayrecord"

    def enter(self, index: int, entry: dict[str, Any]) -> None:
        """Notes that shard `index` is finished.

        entry: {"file", "records", "bytes", "skipped": [(name, reason), ...], and other counts}.
        """
        self.manifest["shards"][index] = entry
        self._save()

    def remove_leftovers(self) -> None:
        """Deletes shards that were begun and not finished."""
        for leftover in self._out.glob(".*.arrayrecord.tmp"):
            leftover.unlink(missing_ok=True)

    def _save(self) -> None:
        """Adds up the finished shards and writes the manifest and the list of skipped images."""
        manifest = self.manifest
        done = [shard for shard in manifest["shards"] if shard]
        manifest["complete"] = len(done) == len(manifest["shards"])
        counts = Counter(records=0, bytes=0)
        for shard in done:
            counts.update({name: n for name, n in shard.items() if isinstance(n, int)})
        manifest["images"] = counts.pop("records")
        manifest |= counts
        skipped = [f"{name}: {reason}\n" for shard in done for name, reason in shard["skipped"]]
        manifest["skipped"] = len(skipped)
        data = "".join(skipped).encode("utf-8", "surrogateescape")
        atomic_write(self._out / SKIPPED, data, overwrite=True)
        atomic_write(self._out / MANIFEST, json.dumps(manifest, indent=1).encode(), overwrite=True)


class ShardWriter:
    """Context manager that writes one shard; it appears at `path` once it is whole.

    A shard without records is not written. Raises RdcError when the disk refuses.

    Attributes:
        records: number of records so far.
        bytes: size of the finished file.
    """

    def __init__(self, path: Path):
        self._path, self._temporary = path, path.with_name(f".{path.name}.tmp")
        self.records = self.bytes = 0

    def __enter__(self) -> "ShardWriter":
        from array_record.python import array_record_module

        with _disk_errors(self._path):
            self._writer = array_record_module.ArrayRecordWriter(
                str(self._temporary), _WRITER_OPTIONS
            )
        return self

    def write(self, record: bytes) -> None:
        with _disk_errors(self._path):
            self._writer.write(record)
        self.records += 1

    def __exit__(self, kind: type | None, *_: Any) -> None:
        if kind is not None:
            self._writer.close()
            return
        with _disk_errors(self._path):
            self._writer.close()
            if not self.records:
                return
            self.bytes = self._temporary.stat().st_size
            _check(self._temporary, self.records)
            os.replace(self._temporary, self._path)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turns the writer's errors into one line that names the shard."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise RdcError(f"cannot write '{path}': {error}") from error


def read_manifest(folder: Path, content: str) -> dict[str, Any]:
    """The manifest of a finished set; RdcError naming data.path or data.kind otherwise."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        complete, found = manifest["complete"], manifest.get("content", "images")
        manifest["files"] = [s["file"] for s in manifest["shards"] if complete and s["records"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise RdcError(
            f"data.path: '{folder / MANIFEST}' is not a manifest of `rdc data`"
        ) from None
    if found != content:
        raise RdcError(
            f"data.path: '{folder}' holds {found}; read it with data.kind={KIND_OF.get(found)}"
        )
    if not complete:
        raise RdcError(f"data.path: '{folder}' is unfinished; run its `rdc data` command again")
    return manifest


def fingerprint(names_and_sizes: Iterable[tuple[Any, int]]) -> str:
    """SHA-256 of the names and sizes of files."""
    digest = hashlib.sha256()
    for name, size in names_and_sizes:
        digest.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _check(path: Path, count: int) -> None:
    """Raises RuntimeError unless the shard on disk is whole."""
    from array_record.python import array_record_module

    with open(path, "rb+") as file:
        os.fsync(file.fileno())
    reader = array_record_module.ArrayRecordReader(str(path))
    found = reader.num_records()
    reader.close()
    if found != count:
        raise RuntimeError(f"{found} of {count} records arrived on disk")
