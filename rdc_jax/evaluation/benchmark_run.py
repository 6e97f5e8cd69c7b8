"""A benchmark run: one point per image, codec and setting, from real files on disk.

The rate is that of the whole file, header and importance map included. Metrics see the 8-bit
image. Whatever cannot be read, coded or measured is listed in "skipped" and the rest continues.
An interrupted run continues: `run` measures only what the results do not have yet. `run_files`
says where everything is stored.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rdc_jax.errors import RdcError
from rdc_jax.evaluation import run_files
from rdc_jax.evaluation.coders import Coder
from rdc_jax.evaluation.metrics.metric_set import Metric, measure
from rdc_jax.images import read_image

Masks = Callable[[Path, np.ndarray], np.ndarray | None]
Observer = Callable[[str, float, str, np.ndarray], None]
Measured = list[tuple[dict[str, Any], np.ndarray]]  # points and their decoded images


@dataclasses.dataclass(frozen=True)
class Options:
    """How images are measured.

    Attributes:
        masks: (path, uint8 [h,w,3]) -> mask float32 [h,w], or None for a uniform map.
        conditions: Text that changes with masks, metrics and all else that affects every figure.
        shown: Number of images whose decoded versions are kept.
        workers: Threads for the classical codecs.
        observe: Receives every image, once as ("original", 0, name, uint8 [h,w,3]) and once per
            decode with the curve and the setting.
    """

    masks: Masks
    conditions: str = ""
    shown: int = 4
    workers: int = 1
    observe: Observer = lambda curve, setting, name, pixels: None


@dataclasses.dataclass(frozen=True)
class Original:
    """An image to code.

    Attributes:
        path: Its file.
        name: Name of the files that are made from it, without an extension (`name_of_files`).
        pixels: uint8 [h,w,3].
        mask: float32 [h,w], or None.
        is_shown: Whether decoded images are kept.
    """

    path: Path
    name: str
    pixels: np.ndarray
    mask: np.ndarray | None
    is_shown: bool


def keep(
    results: dict[str, Any], images: Sequence[Path], coders: Sequence[Coder], conditions: str
) -> int:
    """Removes every point from the results that this run would measure differently.

    Args:
        results: Results of an earlier run, changed in place.
        images: The files of this run.
        coders: The codecs of this run.
        conditions: As in `Options`.

    Returns:
        The number of points removed.
    """
    names = {path.name for path in images}
    wanted = {(c.name, curve): (key_of(c, conditions), c) for c in coders for curve in c.decodes}

    def stays(point):
        key, coder = wanted.get((point["coder"], point["codec"]), (None, None))
        settings = () if coder is None else map(float, coder.settings)
        return point["image"] in names and point["key"] == key and point["setting"] in settings

    digests = {path.name: _digest(path) for path in images}
    # Results of older versions have no digest; they are believed.
    results["images"] = [
        image
        for image in results["images"]
        if image["name"] in names
        and image.get("sha256", digests[image["name"]]) == digests[image["name"]]
    ]
    edited = names - {image["name"] for image in results["images"]}
    kept = [p for p in results["points"] if stays(p) and p["image"] not in edited]
    removed, results["points"] = len(results["points"]) - len(kept), kept
    return removed


def name_of_files(results: dict[str, Any], image: str) -> str:
    """The name of the files that are made from an image, without an extension.

    That is its own name without its extension, or with it if another image has the same: a.jpg
    beside a.png. An image that was measured before keeps its name.

    Args:
        results: The results so far.
        image: The file name of the image.
    """
    entries = results["images"]
    taken = {entry.get("files", Path(entry["name"]).stem): entry["name"] for entry in entries}
    for name, owner in taken.items():
        if owner == image:
            return name
    stem = Path(image).stem
    return image if stem in taken else stem


def _digest(path: Path) -> str | None:
    """SHA-256 of a file, by which an edited image is recognised; None if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def key_of(coder: Coder, conditions: str) -> str:
    """Sixteen hexadecimal digits that change with whatever a coder's figures depend on."""
    return hashlib.sha256(f"{coder.identity}\n{conditions}".encode()).hexdigest()[:16]


