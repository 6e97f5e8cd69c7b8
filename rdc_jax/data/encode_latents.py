"""Photos -> ArrayRecord shards of their latents, so that training need not run the autoencoder.

The shards are as `shards` describes, their records as `latent_records` does, one a photo, in the
order of the source. What the autoencoder is stays with the caller: here it is a function of a
batch of tiles. Threads read and cut photos while that function runs.
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
from rdc_jax.data.replacing_source import SourceGone
from rdc_jax.data.shards import SKIPPED, ShardSet, ShardWriter
from rdc_jax.data.tiles import covering_squares, tile_labels, tile_pixels
from rdc_jax.errors import RdcError

Encode = Callable[[np.ndarray], np.ndarray]
"""uint8 [batch, tile, tile, 3] -> float16 [batch, tile / 8, tile / 8, C], always of one batch."""

SHARD_PHOTOS = 1024
"""Photos per shard unless the number of shards is given."""
MAX_TILE_PIXELS = 2**29
"""Photos whose tiles have more are skipped: strips, a few pixels wide, that would be scaled up."""


@dataclass(frozen=True)
class Settings:
    """What decides the content of the shards.

    Attributes:
        tile: side of the tiles in pixels, a multiple of 8.
        latent_channels: C.
        autoencoder: identity of the autoencoder, see `latent_source.autoencoder_identity`.
        compute_dtype: what it computes in.
    """

    tile: int
    latent_channels: int
    autoencoder: str
    compute_dtype: str


@dataclass(frozen=True)
class Photo:
    """A photo, cut.

    Attributes:
        name: of the photo.
        tiles: uint8 [tiles, tile, tile, 3].
        boxes: int32 [tiles, 3], top, left and side in pixels of the photo.
        masks: uint8 [tiles, tile / 8, tile / 8], segment numbers.
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
    progress: bool | None = None,
) -> dict[str, Any]:
    """Writes the shards that are not there yet; returns the content of the manifest.

    Args:
        source: of images, see `sources`.
        out: folder of the shards, made if need be.
        settings: of the autoencoder and the tiles.
        encode: the autoencoder; takes `batch` tiles at a time.
        batch: tiles.
        shards: how many; default: one for each SHARD_PHOTOS photos.
        threads: that read photos.
        progress: whether to show a bar; None shows it on a terminal.

    Raises:
        RdcError: not one photo is readable, the source vanishes, a latent is not finite in
            float16, `out` holds shards made otherwise, or cannot be written.
    """
    out = Path(out).expanduser()
    count = min(shards or math.ceil(len(source) / SHARD_PHOTOS), len(source))
    target = ShardSet(out, "latents", asdict(settings), source.fingerprint(), count)
    parts = np.array_split(np.arange(len(source)), count)
    todo = target.missing()
    bar = tqdm(
        total=len(source),
        initial=len(source) - sum(len(parts[index]) for index in todo),
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
        target.remove_leftovers()
    if not target.manifest["images"]:
        raise RdcError(f"none of the {len(source)} images is usable; see '{out / SKIPPED}'")
    return target.manifest


def read_ahead(
    readers: Executor, source: Any, indices: Sequence[int], tile: int, ahead: int
) -> Iterator[Photo | tuple[str, str]]:
    """The photos in order, or (name, reason) of those that cannot be used."""
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
    """One photo, cut, or (name, reason) when it cannot be used."""
    name = source.name(index)
    try:
        example = source.read(index)
    except SourceGone:
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
    """Writes one shard, or none when no photo of it is usable; returns its manifest entry."""
    tiles = enlarged = masks = 0
    skipped: list[tuple[str, str]] = []
    with ShardWriter(path) as writer:
        for photo, latents in encoded(_usable(photos, skipped), encode, batch):
            record = LatentRecord(latents, photo.boxes, photo.masks, photo.name)
            writer.write(latent_records.pack(record))
            tiles += len(latents)
            enlarged += int(photo.boxes[0, 2] < settings.tile)
            masks += photo.masks is not None
    return {
        "file": path.name,
        "records": writer.records,
        "tiles": tiles,
        "enlarged": enlarged,
        "masks": masks,
        "bytes": writer.bytes,
        "skipped": skipped,
    }


def encoded(
    photos: Iterable[Photo], encode: Encode, batch: int
) -> Iterator[tuple[Photo, np.ndarray]]:
    """Every photo with its latents, float16 [tiles, h, w, C]; batches run across photos."""
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
    if pixels:  # the last batch is filled up with copies
        filled = np.stack(pixels + [pixels[-1]] * (batch - len(pixels)))
        latents += checked(encode(filled), waiting)[: len(pixels)]
    for photo in waiting:
        number = len(photo.tiles)
        yield photo, np.stack(latents[:number])
        latents = latents[number:]


def checked(latents: np.ndarray, photos: Sequence[Photo]) -> list[np.ndarray]:
    """The latents of a batch, one by one; RdcError when float16 does not hold them."""
    if not np.isfinite(latents).all():
        names = f"'{photos[0].name}'" + (f" to '{photos[-1].name}'" if len(photos) > 1 else "")
        raise RdcError(f"the latents of {names} are not finite or overflow float16")
    return list(latents)


def _usable(
    photos: Iterable[Photo | tuple[str, str]], skipped: list[tuple[str, str]]
) -> Iterator[Photo]:
    """The photos; what cannot be used is noted in `skipped`."""
    for photo in photos:
        if isinstance(photo, Photo):
            yield photo
        else:
            skipped.append(photo)


def _counted(photos: Iterable[Any], bar: tqdm) -> Iterator[Any]:
    for photo in photos:
        yield photo
        bar.update()
