"""DISTS: distance of two images by the means and the covariances of classifier features.

Ding, Ma, Wang, Simoncelli: Image Quality Assessment: Unifying Structure and Texture Similarity,
2020. Lower is nearer, 0 for equal images. Unlike LPIPS, it costs little to replace a texture with
another piece of the same texture.

    image -> normalise -> stage 1 -> pool -> stage 2 -> ... -> stage 5      VGG16, after the ReLU
      |                      |                  |                 |
      mean over positions: l = (2 m_x m_y + c) / (m_x^2 + m_y^2 + c)        of every channel
      covariance:          s = (2 v_xy + c) / (v_x + v_y + c)
      1 - sum over stages and channels of (alpha l + beta s)                alpha, beta sum to 1

Stage 0 is the image itself in [0,1]. An L2 pool replaces VGG16's max-pool: the root of the squares
blurred by a 3x3 Hann window, with stride 2 and one ring of zeros around.

alpha and beta come from the PyPI package DISTS-pytorch 0.1 (MIT). Only its data file is used;
neither the package nor PyTorch is imported. The file is a pickle followed by raw arrays. It is read
only if its hash is the known one, so the arrays are taken from known offsets and nothing is
unpickled.

The package uses torchvision's VGG16 (its first ImageNet weights), like LPIPS, so
`lpips_weights.load("vgg16")` gives the same network: the example pair of the authors' repository
gets 0.33467, and the authors print 0.3347.

Images are not resized. The authors' demonstration reduces them to 256 pixels on the shorter side;
papers on compression measure at full size.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.models.lpips import PRECISION, VGG16, check_images, pair_of_images
from rdc_jax.models.lpips_weights import Weights

PACKAGE = "DISTS_pytorch"
MISSING = "DISTS needs the parameters of DISTS-pytorch: pip install --no-deps DISTS-pytorch==0.1"

# sha256 of DISTS_pytorch/weights.pt in DISTS-pytorch 0.1, and where its two arrays of
# little-endian float32 start; a 64-bit count precedes each.
SHA256 = "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218"
OFFSETS = {"alpha": 480, "beta": 6388}
CHANNELS = (3, 64, 128, 256, 512, 512)  # of each stage, the image first

# ImageNet's mean and deviation for images in [0,1].
MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 1, 1, 3)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 1, 1, 3)
HANN = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16.0
POOL_EPSILON = 1e-12  # under the root
C = 1e-6  # stabilises both quotients

Parameters = dict[str, list[Any]]


def load_parameters(path: str | Path | None = None) -> Parameters:
    """The weights of the similarities, NumPy float32, scaled so that all of them sum to 1.

    {"alpha": [float32 [3], [64], [128], [256], [512], [512]],     of the means, >= 0
     "beta": the same shapes}                                       of the covariances, >= 0

    Args:
        path: The package's weights.pt; None for that of the installed package.

    Raises:
        RdcError: The package or its file is missing, or the file differs from the known one.
    """
    file = Path(path) if path else _package_file()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise RdcError(f"cannot read {file}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise RdcError(f"{file.name} is not the file of DISTS-pytorch 0.1: reinstall it")
    raw = {
        name: np.frombuffer(data, "<f4", sum(CHANNELS), offset).astype(np.float64)
        for name, offset in OFFSETS.items()
    }
    total = sum(values.sum() for values in raw.values())
    ends = np.cumsum(CHANNELS)[:-1]
    return {name: np.split((v / total).astype(np.float32), ends) for name, v in raw.items()}


def dists(weights: Weights, parameters: Parameters, x: jax.Array, y: jax.Array) -> jax.Array:
    """DISTS of each pair: float32 [B], 0 for equal images, at most 2.

    Differentiable in both images. Pass the weights as an argument of a jitted function.

    Args:
        weights: Of `lpips_weights.load("vgg16")`.
        parameters: Of `load_parameters`.
        x: float [B,H,W,3] in [-1,1].
        y: The same shape.

    Raises:
        RdcError: The images are not such arrays, differ in shape or have a side below 32; or the
            weights are those of another network.
    """
    check_images("DISTS", x, y)
    features_x, features_y = dists_features(weights, x), dists_features(weights, y)
    return dists_of_features(parameters, features_x, features_y)


def dists_features(weights: Weights, x: jax.Array) -> list[jax.Array]:
    """The image in [0,1] and the features of VGG16's five stages: float32 [B,h,w,channels] each.

    To compare one image with many, compute its features once.

    Args:
        weights: Of `lpips_weights.load("vgg16")`.
        x: float [B,H,W,3] in [-1,1].

    Raises:
        RdcError: The image is not such an array or has a side below 32; or the weights are those of
            another network.
    """
    check_images("DISTS", x)
    if len(weights["conv"]) != sum(VGG16.convolutions):
        raise RdcError("DISTS needs the weights of vgg16: load('vgg16')")
    return _stages(weights, x)


def dists_of_features(
    parameters: Parameters, features_x: list[jax.Array], features_y: list[jax.Array]
) -> jax.Array:
    """DISTS of two sets of features: float32 [B].

    Args:
        parameters: Of `load_parameters`.
        features_x: Of `dists_features`.
        features_y: Of `dists_features`.
    """
    similarity = 0.0
    stages = zip(features_x, features_y, strict=True)
    for (a, b), alpha, beta in zip(stages, parameters["alpha"], parameters["beta"], strict=True):
        means, covariances = _similarities(a, b)
        similarity += means @ alpha + covariances @ beta
    return 1.0 - similarity


def measure_dists(
    weights: Weights, parameters: Parameters, reference: np.ndarray, decoded: np.ndarray
) -> float:
    """DISTS of two 8-bit images of 32x32 pixels or more.

    Compiled once per image size (seconds), because padding would change the value.

    Args:
        reference: uint8 [h,w,3].
        decoded: uint8, the same shape.
    """
    x, y = pair_of_images("DISTS", reference, decoded)
    return float(_jitted_dists(weights, parameters, x, y)[0])


_jitted_dists = jax.jit(dists)


def _package_file() -> Path:
    """The data file inside the installed package, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RdcError(MISSING)
    return Path(spec.submodule_search_locations[0]) / "weights.pt"


