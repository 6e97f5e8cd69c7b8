"""Encoding of photos as ArrayRecord shards of latents, so that training can skip the autoencoder.

`shards` describes the shards and `latent_records` the records. There is one record per tile, in
the order of the source, and the tiles of a photo stand together. The caller provides the
autoencoder as a function of a batch of tiles. Threads read and cut photos while that function runs.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rdc_jax.data import latent_records
from rdc_jax.data.latent_records import LatentRecord
from rdc_jax.data.latent_source import TILE
from rdc_jax.data.replacing_source import ReadError, SourceGone
from rdc_jax.data.shards import SKIPPED, ShardSet, ShardWriter
from rdc_jax.data.tiles import covering_squares, tile_labels, tile_pixels
from rdc_jax.errors import RdcError

Encode = Callable[[np.ndarray], np.ndarray]
"""uint8 [batch, tile, tile, 3] -> float16 [batch, tile / 8, tile / 8, C]. The batch is constant."""

SHARD_PHOTOS = 1024
"""Default number of photos per shard."""
MAX_TILE_PIXELS = 2**29
"""Photos with more pixels in all tiles are skipped: strips of a few pixels, scaled up a lot."""


@dataclass(frozen=True)
class Settings:
    """Settings that determine the content of the shards.

    Attributes:
        tile: Side of the tiles in pixels, a multiple of 8.
        latent_channels: Number of channels C of the latents.
        autoencoder: Identity of the autoencoder, see `latent_source.autoencoder_identity`.
        compute_dtype: Name of the dtype that the autoencoder computes in.
        record: What a record holds. Sets of earlier versions lack this setting.
    """

    tile: int
    latent_channels: int
    autoencoder: str
    compute_dtype: str
    record: str = TILE


@dataclass(frozen=True)
class Photo:
    """A photo cut into tiles.

    Attributes:
        name: Name of the photo.
        tiles: uint8 [tiles, tile, tile, 3].
        boxes: int32 [tiles, 3], top, left and side of each tile in pixels of the photo.
        masks: uint8 [tiles, tile / 8, tile / 8], segment numbers, or None.
    """

    name: str
    tiles: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray | None


def encode_latents(
    source: Any,
    out: str | Path,
    settings: Settings,
    encode: Encode,
    *,
    batch: int,
    shards: int | None = None,
    threads: int = 8,
    sharing: tuple[int, int] = (0, 1),
    progress: bool | None = None,
) -> dict[str, Any]:
    """Writes all missing shards, or this process's part of them.

    Args:
        source: Image source, see `sources`.
        out: Folder of the shards, created if it does not exist.
        settings: Settings of the autoencoder and the tiles.
        encode: The autoencoder. It takes `batch` tiles at a time.
        batch: Number of tiles per call of `encode`.
        shards: Number of shards; by default one per SHARD_PHOTOS photos.
        threads: Number of threads that read photos.
        sharing: (index, number) of this process among those that write the set.
        progress: True to show a progress bar; None to show it on a terminal.

    Returns:
        The content of the manifest. It is not "complete" while other processes are at work.

    Raises:
        RdcError: no photo is readable, the source disappears, a latent is not finite in float16,
            `out` holds shards made with other settings, or `out` cannot be written.
    """
    out = Path(out).expanduser()
    count = min(shards or math.ceil(len(source) / SHARD_PHOTOS), len(source))
    target = ShardSet(out, "latents", asdict(settings), source.fingerprint(), count, sharing)
    parts = np.array_split(np.arange(len(source)), count)
    todo = target.missing()
    bar = tqdm(
        total=(mine := sum(len(part) for part in parts[sharing[0] :: sharing[1]])),
        initial=mine - sum(len(parts[index]) for index in todo),
        unit="photo",
        disable=None if progress is None else not progress,
    )
    readers = ThreadPoolExecutor(max(1, threads))
    try:
        with bar:
            for index in todo:
                photos = read_ahead(readers, source, parts[index], settings.tile, threads + 1)
                photos = _counted(photos, bar)
                target.enter(
                    index, write_shard(target.path(index), settings, encode, batch, photos)
                )
    finally:
        readers.shutdown(cancel_futures=True)
        target.finish()
    if target.manifest["complete"] and not target.manifest["images"]:
        raise RdcError(f"none of the {len(source)} images is usable; see '{out / SKIPPED}'")
    return target.manifest


def read_ahead(
    readers: Executor, source: Any, indices: Sequence[int], tile: int, ahead: int
) -> Iterator[Photo | tuple[str, str]]:
    """Yields photos in order, or (name, reason) for unusable ones, and reads some in advance.

    Args:
        readers: Executor that reads photos.
        source: Image source.
        indices: The photos to read.
        tile: Side of the tiles in pixels.
        ahead: Number of photos to read in advance.
    """
    running: deque = deque()
    waiting = iter(indices)
    while True:
        for index in waiting:
            running.append(readers.submit(read_photo, source, int(index), tile))
            if len(running) > ahead:
                break
        if not running:
            return
        yield running.popleft().result()


def read_photo(source: Any, index: int, tile: int) -> Photo | tuple[str, str]:
    """Reads a photo and cuts it into tiles, or returns (name, reason) if it is unusable.

    Args:
        source: Image source.
        index: Number of the photo in the source.
        tile: Side of the tiles in pixels.
    """
    name = source.name(index)
    try:
        example = source.read(index)
    except (SourceGone, ReadError):
        raise
    except RdcError as error:
        return name, str(error)
    image, masks = example["image"], None
    squares = covering_squares(*image.shape[:2], tile)
    if len(squares) * tile**2 > MAX_TILE_PIXELS:
        return name, f"would be {len(squares)} tiles of {tile} pixels, more than fit in memory"
    tiles = np.stack([tile_pixels(image, square, tile) for square in squares])
    boxes = np.array([(square.top, square.left, square.side) for square in squares], np.int32)
    if "mask" in example:
        masks = np.stack([tile_labels(example["mask"], square, tile) for square in squares])
    return Photo(name, tiles, boxes, masks)


def write_shard(
    path: Path,
    settings: Settings,
    encode: Encode,
    batch: int,
    photos: Iterable[Photo | tuple[str, str]],
) -> dict[str, Any]:
    """Writes one shard, or no file if none of its photos is usable.

    Args:
        path: The shard.
        settings: Settings of the autoencoder and the tiles.
        encode: The autoencoder.
        batch: Number of tiles per call of `encode`.
        photos: From `read_ahead`.

    Returns:
        The shard's entry in the manifest.
    """
    photos_written = enlarged = masks = 0
    skipped: list[tuple[str, str]] = []
    with ShardWriter(path) as writer:
        for photo, latents in encoded(_usable(photos, skipped), encode, batch):
            for record in tile_records(photo, latents):
                writer.write(latent_records.pack(record))
            photos_written += 1
            enlarged += int(photo.boxes[0, 2] < settings.tile)
            masks += photo.masks is not None
    return {
        "file": path.name,
        "records": writer.records,
        "photos": photos_written,
        "tiles": writer.records,
        "enlarged": enlarged,
        "masks": masks,
        "bytes": writer.bytes,
        "skipped": skipped,
    }


def tile_records(photo: Photo, latents: np.ndarray) -> Iterator[LatentRecord]:
    """Yields the records of a photo.

    Args:
        photo: The photo.
        latents: float16 [tiles, h, w, C].
    """
    for number, (latent, box) in enumerate(zip(latents, photo.boxes.tolist(), strict=True)):
        mask = None if photo.masks is None else photo.masks[number]
        yield LatentRecord(latent, tuple(box), (number, len(latents)), mask, photo.name)


def encoded(
    photos: Iterable[Photo], encode: Encode, batch: int
) -> Iterator[tuple[Photo, np.ndarray]]:
    """Yields each photo with its latents, float16 [tiles, h, w, C].

    A batch can hold tiles of several photos.

    Args:
        photos: Photos cut into tiles.
        encode: The autoencoder.
        batch: Number of tiles per call of `encode`.
    """
    waiting: deque[Photo] = deque()
    pixels: list[np.ndarray] = []
    latents: list[np.ndarray] = []
    for photo in photos:
        waiting.append(photo)
        for tile in photo.tiles:
            pixels.append(tile)
            if len(pixels) == batch:
                latents += checked(encode(np.stack(pixels)), waiting)
                pixels = []
        while waiting and len(latents) >= (number := len(waiting[0].tiles)):
            yield waiting.popleft(), np.stack(latents[:number])
            latents = latents[number:]
    if pixels:  # the last batch is filled with copies
        filled = np.stack(pixels + [pixels[-1]] * (batch - len(pixels)))
        latents += checked(encode(filled), waiting)[: len(pixels)]
    for photo in waiting:
        number = len(photo.tiles)
        yield photo, np.stack(latents[:number])
        latents = latents[number:]


def checked(latents: np.ndarray, photos: Sequence[Photo]) -> list[np.ndarray]:
    """Returns the latents of a batch as a list. Raises RdcError if they are not finite."""
    if not np.isfinite(latents).all():
        names = f"'{photos[0].name}'" + (f" to '{photos[-1].name}'" if len(photos) > 1 else "")
        raise RdcError(f"the latents of {names} are not finite or overflow float16")
    return list(latents)


def _usable(
    photos: Iterable[Photo | tuple[str, str]], skipped: list[tuple[str, str]]
) -> Iterator[Photo]:
    """Yields the usable photos and appends the others to `skipped`."""
    for photo in photos:
        if isinstance(photo, Photo):
            yield photo
        else:
            skipped.append(photo)


def _counted(photos: Iterable[Any], bar: tqdm) -> Iterator[Any]:
    for photo in photos:
        yield photo
        bar.update()
