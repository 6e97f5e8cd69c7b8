"""Distances between sets of images: decoded images as a whole against their originals.

    fd-alexnet, kid-alexnet, fd-vgg16, kid-vgg16    on features of the LPIPS networks
    fid, kid                                        on features of the usual Inception network

fd and fid are Fréchet distances, kid is a kernel distance (`frechet`). No Python package contains
the Inception network. It is usually distributed as a TorchScript file (inception-2015-12-05.pt)
that takes uint8 [N,3,h,w] and return_features=True.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import frechet
from rdc_jax.evaluation.metrics.metric_names import INCEPTION, NETWORK_OF_SET_METRIC
from rdc_jax.models import lpips_weights

Extractor = Callable[[np.ndarray], np.ndarray]
"""Patches uint8 [N,h,w,3] -> features float32 [N,C]."""


def choose(
    wanted: Sequence[str], inception: str | Path | None = None
) -> tuple[dict[str, Extractor], dict[str, str]]:
    """Loads the networks that the wanted metrics need.

    Args:
        wanted: Names of metrics; those of single images are ignored.
        inception: The TorchScript file of the Inception network.

    Returns:
        Extractors by network, and for each metric that is not available the reason.
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


def distance(name: str, originals: np.ndarray, decoded: np.ndarray) -> float:
    """The distance between two sets of features.

    Args:
        name: Name of the metric.
        originals: Features of the originals, float32 [N,C].
        decoded: Features of the decoded images, float32 [M,C].

    Raises:
        RdcError: A set has fewer than two samples.
    """
    if name.startswith("kid"):
        return frechet.kernel_distance(originals, decoded)[0]
    return frechet.frechet_distance(originals, decoded)


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
        with warnings.catch_warnings():  # TorchScript is deprecated, but the file has this format
            warnings.simplefilter("ignore", DeprecationWarning)
            network = torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise RdcError(f"'{path}' is not a TorchScript file") from error

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
