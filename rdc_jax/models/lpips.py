"""LPIPS: distance of two images between the features of an image classifier.

Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features as a
Perceptual Metric, 2018; version 0.1 of the authors' heads. Lower is nearer, 0 for equal images.

    image -> shift, scale -> stage 1 -> ... -> stage 5          AlexNet or VGG16, after the ReLU
                               |                  |
                          unit vectors       unit vectors       over the channels
                               |                  |
             sum_c head_c (x_c - y_c)^2    ...                  mean over positions, sum over stages

The literature reports AlexNet as a metric; VGG16 is the usual training loss. The functions are pure
functions of the weights (`lpips_weights.load`), differentiable in both images. The first kernel
says which network the weights belong to. Pass the weights as an argument of a jitted function:
closed over, they would become constants of the program. All computation is in float32.

A side must have 32 pixels or more, so that every stage has a position. Smaller images are refused,
because the values of padded images are comparable with nothing.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.errors import RdcError
from rdc_jax.models.lpips_weights import Weights

STAGES = 5
SMALLEST_SIDE = 32

# The authors' constants: ImageNet's mean and deviation for images in [-1,1].
SHIFT = np.array([-0.030, -0.088, -0.188], np.float32).reshape(1, 1, 1, 3)
SCALE = np.array([0.458, 0.448, 0.450], np.float32).reshape(1, 1, 1, 3)
EPSILON = 1e-10  # added to the length of a feature vector

# TPUs and recent GPUs would otherwise round the factors of a convolution.
PRECISION = jax.lax.Precision.HIGHEST


class Backbone(NamedTuple):
    """How the convolutions follow each other; their shapes are those of the weights."""

    convolutions: tuple[int, ...]  # in each stage
    pooled: tuple[bool, ...]  # whether a max-pool precedes the stage
    pool: int  # its window; the stride is 2, no padding
    stride: int  # of the first convolution
    padding: tuple[int, ...]  # of the first convolution of each stage, and of the stage's others


ALEXNET = Backbone((1, 1, 1, 1, 1), (False, True, True, False, False), 3, 4, (2, 2, 1, 1, 1))
VGG16 = Backbone((2, 2, 3, 3, 3), (False, True, True, True, True), 2, 1, (1, 1, 1, 1, 1))
BACKBONE_OF_KERNEL = {11: ALEXNET, 3: VGG16}  # side of the first kernel


def lpips(weights: Weights, x: jax.Array, y: jax.Array, layers: int | None = None) -> jax.Array:
    """LPIPS of each pair: float32 [B], >= 0.

    Args:
        weights: Of `lpips_weights.load`.
        x: float [B,H,W,3] in [-1,1].
        y: The same shape.
        layers: Sum the first 1..5 stages only; those after are not computed. All 5 is LPIPS.

    Raises:
        RdcError: the images are not such arrays, differ in shape or have a side below 32.
    """
    features_x, features_y = _features_of_pair(weights, x, y, layers)
    return lpips_of_features(weights, features_x, features_y)


def lpips_features(weights: Weights, x: jax.Array, layers: int | None = None) -> list[jax.Array]:
    """Unit feature vectors of the first `layers` stages: float32 [B,h,w,channels] each.

    For a training target: compute them once, `jax.lax.stop_gradient` them where needed.

    Args:
        x: float [B,H,W,3] in [-1,1].
        layers: Number of stages, 1..5; all 5 by default.
    """
    check_images("LPIPS", x)
    layers = _check_layers(layers)
    backbone = _backbone(weights)
    convolutions = iter(weights["conv"])
    x = (x.astype(jnp.float32) - SHIFT) / SCALE
    features = []
    for stage in range(layers):
        if backbone.pooled[stage]:
            x = _max_pool(x, backbone.pool)
        stride = backbone.stride if stage == 0 else 1
        for kernel, bias in itertools.islice(convolutions, backbone.convolutions[stage]):
            x = _convolve(x, kernel, bias, stride, backbone.padding[stage])
        features.append(_unit(x))
    return features


def lpips_of_features(
    weights: Weights, features_x: list[jax.Array], features_y: list[jax.Array]
) -> jax.Array:
    """LPIPS from two results of `lpips_features` with equal `layers`: float32 [B].

    Args:
        weights: Of `lpips_weights.load`.
        features_x: Of one image.
        features_y: Of the other.
    """
    distances = _distances(weights, features_x, features_y)
    return sum(jnp.mean(distance, axis=(1, 2)) for distance in distances)


def lpips_map(weights: Weights, x: jax.Array, y: jax.Array, layers: int | None = None) -> jax.Array:
    """LPIPS at every pixel: float32 [B,H,W], for weighing with a mask.

    Each stage's distances are enlarged bilinearly with half-pixel centres, as by the authors'
    `spatial=True`. The mean over the pixels is near `lpips` but not equal to it. A position of
    a late stage sees much of the image, so a region's value also depends on its surroundings.

    Args: as `lpips`.
    """
    features_x, features_y = _features_of_pair(weights, x, y, layers)
    distances = _distances(weights, features_x, features_y)
    return sum(jax.image.resize(d, x.shape[:3], "bilinear", antialias=False) for d in distances)


def measure_lpips(weights: Weights, reference: np.ndarray, decoded: np.ndarray) -> float:
    """LPIPS of two 8-bit images of any size from 32x32.

    Compiled once for every image size (seconds), because padding to common sizes would change
    the value.

    Args:
        reference: uint8 [h,w,3].
        decoded: uint8, the same shape.
    """
    x, y = pair_of_images("LPIPS", reference, decoded)
    return float(_jitted_lpips(weights, x, y)[0])


_jitted_lpips = jax.jit(lpips, static_argnames="layers")


def pair_of_images(
    metric: str, reference: np.ndarray, decoded: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two 8-bit images as the metrics of features take them: float32 [1,h,w,3] in [-1,1].

    Args:
        metric: Named in the message when an image is refused.
        reference: uint8 [h,w,3].
        decoded: uint8 [h,w,3].
    """
    images = [np.asarray(reference), np.asarray(decoded)]
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3:
            raise RdcError(f"{metric} needs uint8 [h,w,3], not {image.dtype} {image.shape}")
    x, y = (image[None].astype(np.float32) / PIXEL_RANGE - 1.0 for image in images)
    return x, y


