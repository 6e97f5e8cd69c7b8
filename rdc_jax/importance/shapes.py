"""Soft importance masks from shapes: boxes, ellipses, polygons and points of gaze.

Every mask is float32 [height,width] in [0,1], 1 = important. Shapes are read from text, in pixels
from the upper left corner. Parts outside the image are cut off. A shape that lies entirely outside
is an error.

    box       x,y,w,h            left, top, width, height
    ellipse   x,y,w,h            the ellipse that fills this box
    polygon   x,y,x,y,x,y[,...]  three corners or more
    fovea     x,y[,r]            a point of gaze; importance falls to 0.6 at r pixels
"""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from rdc_jax.errors import RdcError

Mask = np.ndarray
Shape = Callable[[int, int], Mask]
"""Function (height, width) of an image -> its mask. Raises RdcError for a shape outside."""

CENTRE_AREA = 0.25  # area of the ellipse that `centre` makes, as share of the image
FOVEA_SHARE = 0.2  # default radius of a fovea, as share of the shorter side


def box(text: str) -> Shape:
    """Parses a box "x,y,w,h" in whole pixels. Raises RdcError for any other text."""
    left, top, width, height = _extent(text, "box")

    def mask(rows: int, columns: int) -> Mask:
        found = np.zeros((rows, columns), np.float32)
        found[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = 1.0
        return _inside(found, f"box {text}")

    return mask


def ellipse(text: str) -> Shape:
    """Parses an ellipse "x,y,w,h", given by its bounding box. Raises RdcError as `box`."""
    left, top, width, height = _extent(text, "ellipse")

    def mask(rows: int, columns: int) -> Mask:
        x = (np.arange(columns) + 0.5 - left - width / 2) / (width / 2)
        y = (np.arange(rows) + 0.5 - top - height / 2) / (height / 2)
        found = (x[None] ** 2 + y[:, None] ** 2 <= 1.0).astype(np.float32)
        return _inside(found, f"ellipse {text}")

    return mask


def polygon(text: str) -> Shape:
    """Parses a polygon "x,y,x,y,x,y,...". Raises RdcError for fewer than three corners."""
    values = _numbers(text, "polygon")
    if len(values) % 2:
        raise RdcError(f"polygon '{text}' has an odd number of values; write x,y,x,y,x,y")
    if len(values) < 6:
        raise RdcError(f"polygon '{text}' needs three corners or more: x,y,x,y,x,y")
    corners = list(zip(values[::2], values[1::2], strict=True))
    x, y = np.array(corners).T
    if abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) < 2.0:  # twice the area
        raise RdcError(f"polygon '{text}' has no area; its corners lie on a line")

    def mask(rows: int, columns: int) -> Mask:
        drawn = Image.new("1", (columns, rows))
        ImageDraw.Draw(drawn).polygon(corners, fill=1)
        return _inside(np.asarray(drawn, np.float32), f"polygon {text}")

    return mask


def fovea(text: str) -> Shape:
    """Parses a fovea "x,y" or "x,y,r", a Gaussian. Raises RdcError for any other text."""
    values = _numbers(text, "fovea")
    if len(values) not in (2, 3) or (len(values) == 3 and values[2] < 1):
        raise RdcError(f"cannot read fovea '{text}'; write x,y or x,y,r with r of 1 pixel or more")
    x, y = values[:2]

    def mask(rows: int, columns: int) -> Mask:
        if not (0 <= x < columns and 0 <= y < rows):
            raise RdcError(f"fovea {text} {_outside(rows, columns)}")
        radius = values[2] if len(values) == 3 else FOVEA_SHARE * min(rows, columns)
        across = ((np.arange(columns) + 0.5 - x) / radius) ** 2
        down = ((np.arange(rows) + 0.5 - y) / radius) ** 2
        return np.exp(-0.5 * (down[:, None] + across[None])).astype(np.float32)

    return mask


def centre(height: int, width: int) -> Mask:
    """Returns the mask of a centred ellipse with the image's proportions and 25 % of its area."""
    radius = math.sqrt(CENTRE_AREA / math.pi)  # semi-axes radius * width and radius * height
    row = (np.arange(height) + 0.5) / height - 0.5
    column = (np.arange(width) + 0.5) / width - 0.5
    return (row[:, None] ** 2 + column[None] ** 2 <= radius**2).astype(np.float32)


def _extent(text: str, kind: str) -> tuple[int, int, int, int]:
    values = _numbers(text, kind)
    if len(values) != 4 or any(value != int(value) for value in values):
        raise RdcError(f"cannot read {kind} '{text}'; write x,y,w,h in whole pixels")
    left, top, width, height = (int(value) for value in values)
    if width < 1 or height < 1:
        raise RdcError(f"{kind} '{text}' is empty; width and height must be at least 1")
    return left, top, width, height


def _numbers(text: str, kind: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
        if not all(math.isfinite(value) for value in values):
            raise ValueError
    except ValueError:
        raise RdcError(f"cannot read {kind} '{text}'; write numbers joined by commas") from None
    return values


def _inside(mask: Mask, name: str) -> Mask:
    if not mask.any():
        raise RdcError(f"{name} {_outside(*mask.shape)}")
    return mask


def _outside(rows: int, columns: int) -> str:
    return f"lies outside the image of {columns} x {rows} pixels"
