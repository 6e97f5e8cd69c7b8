"""Automatic importance masks from the detectors that are installed.

    objects    outlines from U2-Net     needs a network, see `objects`
    faces      boxes from CenterFace    needs a network, see `faces`
    contrast   saliency                 always available, see `saliency`

"auto" combines objects and faces; faces count more than the rest of a person. If it finds nothing,
or if no network is installed, there is no mask. `rdc detectors --install` installs the networks.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.importance import detector_files, detector_networks, faces, objects, saliency

DETECTORS = ("auto", "objects", "faces", "contrast")
BESIDE_FACES = 0.6  # importance of other detections if there are faces
INSTALL = "`rdc detectors --install`"


class Found(NamedTuple):
    """What detectors found in an image.

    Attributes:
        mask: Soft importance mask, float32 [h,w] in [0,1]; None if "auto" finds nothing.
        by: A readable text on which detectors found what.
    """

    mask: np.ndarray | None
    by: str


class Network(NamedTuple):
    """A detector that needs a network."""

    candidates: Callable[[], list[Path]]
    find: Callable[[np.ndarray, Path], Found | None]


class Choice(NamedTuple):
    """The network file that a detector uses.

    Attributes:
        weights: The first file that works, or None.
        unusable: Files that would come before it and the reason why they cannot be used.
    """

    weights: Path | None
    unusable: dict[Path, str]


def find(pixels: np.ndarray, detector: str = "auto") -> Found:
    """Detects what matters in an image.

    Args:
        pixels: uint8 [h,w,3] or [h,w].
        detector: One of DETECTORS.

    Returns:
        The mask, and a text that says which detectors found what. Only "auto" may have no mask:
        if nothing is found or no network is installed (`note`).

    Raises:
        RdcError: the detector is unknown, not installed or broken, or detects nothing.
    """
    if detector == "auto":
        return _combined(pixels)
    if detector == "contrast":
        return Found(saliency.salient(pixels), "contrast")
    if detector not in NETWORKS:
        raise RdcError(f"unknown detector '{detector}'; choose one of {', '.join(DETECTORS)}")
    weights, unusable = choose(detector)
    if weights is None:
        reason = next(iter(unusable.values()), f"no detector of {detector} is installed")
        raise RdcError(f"{reason}; {INSTALL} installs a good one")
    found = NETWORKS[detector].find(pixels, weights)
    if found is None:
        raise RdcError(f"no {detector} were found in the image; choose auto, contrast or a mask")
    return found


def choose(detector: str) -> Choice:
    """Returns the network file that a detector uses. Each file is tried once per process.

    Args:
        detector: "faces" or "objects".
    """
    unusable: dict[Path, str] = {}
    missing = detector_networks.missing_libraries()
    for path in NETWORKS[detector].candidates():
        reason = f"{missing[0]} is not installed" if missing else _obstacle(detector, path)
        if not reason:
            return Choice(path, unusable)
        unusable[path] = reason
    return Choice(None, unusable)


def installed() -> str:
    """Returns the names of the networks that "auto" uses, to label results that depend on them."""
    found = (choose(name).weights for name in NETWORKS)
    return ", ".join(weights.stem for weights in found if weights is not None)


def note() -> str:
    """Returns one line on detectors that "auto" does without, and what to do; "" if there are none.

    The line is about this machine, not about an image, so it is worth saying once.
    """
    choices = {name: choose(name) for name in NETWORKS}
    reasons = [reason for choice in choices.values() for reason in choice.unusable.values()]
    without = [name for name, choice in choices.items() if choice.weights is None]
    if len(without) == len(choices):
        size = sum(source.size for source in detector_files.SOURCES.values())
        reason = reasons[0] if reasons else "no detectors are installed"
        return (
            f"{reason}, so images are coded without a map; {INSTALL} installs detectors of faces "
            f"and objects ({size / 1e6:.0f} MB), and contrast needs none"
        )
    if without:
        reason = reasons[0] if reasons else f"no detector of {without[0]} is installed"
        return f"{reason}, so no {without[0]} are found; {INSTALL} installs one"
    return f"{reasons[0]}, so another one is used" if reasons else ""


def _obstacle(detector: str, weights: Path) -> str:
    """Why a network file cannot be used; "" if it can."""
    try:
        return _tried(detector, weights, detector_networks.state(weights))
    except OSError as error:
        return f"'{weights}' cannot be read ({error.strerror})"


@functools.lru_cache(maxsize=16)
def _tried(detector: str, weights: Path, state: tuple[int, int]) -> str:
    """Runs a network file once; see `_obstacle`. A file that was replaced has another state."""
    try:
        NETWORKS[detector].find(np.zeros((64, 64, 3), np.uint8), weights)
    except RdcError as error:
        return str(error)
    return ""


def _objects(pixels: np.ndarray, weights: Path) -> Found | None:
    mask = objects.find(pixels, weights)
    return None if mask is None else Found(mask, f"objects ({weights.stem})")


def _faces(pixels: np.ndarray, weights: Path) -> Found | None:
    boxes = faces.find(pixels, weights)
    if not len(boxes):
        return None
    count = f"{len(boxes)} face" + "s" * (len(boxes) > 1)
    return Found(faces.mask(boxes, *pixels.shape[:2]), f"{count} ({weights.stem})")


NETWORKS = {
    "faces": Network(faces.candidates, _faces),
    "objects": Network(objects.candidates, _objects),
}


def _combined(pixels: np.ndarray) -> Found:
    """The union of what faces and objects find; see the module docstring."""
    masks: list[np.ndarray] = []
    texts, nothing = [], []
    for name, network in NETWORKS.items():
        weights = choose(name).weights
        if weights is None:
            continue
        found = network.find(pixels, weights)
        if found is None or found.mask is None:
            nothing.append(f"no {name} found")
            continue
        masks.append(BESIDE_FACES * found.mask if masks else found.mask)  # faces come first
        texts.append(found.by)
    by = "; ".join(filter(None, (" and ".join(texts), ", ".join(nothing))))
    mask = np.maximum.reduce(masks) if masks else None
    return Found(mask, by or "no detectors installed")
