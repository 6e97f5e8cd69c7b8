"""Images from ArrayRecord shards, such as those of `rdc data prepare`."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rdc_jax import paths as locations
from rdc_jax.data import records
from rdc_jax.data.record_source import RecordSource
from rdc_jax.data.shards import MANIFEST, fingerprint, read_manifest
from rdc_jax.errors import RdcError


class ArrayRecordSource(RecordSource):
    """The images of ArrayRecord shards, in the order of the sorted shards.

    `records` describes the records. Damaged records, damaged images, and images with a side below
    `records.MIN_SIDE` are replaced (see ReplacingSource).

    Args:
        paths: A folder of shards, a shard, a pattern with * ? [], or a list of shards. All of them
            may be in a bucket (gs://...).

    Raises:
        RdcError: a shard is missing or cannot be opened, or there are no shards.
    """

    def __init__(self, paths: str | Path | Sequence[str | Path]):
        shards = find_shards(paths)
        self._shards = shards
        super().__init__(open_shards(shards), f"in {_name(paths)}")
        if not len(self):
            raise RdcError(f"data.path: no records in {_name(paths)}")

    def fingerprint(self) -> str:
        return fingerprint((Path(s).name, locations.size(locations.of(s))) for s in self._shards)

    def _load(self, key: int) -> dict[str, Any]:
        data = self._record(key)
        try:
            record = records.unpack(data)
        except RdcError as error:
            raise RdcError(f"{self._label(key)}: {error}") from error
        return records.opened(record, self._label(key))


def find_shards(paths: str | Path | Sequence[str | Path]) -> list[str]:
    """Returns the shards that `paths` names (see ArrayRecordSource), sorted unless it is a list."""
    if not isinstance(paths, str | Path):
        shards = [str(p) for p in paths]
    else:
        with locations.errors(paths):
            shards = _shards_of(locations.of(paths).expanduser())
    if not shards:
        raise RdcError(f"data.path: no ArrayRecord shards in {_name(paths)}")
    return shards


def _shards_of(path: Path) -> list[str]:
    """The shards that a folder, file or pattern names, sorted."""
    if path.is_dir():
        if (path / MANIFEST).is_file():
            return [str(path / n) for n in read_manifest(path, "images")["files"]]
        # Other tools name shards photos.arrayrecord or photos.array_record-00000-of-00008.
        found = [*path.glob("*.arrayrecord*"), *path.glob("*.array_record*")]
        return sorted(str(p) for p in found if p.suffix != ".tmp")
    if not glob.has_magic(str(path)):
        return [str(path)]
    if locations.is_remote(path):
        return sorted(str(p) for p in path.parent.glob(path.name))
    return sorted(glob.glob(str(path)))


def open_shards(shards: list[str]):
    """Opens shards as one sequence of records in bytes.

    Raises:
        RdcError: a shard cannot be opened. The message names it.
    """
    from array_record.python import array_record_module
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    try:
        return ArrayRecordDataSource(shards)
    except Exception:  # the message rarely names the shard, so each one is tried
        for shard in shards:
            if not locations.of(shard).is_file():
                raise RdcError(f"data.path: no file '{shard}'") from None
            try:
                array_record_module.ArrayRecordReader(shard).close()
            except Exception as error:
                raise RdcError(
                    f"data.path: '{shard}' is not a whole ArrayRecord file: {error}"
                ) from error
        raise


def _name(paths: str | Path | Sequence[str | Path]) -> str:
    return str(paths) if isinstance(paths, str | Path) else f"{len(paths)} shards"
