"""Finds the smallest file whose decoded image is good enough: decode, measure, try again.

    target = quality_target.parse("psnr=35")
    data, report, reached = quality_target.encode(codec, pixels, target, importance=mask)

`codec.decode(data)` makes the image that is measured, with the steps and tau that the file
suggests. A target size needs no decoding, see rate_control.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from rdc_jax.codec.codec import Codec, Report
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import metric_set

METRICS = {"psnr": "psnr-rgb", "ms-ssim": "ms-ssim-rgb", "lpips": "lpips-alex"}
LIMITS = {"psnr": 100.0, "ms-ssim": 1.0, "lpips": 1.0}
"""Targets below these values make sense: hardly any file reaches 100 dB, and any an LPIPS of 1."""

TOLERANCE = 0.1  # so many decibels above the target are close enough: 2.3 % of the error
USUAL_RANGE = 13.0  # decibels between quality 0 and 100, for the second try
DECODES = 8  # most tries, unless none of them has reached the target


class Target(NamedTuple):
    """An image quality to reach.

    Attributes:
        name: Key of METRICS.
        value: Smallest value that is good enough; for lpips, the largest.
        measure: The metric, of two images uint8 [H,W,3].
    """

    name: str
    value: float
    measure: Callable[[np.ndarray, np.ndarray], float]


def parse(text: str) -> Target:
    """Reads METRIC=VALUE. Raises RdcError if it is no target, or the metric is not installed."""
    name, _, number = text.lower().partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if name not in METRICS or not value > 0 or not math.isfinite(value):
        raise RdcError(
            f"'{text}' is no quality target; give psnr=35 (dB), ms-ssim=0.97 or lpips=0.1"
        )
    if value >= LIMITS[name]:
        raise RdcError(f"{name}={number} is no useful target; it must be below {LIMITS[name]:g}")
    metrics, missing = metric_set.choose([METRICS[name]])
    if missing:
        raise RdcError(f"{name} cannot be measured: {missing[METRICS[name]]}")
    return Target(name, value, metrics[METRICS[name]].whole)


def decibels(name: str, value: float) -> float:
    """A metric on a scale where more is better, and that is nearly linear in the quality."""
    if name == "psnr":
        return min(value, LIMITS[name])  # equal images have an infinite PSNR
    error = 1.0 - value if name == "ms-ssim" else value
    return -10.0 * math.log10(max(error, 1e-9))


def encode(
    codec: Codec,
    pixels: np.ndarray,
    target: Target,
    *,
    best_effort: bool = False,
    progress: bool = False,
    **options: Any,
) -> tuple[bytes, Report, float]:
    """Encodes an image at the lowest quality that reaches a target.

    The value reached is at most TOLERANCE better than the target, unless quality 0 is already
    better or DECODES tries were not enough.

    Args:
        codec: Encodes and decodes.
        pixels: uint8 [H,W,3] or [H,W].
        target: The image quality to reach.
        best_effort: If even quality 100 falls short, return its file.
        progress: Show the tries on a terminal.
        **options: Arguments of `Codec.encode`, except quality and target sizes.

    Returns:
        The file, its report, and the value of the metric.

    Raises:
        RdcError: Even quality 100 falls short, without best_effort.
    """
    wanted = decibels(target.name, target.value)
    steps = max(1, codec.timestep_range[1] - codec.timestep_range[0])
    colour = np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels
    reached: dict[int, float] = {}
    best: tuple[bytes, Report, float] | None = None
    last: tuple[bytes, Report, float] | None = None
    low, high = -1, steps + 1  # the largest known to fall short, the smallest to reach it
    with _bar(target, progress) as bar:
        while high - low > 1 and (len(reached) < DECODES or best is None):
            index = steps if len(reached) >= DECODES else _next(reached, wanted, low, high, steps)
            quality = 100.0 * index / steps
            data, report = codec.encode(
                pixels, quality=quality, return_report=True, progress=progress, **options
            )
            value = target.measure(colour, codec.decode(data, progress=progress))
            last = data, report, value
            reached[index] = decibels(target.name, value)
            _show(bar, target, value, quality)
            if reached[index] < wanted:
                low = index
                continue
            high, best = index, last
            if reached[index] <= wanted + TOLERANCE:
                break
    if best is not None:
        return best
    assert last is not None  # at least one quality was tried
    if not best_effort:
        raise RdcError(_out_of_reach(target, last[2]))
    return last


def _out_of_reach(target: Target, value: float) -> str:
    """What to say when quality 100 reaches only `value`."""
    easier = "larger" if target.name == "lpips" else "smaller"
    return (
        f"at quality 100 {target.name} is {value:.4g}, not yet {target.value:g}; "
        f"ask for a {easier} value"
    )


def _show(bar: tqdm, target: Target, value: float, quality: float) -> None:
    bar.set_postfix_str(f"{target.name} {value:.4g} at quality {quality:.4g}", refresh=False)
    bar.update()


def _bar(target: Target, shown: bool) -> tqdm:
    """Counts the tries; their number is not known in advance."""
    label = f"{target.name}={target.value:g}"
    return tqdm(desc=label, unit="try", leave=False, mininterval=0, disable=None if shown else True)


def _next(reached: dict[int, float], wanted: float, low: int, high: int, steps: int) -> int:
    """The index, strictly between low and high, that should just reach the target."""
    aim = wanted + TOLERANCE / 2
    if not reached:
        return steps // 2
    if low in reached and high in reached:
        if len(reached) % 4 == 3:
            return (low + high) // 2
        share = (aim - reached[low]) / max(reached[high] - reached[low], 1e-9)
        expected = low + share * (high - low)
    else:
        nearest = low if low in reached else high
        expected = nearest + (aim - reached[nearest]) * steps / USUAL_RANGE
    return min(max(round(expected), low + 1), high - 1)
