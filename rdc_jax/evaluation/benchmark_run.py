"""One row per picture, codec and setting: real files on disk, measured, and taken up again.

    DIR/results.json                     everything below, rewritten after every picture
    DIR/files/<codec>/<setting>/...      every coded file
    DIR/pictures/<curve>/<setting>/...   decoded pictures, of the first few photographs only

The rate is that of the whole file, header and importance map included; metrics see the 8-bit
picture. What cannot be read, coded or measured is named in "skipped" and does not stop the rest.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.coders import Coder
from rdc_jax.evaluation.metrics.metric_set import Metric, measure
from rdc_jax.images import atomic_write, read_image

SCHEMA = 1
Masks = Callable[[Path, np.ndarray], np.ndarray | None]
Observer = Callable[[str, float, str, np.ndarray], None]


def read(path: Path) -> dict[str, Any]:
    """The results to go on with: those of an earlier run, or none yet.

    Raises:
      RdcError: the file is no results file.
    """
    fresh = {"schema": SCHEMA, "images": [], "points": [], "skipped": []}
    if not path.exists():
        return fresh
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        if results["schema"] != SCHEMA:
            raise ValueError
        return fresh | {key: list(results[key]) for key in ("images", "points")}
    except (ValueError, KeyError, TypeError):
        raise RdcError(f"'{path}' is not a results file; name another folder with --out") from None


def keep(
    results: dict[str, Any], pictures: Sequence[Path], coders: Sequence[Coder], conditions: str
) -> int:
    """Leaves in the results what this run would measure alike; returns how many points went.

    conditions: whatever every figure depends on, such as masks and metrics.
    """
    names = {path.name for path in pictures}
    wanted = {(c.name, curve): (key_of(c, conditions), c) for c in coders for curve in c.decodes}

    def stays(point):
        key, coder = wanted.get((point["coder"], point["codec"]), (None, None))
        settings = () if coder is None else map(float, coder.settings)
        return point["image"] in names and point["key"] == key and point["setting"] in settings

    kept = [point for point in results["points"] if stays(point)]
    results["images"] = [image for image in results["images"] if image["name"] in names]
    gone, results["points"] = len(results["points"]) - len(kept), kept
    return gone


def key_of(coder: Coder, conditions: str) -> str:
    """Sixteen hexadecimal digits that change with whatever a coder's figures depend on."""
    return hashlib.sha256(f"{coder.identity}\n{conditions}".encode()).hexdigest()[:16]


def run(
    results: dict[str, Any],
    folder: Path,
    pictures: Sequence[Path],
    coders: Sequence[Coder],
    metrics: dict[str, Metric],
    masks: Masks,
    *,
    conditions: str = "",
    shown: int = 4,
    workers: int = 1,
    observe: Observer = lambda curve, setting, stem, pixels: None,
) -> None:
    """Measures what `results` lacks and adds it, writing DIR/results.json after every picture.

    masks: (path, uint8 [h,w,3]) -> mask float32 [h,w], or None for a uniform map. shown: how
    many pictures' decoded versions are kept. workers: threads for the classical codecs. observe:
    is shown every picture, as ("original", 0, stem, uint8 [h,w,3]) and once decoded with curve and
    setting.
    """
    done = {(p["image"], p["codec"], p["setting"]) for p in results["points"]}
    known = {image["name"] for image in results["images"]}
    progress = tqdm(pictures, unit="picture")
    for number, path in enumerate(progress):
        progress.set_postfix_str(path.name)
        work = [
            (coder, float(setting))
            for coder in coders
            for setting in coder.settings
            if any((path.name, curve, float(setting)) not in done for curve in coder.decodes)
        ]
        if not work:
            continue
        try:
            pixels = read_image(path).pixels
            mask = masks(path, pixels)
        except RdcError as error:
            results["skipped"].append({"what": path.name, "reason": str(error)})
            continue
        is_shown = number < shown
        if path.name not in known:
            height, width = pixels.shape[:2]
            image = {"name": path.name, "width": width, "height": height}
            if is_shown:
                image["picture"] = _write_picture(folder, "original", 0.0, path, pixels)
            results["images"].append(image)
        observe("original", 0.0, path.stem, pixels)

        def one(job, path=path, pixels=pixels, mask=mask, is_shown=is_shown):
            coder, setting = job
            try:
                key = key_of(coder, conditions)
                return code(folder, coder, setting, path, pixels, mask, is_shown, key), None
            except RdcError as error:
                what = f"{path.name}, {coder.name} at {setting:g}"
                return [], {"what": what, "reason": str(error)}

        alone, together = ([job for job in work if job[0].parallel is p] for p in (False, True))
        with ThreadPoolExecutor(workers) as pool:
            coded = [*map(one, alone), *pool.map(one, together)]
        for points, skipped in coded:
            for point, decoded in points:
                if (path.name, point["codec"], point["setting"]) not in done:
                    point["metrics"] = measure(metrics, pixels, decoded, mask)
                    observe(point["codec"], point["setting"], path.stem, decoded)
                    results["points"].append(point)
            if skipped is not None:
                results["skipped"].append(skipped)
        write(folder, results)


