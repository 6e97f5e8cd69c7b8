"""A data set on disk: ArrayRecord shards that an interrupted run cannot damage.

A folder holds

    images-00000-of-00008.arrayrecord    the shards
    images-00000-of-00008.json           its content, if several processes write the set
    manifest.json                        the settings, and the content of each finished shard
    skipped.txt                          the unreadable images, with reasons

A shard is written under a temporary name, checked, renamed, and only then entered in the manifest.
So an interrupted run can continue where it stopped, and an incomplete shard is never read.

Processes that share the work do not talk to each other. Each one writes the content of its own
shards to files, and then collects those of all processes in the manifest. The last process to
finish finds all of them.
"""

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rdc_jax import paths
from rdc_jax.errors import RdcError
from rdc_jax.images import atomic_write

MANIFEST = "manifest.json"
SKIPPED = "skipped.txt"
KIND_OF = {"images": "array_record", "latents": "latents"}
"""The data.kind that reads a set with this content."""
_WRITER_OPTIONS = "group_size:1,uncompressed"  # random access; the content is already compressed


class ShardSet:
    """A folder of shards while it is being written. It continues an earlier run.

    Args:
        out: The folder, created if it does not exist.
        content: Kind of the records, a key of KIND_OF. The names of the shards begin with it.
        settings: Settings that determine the content of the shards, JSON values.
        source: Fingerprint of the images.
        count: Number of shards.
        sharing: (index, number) of this process among those that write the set.

    Raises:
        RdcError: `out` holds shards made with other settings, or cannot be written.

    Attributes:
        manifest: {"content", "settings", "source", "shards": an entry or None for each shard,
            "complete", and sums over the entries: "images" (photos), "bytes", "skipped"
            (unreadable images) and all other counts of the entries}.
    """

    def __init__(
        self,
        out: Path,
        content: str,
        settings: Mapping[str, Any],
        source: str,
        count: int,
        sharing: tuple[int, int] = (0, 1),
    ):
        self._out, self._content, self._count, self._sharing = out, content, count, sharing
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
        stored["shards"] = [shard if self._is_whole(shard) else None for shard in stored["shards"]]
        self.manifest = stored
        self._collect()

    def missing(self) -> list[int]:
        """Returns the numbers of the missing shards that this process has to write."""
        index, processes = self._sharing
        mine = range(index, self._count, processes)
        return [i for i in mine if self.manifest["shards"][i] is None]

    def path(self, index: int) -> Path:
        """Returns the path of shard `index`."""
        return self._out / f"{self._content}-{index:05d}-of-{self._count:05d}.arrayrecord"

    def enter(self, index: int, entry: dict[str, Any]) -> None:
        """Enters a finished shard in the manifest.

        Args:
            index: Number of the shard.
            entry: {"file", "records", "bytes", "skipped": [(name, reason), ...]} and other counts.
                "photos" is the number of photos, if a photo has several records.
        """
        self.manifest["shards"][index] = entry
        if self._sharing[1] > 1:
            data = json.dumps(entry, indent=1).encode()
            atomic_write(self.path(index).with_suffix(".json"), data, overwrite=True)
        self._save()

    def finish(self) -> None:
        """Deletes unfinished shards, and enters those of other processes in the manifest."""
        for index in self.missing():
            temporary_path(self.path(index)).unlink(missing_ok=True)
        if self._sharing[1] > 1:
            self._save()

    def _collect(self) -> bool:
        """Takes over the content of shards of other processes; returns whether there was any."""
        found, shards = False, self.manifest["shards"]
        for index in [i for i, shard in enumerate(shards) if shard is None]:
            try:
                entry = json.loads(self.path(index).with_suffix(".json").read_text())
            except (OSError, ValueError):
                continue
            if self._is_whole(entry):
                found, shards[index] = True, entry
        return found

    def _is_whole(self, entry: dict[str, Any] | None) -> bool:
        """Returns True if the shard of an entry is on disk, in its full size."""
        if not entry or not entry["records"]:
            return entry is not None
        path = self._out / entry["file"]
        return path.is_file() and path.stat().st_size == entry["bytes"]

    def _save(self) -> None:
        """Writes the manifest, again while other processes have finished shards meanwhile.

        So the manifest of the process that writes last has the shards of all.
        """
        self._collect()
        self._write()
        while self._collect():
            self._write()

    def _write(self) -> None:
        """Sums up the finished shards and writes the manifest and the list of skipped images."""
        manifest = self.manifest
        done = [shard for shard in manifest["shards"] if shard]
        manifest["complete"] = len(done) == len(manifest["shards"])
        counts = Counter(records=0, bytes=0)
        for shard in done:
            counts.update({name: n for name, n in shard.items() if isinstance(n, int)})
        records = counts.pop("records")
        manifest["images"] = counts.pop("photos", records)  # a photo may have several records
        manifest |= counts
        skipped = [f"{name}: {reason}\n" for shard in done for name, reason in shard["skipped"]]
        manifest["skipped"] = len(skipped)
        data = "".join(skipped).encode("utf-8", "surrogateescape")
        atomic_write(self._out / SKIPPED, data, overwrite=True)
        atomic_write(self._out / MANIFEST, json.dumps(manifest, indent=1).encode(), overwrite=True)


