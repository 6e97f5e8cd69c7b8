"""Distances between sets of images in a benchmark run: features on disk, distances at the end.

    DIR/features/<network>/<curve>/<setting>/<stem>.npy    float32 [patches, channels]

A curve's value at a setting compares the patches of all its decoded images with those of their
originals. The features are written while the images are in memory, so a benchmark run that was
interrupted does not decode them again.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.benchmark_run import name_of_files
from rdc_jax.evaluation.metrics import frechet, set_distances
from rdc_jax.evaluation.metrics.metric_names import NETWORK_OF_SET_METRIC
from rdc_jax.evaluation.metrics.set_distances import Extractor
from rdc_jax.evaluation.run_files import folder_name, write_file

ORIGINAL = "original"


def write(
    extractors: dict[str, Extractor],
    folder: Path,
    curve: str,
    setting: float,
    stem: str,
    pixels: np.ndarray,
) -> None:
    """Writes the features of an image's patches.

    Args:
        extractors: The networks by name, from `set_distances.choose`.
        folder: The folder of the benchmark run.
        curve: Name of the curve, or "original". Features of an original are written once.
        setting: The codec's setting at this point of the curve.
        stem: Name of the image's files (`benchmark_run.name_of_files`).
        pixels: The image, uint8 [h,w,3].
    """
    patches = None
    for network, extract in extractors.items():
        file = _file(folder, network, curve, setting, stem)
        if curve == ORIGINAL and file.exists():
            continue
        if patches is None:
            patches = frechet.half_shifted_patches(pixels)
        write_file(file, _as_npy(extract(patches)))


def forget(folder: Path, stem: str) -> None:
    """Removes the features of an original that has changed.

    Args:
        folder: The folder of the benchmark run.
        stem: Name of the image's files.
    """
    for network in (folder / "features").glob("*"):
        _file(folder, network.name, ORIGINAL, 0.0, stem).unlink(missing_ok=True)


def add_to_curves(results: dict[str, Any], folder: Path, wanted: Sequence[str]) -> None:
    """Adds the distances to the curves of the results, one value a setting.

    A distance that cannot be computed is listed in "skipped" with the reason.

    Args:
        results: Results with "points" and "curves" (of `comparison.curves`).
        folder: The folder of the benchmark run.
        wanted: Names of metrics; those of single images are ignored.
    """
    stems: dict[tuple[str, float], list[str]] = {}
    for point in results["points"]:
        group = stems.setdefault((point["codec"], point["setting"]), [])
        group.append(name_of_files(results, point["image"]))
    for name in (name for name in wanted if name in NETWORK_OF_SET_METRIC):
        for curve in results["curves"]:
            settings = curve["results"]["setting"]
            try:
                curve["results"][name] = [
                    measure(folder, name, curve["name"], s, stems[curve["name"], s])
                    for s in settings
                ]
            except RdcError as error:
                what = f"{name} of {curve['name']}"
                results["skipped"].append({"what": what, "reason": str(error)})


def measure(folder: Path, name: str, curve: str, setting: float, stems: Sequence[str]) -> float:
    """The distance between the decoded images of some stems and their originals.

    Args:
        folder: The folder of the benchmark run.
        name: A metric of `set_distances`.
        curve: Name of the curve.
        setting: The codec's setting.
        stems: Names of the images' files.

    Raises:
        RdcError: Features are missing, or there are fewer than two patches (of 256 pixels) in all.
    """
    load = partial(_load, folder, NETWORK_OF_SET_METRIC[name])
    originals = np.concatenate([load(ORIGINAL, 0.0, stem) for stem in stems])
    decoded = np.concatenate([load(curve, setting, stem) for stem in stems])
    return set_distances.distance(name, originals, decoded)


def _file(folder: Path, network: str, curve: str, setting: float, stem: str) -> Path:
    return folder / "features" / network / folder_name(curve) / f"{setting:g}" / f"{stem}.npy"


def _load(folder: Path, network: str, curve: str, setting: float, stem: str) -> np.ndarray:
    file = _file(folder, network, curve, setting, stem)
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise RdcError(f"cannot read the features '{file}'; measure into a new folder") from error


def _as_npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
