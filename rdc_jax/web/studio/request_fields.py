"""Checks of a request's fields: numbers in their range, a mask of its declared size."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from rdc_jax.errors import RdcError

MAX_MASK_SIDE = 2048
LABELS = {"target_kb": "target size in kB", "roi_gain": "ROI gain"}  # as on the page


def number(
    asked: Mapping[str, Any],
    name: str,
    least: float,
    most: float,
    default: float | None = None,
    *,
    whole: bool = False,
) -> Any:
    """A number of a request.

    Args:
        asked: The request.
        name: Name of the field.
        least: Smallest value allowed.
        most: Largest value allowed.
        default: The value for a missing field.
        whole: Whether the number must be whole.

    Raises:
        RdcError: The field is missing without a default, not a number, or out of range.
    """
    value = asked.get(name)
    value = default if value is None else value
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    label = LABELS.get(name, name.replace("_", " "))
    label = label[0].upper() + label[1:]
    if not fits or not least <= value <= most:
        raise RdcError(f"{label} must be a number from {least:g} to {most:,g}")
    if whole and value != int(value):
        raise RdcError(f"{label} must be a whole number")
    return int(value) if whole else float(value)


def mask(sent: Any) -> np.ndarray | None:
    """The mask of a request: uint8 [height,width], 255 = important; None if nothing is painted.

    sent: None, or {"width", "height", "data": base64 of width x height bytes}. Raises RdcError for
    anything else.
    """
    if sent is None:
        return None
    if not isinstance(sent, Mapping):
        raise RdcError("the mask does not have the form that the page sends")
    width, height = (number(sent, n, 1, MAX_MASK_SIDE, whole=True) for n in ("width", "height"))
    try:
        data = base64.b64decode(sent.get("data"), validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise RdcError("the mask does not have the form that the page sends") from None
    if len(data) != width * height:
        raise RdcError(f"the mask has {len(data)} bytes, not {width} x {height}")
    painted = np.frombuffer(data, np.uint8).reshape(height, width)
    return painted if painted.any() else None
