"""Metrics of a survey's pictures as a set: features of patches on disk, distances at the end.

    DIR/features/<network>/<curve>/<setting>/<stem>.npy    float32 [patches, channels]

A curve's value at a setting compares the patches of all its decoded pictures with those of their
originals (`frechet`). Features are written while the pictures are at hand, so a survey that was
interrupted need not decode again.

    fd-alexnet, kid-alexnet, fd-vgg16, kid-vgg16    features of the LPIPS networks
    fid, kid                                        of the Inception network of the literature

No Python package carries the Inception network. Its usual form is a TorchScript file
(inception-2015-12-05.pt) that takes uint8 [N,3,h,w] and return_features=True.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.benchmark_run import folder_name, write_file
from rdc_jax.evaluation.metrics import frechet
from rdc_jax.evaluation.metrics.metric_names import INCEPTION, NETWORK_OF_SET_METRIC
from rdc_jax.models import lpips_weights

ORIGINAL = "original"

Extractor = Callable[[np.ndarray], np.ndarray]
"""Patches uint8 [N,h,w,3] -> features float32 [N,C]."""


def choose(
    wanted: Sequence[str], inception: str | Path | None = None
) -> tuple[dict[str, Extractor], dict[str, str]]:
    """Extractors by network for the wanted metrics, and the reasons why others are not to be had.

    Args:
      wanted: names of the table above; others are passed over.
      inception: the TorchScript file.
    """
    extractors: dict[str, Extractor] = {}
    missing: dict[str, str] = {}
    for name in (name for name in wanted if name in NETWORK_OF_SET_METRIC):
        network = NETWORK_OF_SET_METRIC[name]
        try:
            if network not in extractors:
                extractors[network] = _extractor(network, inception)
        except RdcError as error:
            missing[name] = str(error)
    return extractors, missing


def note(
    extractors: dict[str, Extractor],
    folder: Path,
    curve: str,
    setting: float,
    stem: str,
    pixels: np.ndarray,
) -> None:
    """Writes the features of a picture's patches, uint8 [h,w,3], where they are not there yet."""
    patches = None
    for network, extract in extractors.items():
        file = _file(folder, network, curve, setting, stem)
        if curve == ORIGINAL and file.exists():
            continue
        if patches is None:
            patches = frechet.half_shifted_patches(pixels)
        write_file(file, _as_npy(extract(patches)))


def add(results: dict[str, Any], folder: Path, wanted: Sequence[str]) -> None:
    """Adds the distances to the results' curves; what lacks patches is named in "skipped".

    Called after `comparison.curves` have been made; a curve's lists stay as long as they are.
    """
    stems: dict[tuple[str, float], list[str]] = {}
    for point in results["points"]:
        group = stems.setdefault((point["codec"], point["setting"]), [])
        group.append(Path(point["image"]).stem)
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
    """A distance of the decoded pictures of some stems from their originals.

    Raises:
      RdcError: fewer than two patches (of 256 pixels) in all, or features that are not there.
    """
    load = partial(_load, folder, NETWORK_OF_SET_METRIC[name])
    originals = np.concatenate([load(ORIGINAL, 0.0, stem) for stem in stems])
    decoded = np.concatenate([load(curve, setting, stem) for stem in stems])
    if name.startswith("kid"):
        return frechet.kernel_distance(originals, decoded)[0]
    return frechet.frechet_distance(originals, decoded)


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


def _extractor(network: str, inception: str | Path | None) -> Extractor:
    if network != INCEPTION:
        return partial(frechet.features, lpips_weights.load(network))
    if inception is None:
        raise RdcError("needs the Inception network: give its TorchScript file with --inception")
    return _inception(Path(inception))


def _inception(path: Path) -> Extractor:
    try:
        import torch
    except ImportError:
        raise RdcError("the Inception network is a TorchScript file: pip install torch") from None
    try:
        with warnings.catch_warnings():  # TorchScript is deprecated, and what this file is
            warnings.simplefilter("ignore", DeprecationWarning)
            network = torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise RdcError(f"'{path}' is no TorchScript file") from error

    def extract(patches: np.ndarray) -> np.ndarray:
        found = [np.zeros((0, 1), np.float32)]
        for start in range(0, len(patches), frechet.BATCH):
            batch = np.ascontiguousarray(patches[start : start + frechet.BATCH])
            with torch.inference_mode():
                channels_first = torch.from_numpy(batch).permute(0, 3, 1, 2)
                features = network(channels_first, return_features=True)
            found.append(features.numpy().astype(np.float32))
        return np.concatenate(found[1:] or found)

    return extract
