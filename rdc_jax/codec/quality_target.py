"""The smallest file whose picture is good enough: decodes, measures, and tries the next quality.

    target = quality_target.parse("psnr=35")
    data, report, reached = quality_target.encode(codec, pixels, target, importance=mask)

The picture that counts is the one `codec.decode(data)` makes, with the steps and the tau that the
file suggests. A size target needs no decoding: see rate_control.
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
TOLERANCE = 0.1  # decibels above the target that are near enough: 2.3 % of the error
USUAL_RANGE = 13.0  # decibels between quality 0 and 100: where to try second
DECODES = 8  # at most


class Target(NamedTuple):
    """A picture quality to reach: name is a key of METRICS, value its least (lpips: largest)."""

    name: str
    value: float
    measure: Callable[[np.ndarray, np.ndarray], float]


def parse(text: str) -> Target:
    """Reads METRIC=VALUE. Raises RdcError for what cannot be meant, or measured here."""
    name, _, number = text.lower().partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if name not in METRICS or not value > 0 or not math.isfinite(value):
        raise RdcError(
            f"'{text}' is no quality target; give psnr=35 (dB), ms-ssim=0.97 or lpips=0.1"
        )
    if name == "ms-ssim" and value >= 1:
        raise RdcError(f"ms-ssim={number} cannot be reached; it must be below 1")
    metrics, missing = metric_set.choose([METRICS[name]])
    if missing:
        raise RdcError(f"{name} cannot be measured: {missing[METRICS[name]]}")
    return Target(name, value, metrics[METRICS[name]].whole)


def decibels(name: str, value: float) -> float:
    """A metric on a scale that is nearly linear in the quality setting, more is better."""
    if name == "psnr":
        return min(value, 100.0)  # without any error it is infinite
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
    """The file of the lowest quality found to reach the target, its report, the metric's value.

    pixels: uint8 [H,W,3] or [H,W]. options: of `Codec.encode`, such as importance; a rate is not
    among them. progress: shows on a terminal what was tried. The value is as good as the target,
    and at most TOLERANCE better, unless quality 0 is better still or DECODES were not enough.
    Raises RdcError when not even quality 100 reaches it; with best_effort that file is returned.
    """
    wanted = decibels(target.name, target.value)
    steps = max(1, codec.timestep_range[1] - codec.timestep_range[0])
    colour = np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels
    reached: dict[int, float] = {}
    best = last = None
    low, high = -1, steps + 1  # of those known to fall short and to reach it

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
            bar.set_postfix_str(
                f"{target.name} {value:.4g} at quality {quality:.4g}", refresh=False
            )
            bar.update()
            if reached[index] < wanted:
                low = index
                continue
            high, best = index, last
            if reached[index] <= wanted + TOLERANCE:
                break
    if best is not None:
        return best
    if not best_effort:
        raise RdcError(
            f"at quality 100 {target.name} is {last[2]:.4g}, not yet {target.value:g}; ask for "
            "what can be reached"
        )
    return last


def _bar(target: Target, shown: bool) -> tqdm:
    """Of files tried; how many it will take is not known."""
    said = f"{target.name}={target.value:g}"
    return tqdm(desc=said, unit="try", leave=False, mininterval=0, disable=None if shown else True)


def _next(reached: dict[int, float], wanted: float, low: int, high: int, steps: int) -> int:
    """Where, strictly between low and high, the target is expected to be just reached."""
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
