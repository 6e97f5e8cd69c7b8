"""Examples per second that one core can read, next to what the pods of docs/pods.md need.

    python benchmarks/input_pipeline.py [--photos FOLDER] [--examples 300] [--repeats 3]

Each row reads examples through the training pipeline, in one thread of one process:

- folder and array_record: JPEG files of 0.8 and 12 megapixels, crops of 512 and 256 pixels
- latents: tiles of 128 x 128 latent pixels with 4 channels, crops of 64 x 64, from photos of 2 and
  of 15 tiles

The figures are CPU seconds of the process (user and system, over all threads), so they depend
little on the load of the machine. The best of several repeats counts, because other programs can
only add time. They leave out what storage and network cost: the files are in the system's page
cache. The decoded images of a folder are not kept in memory here, as in a set larger than memory.

The photos are those of FOLDER, by default the demo photo with noise, enlarged to these sizes and
stored as JPEG of quality 90.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from rdc_jax import demo
from rdc_jax.data import encode_latents
from rdc_jax.data.folder_source import FolderSource
from rdc_jax.data.latent_source import LatentSource
from rdc_jax.data.pipeline import training_iterator
from rdc_jax.data.prepare import prepare
from rdc_jax.data.sources import ArrayRecordSource
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.images.image_folder import image_files

SIZES = {"0.8 MP": (1024, 768), "12 MP": (4000, 3000)}
PHOTOS = 6
TILE, CROP, CHANNELS = 1024, 512, 4
TILES = {"2 tiles": (1536, 1024), "15 tiles": (5000, 3000)}
BATCH = 10
LENGTH = 100_000
"""Photos of a set, of which most are the same. Shuffling sets of a few photos is slow in grain."""
PODS = Path(__file__).resolve().parents[1] / "docs" / "pods.md"
CHIPS_PER_HOST = 4
"""Of the TPU VMs that form pods. A single host of v5e or v6e may have 8."""


class Need(NamedTuple):
    """What a row of the table in docs/pods.md needs."""

    name: str
    images_per_second: float
    hosts: int


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", metavar="FOLDER", help="default: the demo photo")
    parser.add_argument("--examples", type=int, default=300, help="per row and repeat")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    needs = pod_needs(PODS.read_text())
    columns = [f"cores a host, {need.name}" for need in needs]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, source, crop in sets(Path(folder), options.photos):
            rate = examples_per_second(source, crop, options.examples, options.repeats)
            cores = [f"{n.images_per_second / n.hosts / rate:.1f}" for n in needs]
            rows.append((name, f"{1000 / rate:.2f}", f"{rate:.0f}", *cores))
            print(f"{name}: {rate:.0f} examples per second and core", file=sys.stderr)
    for need in needs:
        print(
            f"{need.name}: {need.images_per_second:.0f} images/s, {need.hosts} hosts, "
            f"{need.images_per_second / need.hosts:.0f} a second and host"
        )
    print(table(("input", "ms", "examples/s/core", *columns), rows))
    return 0


def examples_per_second(source: Any, crop: int, examples: int, repeats: int) -> float:
    """Returns the examples that a CPU second of one thread makes, in the best repeat.

    Args:
        source: Image source.
        crop: Side of the crops in pixels.
        examples: Number of examples per repeat.
        repeats: Number of repeats.
    """
    large = source.subset(np.arange(LENGTH) % len(source))
    batches = training_iterator(large, batch_size=BATCH, crop_size=crop, seed=0, num_threads=0)
    next(batches)
    best = 0.0
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(examples // BATCH):
            next(batches)
        best = max(best, examples // BATCH * BATCH / (time.process_time() - start))
    return best


def sets(folder: Path, photos: str | None) -> Iterator[tuple[str, Any, int]]:
    """Yields (name, source, side of the crops) of each row.

    Args:
        folder: Empty folder for the sets.
        photos: Folder of photos, or None.
    """
    for size, shape in SIZES.items():
        path = folder / size.replace(" ", "")
        write_photos(path, shape, photos)
        prepare(path, path / "shards", workers=1, progress=False)
        for crop in (512, 256):
            for kind, source in (
                ("folder", FolderSource(path, cache=False)),
                ("array_record", ArrayRecordSource(path / "shards")),
            ):
                yield f"{kind}, {size}, crop {crop}", source, crop
    for name, shape in TILES.items():
        yield f"latents, {name}, crop {CROP}", latents(folder / name.replace(" ", ""), shape), CROP


def write_photos(path: Path, shape: tuple[int, int], photos: str | None) -> None:
    """Writes PHOTOS JPEG files of this (width, height), with photographic detail and noise."""
    path.mkdir()
    files = [demo.FOLDER / "flower.png"] if photos is None else image_files(Path(photos))
    rng = np.random.default_rng(0)
    for number in range(PHOTOS):
        image = Image.open(files[number % len(files)]).convert("RGB")
        pixels = np.asarray(image.resize(shape, Image.Resampling.LANCZOS))
        noise = rng.standard_normal(pixels.shape, np.float32) * 4
        file = io.BytesIO()
        Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(
            file, "JPEG", quality=90
        )
        (path / f"{number}.jpg").write_bytes(file.getvalue())


class Blank:
    """A source of black photos for sets of latents."""

    def __init__(self, shape: tuple[int, int]):
        self._image = np.zeros((shape[1], shape[0], 3), np.uint8)

    def __len__(self) -> int:
        return 40

    def read(self, index: int) -> dict[str, np.ndarray]:
        return {"image": self._image}

    def name(self, index: int) -> str:
        return str(index)

    def fingerprint(self) -> str:
        return str(self._image.shape)


def latents(folder: Path, shape: tuple[int, int]) -> LatentSource:
    """Writes shards of random latents of photos of this (width, height)."""
    rng, side = np.random.default_rng(0), TILE // 8

    def encode(tiles: np.ndarray) -> np.ndarray:
        return rng.standard_normal((len(tiles), side, side, CHANNELS), np.float32).astype("f2")

    settings = encode_latents.Settings(TILE, CHANNELS, "random", "float32")
    encode_latents.encode_latents(
        Blank(shape), folder, settings, encode, batch=4, threads=1, progress=False
    )
    return LatentSource(folder)


def pod_needs(page: str) -> list[Need]:
    """Reads the rows of the table in docs/pods.md that says how many images a pod trains on.

    Raises ValueError if the page has no such table.
    """
    found = []
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("|")
    ]
    for row in cells:
        if row[0] == "chips":
            column = next(i for i, cell in enumerate(row) if cell.startswith("images/s"))
        shape = re.search(r"\d+(x\d+)+", row[0])
        if shape and len(row) > 5:
            chips = int(np.prod([int(n) for n in shape[0].split("x")]))
            name = row[0].split(" ")[0].rstrip(",") if chips > 8 else "one host"
            hosts = 1 if chips <= 8 else chips // CHIPS_PER_HOST
            found.append(Need(name, float(re.match(r"[\d.]+", row[column])[0]), hosts))
    if not found:
        raise ValueError("no table of images per second")
    return found


if __name__ == "__main__":
    sys.exit(main())
