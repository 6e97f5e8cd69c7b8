"""Conversion of a folder of images to ArrayRecord shards for training, in several processes.

`shards` describes the shards and `records` the records. Their order is that of the sorted images.
"""

import functools
import io
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
from rdc_jax.data.folder_source import image_paths
from rdc_jax.data.shards import SKIPPED, ShardSet, ShardWriter, fingerprint
from rdc_jax.errors import RdcError

SHARD_BYTES = 128 << 20
"""Default size of the images per shard, in bytes."""
DEFAULT_QUALITY = 95


@dataclass(frozen=True)
class Settings:
    """Settings that determine the content of the shards.

    Attributes:
        shards: Number of shards.
        max_side: Larger images are scaled down to this longer side, in pixels. None keeps the bytes
            of every image.
        quality: JPEG quality of images that are scaled down.
        masks: Folder of segmentations with the names of the images and the extension .png.
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
    """Writes all missing shards.

    Args:
        folder: Folder with jpg, png and webp images, also in subfolders.
        out: Folder of the shards, created if it does not exist.
        shards: Number of shards; by default one per SHARD_BYTES of images.
        workers: Number of processes; by default one per CPU.
        max_side: See Settings.
        quality: See Settings.
        masks: See Settings.
        progress: True to show a progress bar; None to show it on a terminal.

    Returns:
        The content of the manifest.

    Raises:
        RdcError: no image is readable, `out` holds shards made with other settings, or `out` cannot
            be written.
    """
    root, out = Path(folder).expanduser(), Path(out).expanduser()
    paths = image_paths(root)
    if masks is not None and not Path(masks).expanduser().is_dir():
        raise RdcError(f"no folder '{masks}' of masks")
    sizes = [path.stat().st_size for path in paths]
    count = min(shards or math.ceil(sum(sizes) / SHARD_BYTES) or 1, len(paths))
    masks = None if masks is None else str(Path(masks).expanduser().resolve())
    settings = Settings(count, max_side, quality, masks)
    names = [str(path.relative_to(root)) for path in paths]
    source = fingerprint(zip(names, sizes, strict=True))
    target = ShardSet(out, "images", asdict(settings), source, count)

    parts = np.array_split(np.array(names), count)
    todo = {index: parts[index].tolist() for index in target.missing()}
    bar = tqdm(
        total=len(paths),
        initial=len(paths) - sum(map(len, todo.values())),
        unit="image",
        disable=None if progress is None else not progress,
    )
    try:
        with bar:
            for index, shard in _write_all(root, target, settings, todo, workers or os.cpu_count()):
                target.enter(index, shard)
                bar.update(len(parts[index]))
    finally:
        target.finish()
    _check_manifest(target.manifest, root, out, masks)
    return target.manifest


def _check_manifest(manifest: dict[str, Any], root: Path, out: Path, masks: str | None) -> None:
    """Raises RdcError if no image, or no mask, was usable."""
    if not manifest["images"]:
        raise RdcError(f"none of the images below '{root}' is usable; see '{out / SKIPPED}'")
    if masks is not None and not manifest["masks"]:
        raise RdcError(f"no mask in '{masks}' is named like an image, with the extension .png")


def _write_all(
    root: Path, target: ShardSet, settings: Settings, todo: dict[int, list[str]], workers: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (index, manifest entry) as shards are finished."""
    write = functools.partial(write_shard, root, settings)
    if min(workers, len(todo)) < 2:
        for index, names in todo.items():
            yield index, write(target.path(index), names)
        return
    # Forking a process with threads can hang, so workers are spawned. Ctrl-C ends them silently.
    pool = ProcessPoolExecutor(
        min(workers, len(todo)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        futures = {pool.submit(write, target.path(i), names): i for i, names in todo.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise RdcError(
            "a worker was killed, perhaps for lack of memory; run the same command again with "
            "fewer workers to continue"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def write_shard(root: Path, settings: Settings, path: Path, names: list[str]) -> dict[str, Any]:
    """Writes one shard, or no file if none of its images is readable.

    Args:
        root: Folder of the images.
        settings: Settings of the shards.
        path: The shard.
        names: Images, relative to `root`.

    Returns:
        The shard's entry in the manifest.
    """
    masks, skipped = 0, []
    with ShardWriter(path) as writer:
        for name in names:
            try:
                record = encode(root, name, settings)
            except RdcError as error:
                skipped.append((name, str(error).removeprefix(f"'{name}' ")))
                continue
            writer.write(records.pack(record))
            masks += record.mask is not None
    return {
        "file": path.name,
        "records": writer.records,
        "masks": masks,
        "bytes": writer.bytes,
        "skipped": skipped,
    }


def encode(root: Path, name: str, settings: Settings) -> records.Record:
    """Returns the record of one image. Its bytes change only if it is larger than `max_side`.

    Args:
        root: Folder of the images.
        name: The image, relative to `root`.
        settings: Settings of the shards.

    Raises:
        RdcError: training could not use the image.
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


def _encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()