def check_images(metric: str, *images: Any) -> None:
    """Raises RdcError unless all are float [B,H,W,3] of one shape, with 32 pixels a side or more.

    Args:
        metric: Named in the message.
    """
    for x in images:
        if x.shape != images[0].shape:
            raise RdcError(f"images differ in shape: {images[0].shape} and {x.shape}")
    for x in images:
        if not jnp.issubdtype(x.dtype, jnp.floating) or x.ndim != 4 or x.shape[-1] != 3:
            raise RdcError(f"{metric} needs float [B,H,W,3] in [-1,1], not {x.dtype} {x.shape}")
        if min(x.shape[1:3]) < SMALLEST_SIDE:
            size = f"{x.shape[1]}x{x.shape[2]}"
            raise RdcError(
                f"{metric} needs {SMALLEST_SIDE} pixels or more on each side, not {size}"
            )


def _check_layers(layers: int | None) -> int:
    layers = STAGES if layers is None else layers
    if layers not in range(1, STAGES + 1):
        raise RdcError(f"LPIPS has 1 to {STAGES} layers, not {layers}")
    return layers


def _backbone(weights: Weights) -> Backbone:
    side = weights["conv"][0][0].shape[0]
    if side not in BACKBONE_OF_KERNEL:
        raise RdcError(f"no LPIPS network starts with a {side}x{side} convolution")
    return BACKBONE_OF_KERNEL[side]


def _features_of_pair(
    weights: Weights, x: jax.Array, y: jax.Array, layers: int | None
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Features of both, one network pass each: a gradient in x alone then costs one pass back."""
    check_images("LPIPS", x, y)
    return lpips_features(weights, x, layers), lpips_features(weights, y, layers)


def _convolve(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, stride: int, padding: int
) -> jax.Array:
    """Convolution and ReLU of [B,h,w,in]."""
    x = jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=PRECISION,
    )
    return jax.nn.relu(x + bias.reshape(1, 1, 1, -1))


def _max_pool(x: jax.Array, window: int) -> jax.Array:
    """Maximum over windows of stride 2 that lie inside [B,h,w,c]."""
    return jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, window, window, 1), (1, 2, 2, 1), "VALID"
    )


def _unit(x: jax.Array) -> jax.Array:
    """Each vector over its length; a vector of zeros stays, with a finite gradient."""
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    positive = square > 0.0
    length = jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
    return x / (length + EPSILON)


def _distances(
    weights: Weights, features_x: list[jax.Array], features_y: list[jax.Array]
) -> list[jax.Array]:
    """Weighted squared differences of each stage: float32 [B,h,w]."""
    heads = weights["heads"][: len(features_x)]
    return [
        jnp.sum(head.reshape(1, 1, 1, -1) * (a - b) ** 2, axis=-1)
        for head, a, b in zip(heads, features_x, features_y, strict=True)
    ]