def run(
    results: dict[str, Any],
    folder: Path,
    images: Sequence[Path],
    coders: Sequence[Coder],
    metrics: dict[str, Metric],
    options: Options,
) -> None:
    """Measures what `results` lacks and adds it. Writes the results after every image.

    Args:
        results: Results of an earlier run, or empty ones (`run_files.read`).
        folder: The folder of the run.
        images: The files to code.
        coders: The codecs to compare.
        metrics: Metrics by name.
        options: How images are measured.
    """
    done = {(p["image"], p["codec"], p["setting"]) for p in results["points"]}
    known = {image["name"] for image in results["images"]}
    progress = tqdm(images, unit="image")
    for number, path in enumerate(progress):
        progress.set_postfix_str(path.name)
        jobs = [
            (coder, float(setting))
            for coder in coders
            for setting in coder.settings
            if any((path.name, curve, float(setting)) not in done for curve in coder.decodes)
        ]
        if not jobs:
            continue
        try:
            pixels = read_image(path).pixels
            name, mask = name_of_files(results, path.name), options.masks(path, pixels)
            original = Original(path, name, pixels, mask, number < options.shown)
        except RdcError as error:
            results["skipped"].append({"what": path.name, "reason": str(error)})
            continue
        if path.name not in known:
            results["images"].append(_entry(folder, original))
        options.observe("original", 0.0, name, pixels)
        for points, skipped in _code_all(folder, jobs, original, options):
            for point, decoded in points:
                if (path.name, point["codec"], point["setting"]) not in done:
                    point["metrics"] = measure(metrics, pixels, decoded, original.mask)
                    options.observe(point["codec"], point["setting"], name, decoded)
                    results["points"].append(point)
            if skipped is not None:
                results["skipped"].append(skipped)
        run_files.write(folder, results)


def _entry(folder: Path, original: Original) -> dict[str, Any]:
    """The entry of an original in "images"."""
    height, width = original.pixels.shape[:2]
    entry = {"name": original.path.name, "width": width, "height": height}
    entry |= {"files": original.name, "sha256": _digest(original.path)}
    if original.is_shown:
        name, pixels = original.name, original.pixels
        entry["picture"] = run_files.write_image(folder, "original", 0.0, name, pixels)
    return entry


def _code_all(
    folder: Path, jobs: Sequence[tuple[Coder, float]], original: Original, options: Options
) -> list[tuple[Measured, dict[str, str] | None]]:
    """Codes an image with every (coder, setting); per job its points, or the reason of a failure.

    Our own codec runs alone, so that its times are not disturbed; classical codecs share threads.
    """

    def one(job: tuple[Coder, float]) -> tuple[Measured, dict[str, str] | None]:
        coder, setting = job
        try:
            return code(folder, coder, setting, original, key_of(coder, options.conditions)), None
        except RdcError as error:
            what = f"{original.path.name}, {coder.name} at {setting:g}"
            return [], {"what": what, "reason": str(error)}

    alone, together = ([job for job in jobs if job[0].parallel is p] for p in (False, True))
    with ThreadPoolExecutor(options.workers) as pool:
        return [*map(one, alone), *pool.map(one, together)]


def code(folder: Path, coder: Coder, setting: float, original: Original, key: str = "") -> Measured:
    """Codes one image into a file and decodes the file from disk.

    Args:
        folder: The folder of the run.
        coder: The codec.
        setting: The codec's setting.
        original: The image.
        key: Identity of the measurement (`key_of`).

    Returns:
        For each curve of the coder a point without metrics, and the decoded image.
    """
    started = time.perf_counter()
    coded = coder.encode(original.pixels, setting, original.mask)
    encoding_time = time.perf_counter() - started
    height, width = original.pixels.shape[:2]
    stem = original.name
    name = f"{stem}.{coder.extension}"
    file = folder / "files" / run_files.folder_name(coder.name) / f"{setting:g}" / name
    run_files.write_file(file, coded.data)
    data = file.read_bytes()
    maps = {}
    if original.is_shown:
        maps = run_files.write_maps(folder, coder.name, setting, stem, original.mask, coded.bits)
    points = []
    for curve, decode in coder.decodes.items():
        started = time.perf_counter()
        decoded = decode(data)
        decoding_time = time.perf_counter() - started
        decoded = decoded[:height, :width]
        point = {
            "image": original.path.name,
            "coder": coder.name,
            "key": key,
            "codec": curve,
            "setting": setting,
            "bytes": len(data),
            "map_bytes": coded.map_bytes,
            "bpp": 8 * len(data) / (height * width),
            "encoding_time": encoding_time,
            "decoding_time": decoding_time,
            "file": str(file.relative_to(folder)),
            **maps,
        }
        if original.is_shown:
            point["picture"] = run_files.write_image(folder, curve, setting, stem, decoded)
        points.append((point, decoded))
    return points
