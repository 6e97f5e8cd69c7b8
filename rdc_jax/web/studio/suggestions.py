"""What the detectors suggest for a photo: a mask, and faces to click."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.importance import detectors, faces
from rdc_jax.importance.shapes import centre
from rdc_jax.web.studio import request_fields
from rdc_jax.web.studio.photos import Photo

INSTALL = "rdc detectors --install"


def mask_of(photo: Photo, asked: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """A mask of `columns` x `rows` bytes, row by row, 255 = important.

    Args:
        photo: The photo.
        asked: Columns; rows; kind, "auto" or "center".

    Returns:
        The bytes, all 0 if nothing was found; "found", what was found, in the words of the page;
        "detail", which networks found it, and what is wrong with them; and "install", the command
        that installs missing detectors, or "".

    Raises:
        RdcError: A field is out of range.
    """
    pixels = photo.image.pixels
    most = request_fields.MAX_MASK_SIDE
    rows, columns = (
        request_fields.number(asked, n, 1, most, whole=True) for n in ("rows", "columns")
    )
    kind, install, note = asked.get("kind"), "", ""
    if kind not in ("auto", "center"):
        raise RdcError("the kind of a mask must be auto or center")
    if kind == "auto":
        mask, found = detectors.find(pixels)
        if mask is None:
            mask = np.zeros(pixels.shape[:2], np.float32)
        note, install = detectors.note(), _install()
    else:
        mask, found = centre(*pixels.shape[:2]), "the middle of the image"
    mask, anywhere = photo.where_visible(mask), mask.any()
    if anywhere and not mask.any():
        found += ", but none of it is visible"
    small = Image.fromarray(mask).resize((columns, rows), Image.Resampling.BOX)
    levels = np.rint(255 * np.clip(np.asarray(small), 0, 1)).astype(np.uint8)
    detail = "; ".join(filter(None, (found, note)))
    plain = re.sub(r" \([^)]*\)", "", found)  # without the names of networks
    if kind == "auto" and anywhere:
        plain = f"found: {plain}"
    return levels.tobytes(), {"found": plain, "detail": detail, "install": install}


def faces_of(photo: Photo) -> dict[str, Any]:
    """Faces of a photo.

    Returns "faces", a list of [left, top, width, height] in pixels, and "room", the size of the
    ellipse that protects a face relative to its box. The list is empty if the detector is not
    installed or cannot be used.
    """
    weights, boxes = detectors.choose("faces").weights, np.zeros((0, 4))
    if weights is not None:
        boxes = faces.find(photo.image.pixels, weights)
    return {"faces": np.round(boxes, 1).tolist(), "room": faces.ROOM}


def _install() -> str:
    """The command that installs the detectors that are missing; "" if none is."""
    missing = any(detectors.choose(name).weights is None for name in detectors.NETWORKS)
    return INSTALL if missing else ""
