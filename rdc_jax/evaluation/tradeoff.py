"""The distortion-perception trade-off of one file: pictures and figures along the knob tau."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rdc_jax.evaluation.metrics.distortion import psnr


class Point(NamedTuple):
    """A decoded picture uint8 [H,W,3] at tau, its PSNR (dB) and its perceptual distance."""

    tau: float
    psnr: float
    distance: float
    picture: np.ndarray


def sweep(
    decode: Callable[[float], np.ndarray],
    original: np.ndarray,
    taus: Sequence[float],
    distance: Callable[[np.ndarray, np.ndarray], float],
) -> list[Point]:
    """Decodes one file at each tau: decode(tau) -> uint8 [H,W,3]; distance(original, decoded)."""
    points = []
    for tau in taus:
        picture = decode(tau)
        figures = psnr(original, picture), distance(original, picture)
        points.append(Point(float(tau), *figures, picture))
    return points


def is_monotone(points: Sequence[Point]) -> bool:
    """Whether PSNR and distance both fall, or stay, as tau rises."""
    ordered = sorted(points, key=lambda point: point.tau)
    pairs = itertools.pairwise(ordered)
    return all(b.psnr <= a.psnr and b.distance <= a.distance for a, b in pairs)


def busiest_window(original: np.ndarray, size: int) -> tuple[slice, slice]:
    """The square of `size` pixels (or less) with the strongest median detail, for close-ups."""
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