def _stages(weights: Weights, x: jax.Array) -> list[jax.Array]:
    """The image in [0,1] and the features of VGG16's five stages: float32 [B,h,w,channels]."""
    image = (x.astype(jnp.float32) + 1.0) / 2.0
    convolutions = iter(weights["conv"])
    stages = [image]
    x = (image - MEAN) / DEVIATION
    for stage, count in enumerate(VGG16.convolutions):
        if stage > 0:
            x = _l2_pool(x)
        for kernel, bias in itertools.islice(convolutions, count):
            x = jax.nn.relu(_convolve(x, kernel) + bias.reshape(1, 1, 1, -1))
        stages.append(x)
    return stages


def _convolve(x: jax.Array, kernel: jax.Array, stride: int = 1, groups: int = 1) -> jax.Array:
    """3x3 filter of [B,h,w,in] with one ring of zeros around."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[(1, 1), (1, 1)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
        precision=PRECISION,
    )


def _l2_pool(x: jax.Array) -> jax.Array:
    """Half the size, rounded up: the root of the blurred squares of each channel."""
    channels = x.shape[-1]
    kernel = jnp.broadcast_to(HANN[:, :, None, None], (3, 3, 1, channels))
    return jnp.sqrt(_convolve(x * x, kernel, stride=2, groups=channels) + POOL_EPSILON)


def _similarities(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Similarity of the means and of the covariances: float32 [B,channels], in -1..1."""
    mean_x, mean_y = (jnp.mean(z, axis=(1, 2), keepdims=True) for z in (x, y))
    x, y = x - mean_x, y - mean_y
    mean_x, mean_y = mean_x[:, 0, 0], mean_y[:, 0, 0]
    variance_x, variance_y, covariance = (jnp.mean(z, axis=(1, 2)) for z in (x * x, y * y, x * y))
    means = (2.0 * mean_x * mean_y + C) / (mean_x**2 + mean_y**2 + C)
    return means, (2.0 * covariance + C) / (variance_x + variance_y + C)
