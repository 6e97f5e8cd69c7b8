"""The files of a benchmark run.

DIR/results.json                     all results, rewritten after every image
DIR/results.csv                      one line a point
DIR/files/<codec>/<setting>/...      every coded file
DIR/pictures/<curve>/<setting>/...   decoded images, of the first few originals only
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.images import atomic_write

SCHEMA = 1
CSV_COLUMNS = (
    *("image", "codec", "setting", "bytes", "map_bytes", "bpp"),
    *("encoding_time", "decoding_time"),
)


def read(path: Path) -> dict[str, Any]:
    """The results of an earlier run, or empty results where there is no such file.

    Raises RdcError when the file is not a results file.
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


def write(folder: Path, results: dict[str, Any]) -> None:
    """Writes DIR/results.json and DIR/results.csv."""
    write_file(folder / "results.json", json.dumps(results, indent=1).encode())
    metrics = sorted({key for point in results["points"] for key in point["metrics"]})
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*CSV_COLUMNS, *metrics])
    for point in results["points"]:
        cells = [point[key] for key in CSV_COLUMNS]
        cells += [point["metrics"].get(key, "") for key in metrics]
        lines.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells])
    write_file(folder / "results.csv", text.getvalue().encode(errors="backslashreplace"))


def folder_name(label: str) -> str:
    """A curve's name as a part of a path."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", label)


def write_file(file: Path, data: bytes) -> None:
    """Writes or replaces a file. Makes its folder if needed."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RdcError(f"cannot write into '{file.parent}': {error.strerror}") from error
    atomic_write(file, data, overwrite=True)


def write_png(file: Path, pixels: np.ndarray) -> None:
    """Writes uint8 [h,w,3] or [h,w]. Makes the folder if needed."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    write_file(file, buffer.getvalue())


def write_image(folder: Path, label: str, setting: float, stem: str, pixels: np.ndarray) -> str:
    """Writes an image below DIR/pictures.

    Args:
        folder: The folder of the run.
        label: Name of the curve, or "original".
        setting: The codec's setting.
        stem: Name of the image's files (`benchmark_run.name_of_files`).
        pixels: uint8 [h,w,3] or [h,w].

    Returns:
        The path relative to the folder.
    """
    file = folder / "pictures" / folder_name(label) / f"{setting:g}" / f"{stem}.png"
    write_png(file, pixels)
    return str(file.relative_to(folder))


def write_maps(
    folder: Path,
    coder: str,
    setting: float,
    stem: str,
    mask: np.ndarray | None,
    bits: np.ndarray | None,
) -> dict[str, str]:
    """Writes the mask and the bits of a file as grey images.

    Args:
        folder: The folder of the run.
        coder: Name of the coder.
        setting: The codec's setting.
        stem: Name of the image's files (`benchmark_run.name_of_files`).
        mask: float [h,w] in [0,1], white = important.
        bits: Bits of each place, float [h',w']; white = the 99th percentile or more.

    Returns:
        Paths by their keys in a point, "map_picture" and "bits_picture".
    """
    paths = {}
    if mask is not None:
        paths["map_picture"] = write_image(folder, "masks", 0.0, stem, _as_bytes(255.0 * mask))
    if bits is not None:
        most = max(float(np.quantile(bits, 0.99)), 1e-9)
        grey = _as_bytes(255.0 * np.minimum(bits / most, 1.0))
        paths["bits_picture"] = write_image(folder, f"{coder} bits", setting, stem, grey)
    return paths


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return np.round(values).astype(np.uint8)