class ShardWriter:
    """Context manager that writes one shard. The file appears at `path` when it is complete.

    A shard without records is not written. Raises RdcError if the disk cannot be written.

    Attributes:
        records: Number of records so far.
        bytes: Size of the finished file.
    """

    def __init__(self, path: Path):
        self._path, self._temporary = path, temporary_path(path)
        self.records = self.bytes = 0

    def __enter__(self) -> "ShardWriter":
        from array_record.python import array_record_module

        with _disk_errors(self._path):
            self._writer = array_record_module.ArrayRecordWriter(
                str(self._temporary), _WRITER_OPTIONS
            )
        return self

    def write(self, record: bytes) -> None:
        """Appends a record. Raises RdcError if the disk cannot be written."""
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


def temporary_path(path: Path) -> Path:
    """Returns the path of a shard while it is being written."""
    return path.with_name(f".{path.name}.tmp")


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turns errors of the writer into one line that names the shard."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise RdcError(f"cannot write '{path}': {error}") from error


def read_manifest(folder: Path, content: str) -> dict[str, Any]:
    """Reads the manifest of a finished set.

    Args:
        folder: Folder of the set.
        content: Expected kind of the records, a key of KIND_OF.

    Returns:
        The manifest, with "files", the names of the shards that have records.

    Raises:
        RdcError: the set is unfinished, damaged or of another kind. The message names data.path or
            data.kind.
    """
    try:
        with paths.errors(folder):
            text = (folder / MANIFEST).read_text()
        manifest = json.loads(text)
        complete, found = manifest["complete"], manifest.get("content", "images")
        manifest["files"] = [s["file"] for s in manifest["shards"] if complete and s["records"]]
    except paths.RemoteError:
        raise
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


def kind_of_folder(folder: Path) -> str | None:
    """Returns the data.kind that reads the shards of a folder, or None if it has no shards."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        manifest = None
    if isinstance(manifest, dict) and "shards" in manifest:
        return KIND_OF.get(manifest.get("content", "images"), "array_record")
    found = any(folder.glob("*.arrayrecord*")) or any(folder.glob("*.array_record*"))
    return "array_record" if found else None


def fingerprint(names_and_sizes: Iterable[tuple[Any, int]]) -> str:
    """Returns the SHA-256 of the names and sizes of files."""
    digest = hashlib.sha256()
    for name, size in names_and_sizes:
        digest.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _check(path: Path, count: int) -> None:
    """Raises RuntimeError unless the shard on disk is complete."""
    from array_record.python import array_record_module

    with open(path, "rb+") as file:
        os.fsync(file.fileno())
    reader = array_record_module.ArrayRecordReader(str(path))
    found = reader.num_records()
    reader.close()
    if found != count:
        raise RuntimeError(f"{found} of {count} records arrived on disk")