def code(
    folder: Path,
    coder: Coder,
    setting: float,
    path: Path,
    pixels: np.ndarray,
    mask: np.ndarray | None,
    is_shown: bool,
    key: str = "",
) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Makes one file and decodes it from disk: per curve, a point without metrics and a picture."""
    started = time.perf_counter()
    coded = coder.encode(pixels, setting, mask)
    encoding_time = time.perf_counter() - started
    name = f"{path.stem}.{coder.extension}"
    file = folder / "files" / folder_name(coder.name) / f"{setting:g}" / name
    write_file(file, coded.data)
    data = file.read_bytes()
    maps = {} if not is_shown else _write_maps(folder, coder.name, setting, path, mask, coded.bits)
    points = []
    for curve, decode in coder.decodes.items():
        started = time.perf_counter()
        decoded = decode(data)
        decoding_time = time.perf_counter() - started
        decoded = decoded[: pixels.shape[0], : pixels.shape[1]]
        point = {
            "image": path.name,
            "coder": coder.name,
            "key": key,
            "codec": curve,
            "setting": setting,
            "bytes": len(data),
            "map_bytes": coded.map_bytes,
            "bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
            "encoding_time": encoding_time,
            "decoding_time": decoding_time,
            "file": str(file.relative_to(folder)),
            **maps,
        }
        if is_shown:
            point["picture"] = _write_picture(folder, curve, setting, path, decoded)
        points.append((point, decoded))
    return points


def write(folder: Path, results: dict[str, Any]) -> None:
    """DIR/results.json, and DIR/results.csv with one line a point."""
    write_file(folder / "results.json", json.dumps(results, indent=1).encode())
    metrics = sorted({key for point in results["points"] for key in point["metrics"]})
    fixed = ("image", "codec", "setting", "bytes", "map_bytes", "bpp", "encoding_time",
             "decoding_time")  # fmt: skip
    lines = [",".join([*fixed, *metrics])]
    for point in results["points"]:
        cells = [point[key] for key in fixed] + [point["metrics"].get(key, "") for key in metrics]
        lines.append(",".join(_cell(cell) for cell in cells))
    write_file(folder / "results.csv", ("\n".join(lines) + "\n").encode())


def _cell(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\n]', text) else text


def folder_name(label: str) -> str:
    """A curve's name as part of a path."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", label)


def write_png(file: Path, pixels: np.ndarray) -> None:
    """Writes uint8 [h,w,3] or [h,w], making the folder where there is none."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    write_file(file, buffer.getvalue())


def _write_picture(folder: Path, label: str, setting: float, path: Path, pixels) -> str:
    file = folder / "pictures" / folder_name(label) / f"{setting:g}" / f"{path.stem}.png"
    write_png(file, pixels)
    return str(file.relative_to(folder))


def _write_maps(folder: Path, name: str, setting: float, path: Path, mask, bits) -> dict[str, str]:
    """Grey pictures of what the coder was told and did, by their names in a point.

    "map_picture": the mask, white = important. "bits_picture": bits of each place as the coder
    has them, white = the 99th percentile or more.
    """
    pictures = {}
    if mask is not None:
        pictures["map_picture"] = "masks", 0.0, 255.0 * mask
    if bits is not None:
        most = max(float(np.quantile(bits, 0.99)), 1e-9)
        pictures["bits_picture"] = f"{name} bits", setting, 255.0 * np.minimum(bits / most, 1.0)
    return {
        key: _write_picture(folder, label, number, path, np.round(values).astype(np.uint8))
        for key, (label, number, values) in pictures.items()
    }


def write_file(file: Path, data: bytes) -> None:
    """Writes or replaces a file, making its folder where there is none."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RdcError(f"cannot write into '{file.parent}': {error.strerror}") from error
    atomic_write(file, data, overwrite=True)
