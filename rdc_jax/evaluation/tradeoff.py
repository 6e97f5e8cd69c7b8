"""The distortion-perception trade-off of one file: images and metrics along tau."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rdc_jax.evaluation.metrics.distortion import psnr


class Point(NamedTuple):
    """A decode at tau: its PSNR in dB, its perceptual distance, and the image uint8 [H,W,3]."""

    tau: float
    psnr: float
    distance: float
    image: np.ndarray


def sweep(
    decode: Callable[[float], np.ndarray],
    original: np.ndarray,
    taus: Sequence[float],
    distance: Callable[[np.ndarray, np.ndarray], float],
) -> list[Point]:
    """Decodes one file at each tau.

    Args:
        decode: Tau -> uint8 [H,W,3].
        original: uint8 [H,W,3].
        taus: The values of tau.
        distance: (original, decoded) -> perceptual distance.
    """
    points = []
    for tau in taus:
        image = decode(tau)
        figures = psnr(original, image), distance(original, image)
        points.append(Point(float(tau), *figures, image))
    return points


def is_monotone(points: Sequence[Point]) -> bool:
    """Whether neither PSNR nor distance increases with tau."""
    ordered = sorted(points, key=lambda point: point.tau)
    pairs = itertools.pairwise(ordered)
    return all(b.psnr <= a.psnr and b.distance <= a.distance for a, b in pairs)


def busiest_window(original: np.ndarray, size: int) -> tuple[slice, slice]:
    """The square of at most `size` pixels with the highest median detail, for close-ups."""
    height, width = original.shape[:2]
    side = min(size, height, width)
    grey = original.astype(np.float32).mean(-1)
    detail = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    stride = max(1, side // 4)
    corners = [
        (top, left)
        for top in range(0, height - side + 1, stride)
        for left in range(0, width - side + 1, stride)
    ]

    def strength(corner):
        top, left = corner
        inside = detail[top : top + side - 1, left : left + side - 1]
        return float(np.median(inside)) if inside.size else 0.0

    top, left = max(corners, key=strength)
    return slice(top, top + side), slice(left, left + side)
