"""A folder of images -> ArrayRecord shards for training, several shards at a time.

OUT holds `images-00000-of-00008.arrayrecord` and so on (records as `records` describes, in the
order of the sorted images), `manifest.json` with the settings and what each finished shard
holds, and `skipped.txt`, the images that cannot be read and why. A shard is written under a
temporary name, checked, renamed, and only then entered in the manifest: an interrupted run is
taken up where it stopped, and no half shard is ever read.
"""

import contextlib
import functools
import hashlib
import io
import json
import math
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from rdc_jax.data import records
from rdc_jax.data.array_record_source import MANIFEST
from rdc_jax.data.folder_source import image_paths
from rdc_jax.errors import RdcError
from rdc_jax.image_io import atomic_write

SKIPPED = "skipped.txt"
SHARD_BYTES = 128 << 20
"""Images per shard unless the number of shards is given."""
DEFAULT_QUALITY = 95
_WRITER_OPTIONS = "group_size:1,uncompressed"  # random access; the images are compressed already


@dataclass(frozen=True)
class Settings:
    """What decides the content of the shards.

    Attributes:
        shards: number of shards.
        max_side: larger images are scaled down to this longer side; None leaves every image's
            bytes untouched.
        quality: JPEG quality of the images that are scaled down.
        masks: folder of segmentations, named like the images and ending in .png.
    """

    shards: int
    max_side: int | None = None
    quality: int = DEFAULT_QUALITY
    masks: str | None = None


def prepare(
    folder: str | Path,
    out: str | Path,
    *,
    shards: int | None = None,
    workers: int | None = None,
    max_side: int | None = None,
    quality: int = DEFAULT_QUALITY,
    masks: str | Path | None = None,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Writes the shards that are not there yet; returns the content of the manifest.

    Args:
        folder: all jpg, png and webp images below it are taken.
        out: folder of the shards, made if need be.
        shards: how many; default: one for each SHARD_BYTES of images.
        workers: processes; default: one for each CPU.
        max_side, quality, masks: see Settings.
        progress: whether to show a bar; None shows it on a terminal.

    Raises:
        RdcError: no images, no readable one, `out` holds shards made otherwise, or cannot be
            written.
    """
    root, out = Path(folder).expanduser(), Path(out).expanduser()
    paths = image_paths(root)
    if masks is not None and not Path(masks).expanduser().is_dir():
        raise RdcError(f"no folder '{masks}' of masks")
    sizes = [path.stat().st_size for path in paths]
    count = min(shards or math.ceil(sum(sizes) / SHARD_BYTES) or 1, len(paths))
    masks = None if masks is None else str(Path(masks).expanduser().resolve())
    settings = Settings(count, max_side, quality, masks)
    manifest = _open_manifest(out, settings, _fingerprint(root, paths, sizes))

    parts = np.array_split(np.array([str(p.relative_to(root)) for p in paths]), count)
    todo = {i: parts[i].tolist() for i, done in enumerate(manifest["shards"]) if done is None}
    bar = tqdm(
        total=len(paths),
        initial=len(paths) - sum(map(len, todo.values())),
        unit="image",
        disable=None if progress is None else not progress,
    )
    try:
        with bar:
            for index, shard in _write_all(root, out, settings, todo, workers or os.cpu_count()):
                manifest["shards"][index] = shard
                _save_manifest(out, manifest)
                bar.update(len(parts[index]))
    finally:
        for leftover in out.glob(".*.arrayrecord.tmp"):
            leftover.unlink(missing_ok=True)
    if not manifest["images"]:
        raise RdcError(f"none of the images below '{root}' is usable; see '{out / SKIPPED}'")
    if masks is not None and not manifest["masks"]:
        raise RdcError(f"no mask in '{masks}' is named like an image, with .png at its end")
    return manifest


def _open_manifest(out: Path, settings: Settings, fingerprint: str) -> dict[str, Any]:
    """The manifest of an earlier run with the same settings and images, or a fresh one."""
    fresh = {
        "settings": asdict(settings),
        "source": fingerprint,
        "shards": [None] * settings.shards,
    }
    path = out / MANIFEST
    try:
        out.mkdir(parents=True, exist_ok=True)
        stored = json.loads(path.read_text()) if path.exists() else None
    except (OSError, ValueError) as error:
        raise RdcError(f"cannot use '{out}' as output: {error}") from None
    if stored is None:
        if any(out.glob("*.arrayrecord*")):
            raise RdcError(f"'{out}' holds other shards; choose another folder")
        _save_manifest(out, fresh)
        return fresh
    same = isinstance(stored, dict) and all(
        stored.get(k) == fresh[k] for k in ("settings", "source")
    )
    if not same:
        raise RdcError(
            f"'{out}' was prepared from other images or with other settings (see its {MANIFEST}); "
            "choose another folder or delete it"
        )
    for index, shard in enumerate(stored["shards"]):
        if shard and shard["records"] and not _is_whole(out / shard["file"], shard["bytes"]):
            stored["shards"][index] = None
    return stored


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _save_manifest(out: Path, manifest: dict[str, Any]) -> None:
    """Adds up the finished shards and writes the manifest and the list of skipped images."""
    done = [shard for shard in manifest["shards"] if shard]
    manifest["complete"] = len(done) == len(manifest["shards"])
    manifest["images"] = sum(shard["records"] for shard in done)
    manifest["masks"] = sum(shard["masks"] for shard in done)
    manifest["bytes"] = sum(shard["bytes"] for shard in done)
    skipped = [f"{name}: {reason}\n" for shard in done for name, reason in shard["skipped"]]
    manifest["skipped"] = len(skipped)
    text = json.dumps(manifest, indent=1)
    atomic_write(out / SKIPPED, "".join(skipped).encode(), overwrite=True)
    atomic_write(out / MANIFEST, text.encode(), overwrite=True)


def _fingerprint(root: Path, paths: list[Path], sizes: list[int]) -> str:
    """SHA-256 of the names and sizes of the images."""
    digest = hashlib.sha256()
    for path, size in zip(paths, sizes, strict=True):
        digest.update(f"{path.relative_to(root)}\0{size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _write_all(
    root: Path, out: Path, settings: Settings, todo: dict[int, list[str]], workers: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (index, entry of the manifest) as shards are finished."""
    write = functools.partial(write_shard, root, out, settings)
    if min(workers, len(todo)) < 2:
        for index, names in todo.items():
            yield index, write(index, names)
        return
    # spawn: forking a process with threads can hang. Ctrl-C ends the workers without a word.
    pool = ProcessPoolExecutor(
        min(workers, len(todo)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        futures = {pool.submit(write, index, names): index for index, names in todo.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise RdcError(
            "a worker was killed, perhaps for lack of memory; run the same command with fewer "
            "workers to go on"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def write_shard(
    root: Path, out: Path, settings: Settings, index: int, names: list[str]
) -> dict[str, Any]:
    """Writes one shard, or none when no image of it is readable; returns its manifest entry."""
    file = f"images-{index:05d}-of-{settings.shards:05d}.arrayrecord"
    final, temporary = out / file, out / f".{file}.tmp"
    entry: dict[str, Any] = {"file": file, "records": 0, "masks": 0, "bytes": 0, "skipped": []}
    try:
        with _writer(temporary) as writer:
            for name in names:
                try:
                    record = encode(root, name, settings)
                except RdcError as error:
                    entry["skipped"].append((name, str(error).removeprefix(f"'{name}' ")))
                    continue
                writer.write(records.pack(record))
                entry["records"] += 1
                entry["masks"] += record.mask is not None
        if entry["records"]:
            entry["bytes"] = temporary.stat().st_size
            _check(temporary, entry["records"])
            os.replace(temporary, final)
    except (OSError, RuntimeError) as error:
        raise RdcError(f"cannot write '{final}': {error}") from error
    return entry


def encode(root: Path, name: str, settings: Settings) -> records.Record:
    """The record of one image, its bytes untouched unless it is larger than `max_side`.

    Raises RdcError when training could not use it.
    """
    try:
        data = (root / name).read_bytes()
        mask = None
        if settings.masks is not None:
            mask_path = Path(settings.masks, name).with_suffix(".png")
            mask = mask_path.read_bytes() if mask_path.is_file() else None
    except OSError as error:
        raise RdcError(f"cannot be read: {error.strerror}") from error
    record = records.Record(data, mask, name)
    example = records.decode(record, name)
    image = example["image"]
    long_side = max(image.shape[:2])
    if settings.max_side is None or long_side <= settings.max_side:
        return record
    size = [max(1, round(n * settings.max_side / long_side)) for n in image.shape[1::-1]]
    small = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    records.check_size(np.asarray(small), name)
    data = _encoded(small, "JPEG", quality=settings.quality, subsampling=0)
    if mask is not None:
        labels = Image.fromarray(example["mask"]).resize(size, Image.Resampling.NEAREST)
        mask = _encoded(labels, "PNG")
    return records.Record(data, mask, name)


def _encoded(picture: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


@contextlib.contextmanager
def _writer(path: Path) -> Iterator[Any]:
    from array_record.python import array_record_module

    writer = array_record_module.ArrayRecordWriter(str(path), _WRITER_OPTIONS)
    try:
        yield writer
    finally:
        writer.close()


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
