"""Bjontegaard differences between two rate-quality curves.

BD-rate is the mean difference of log-rate at equal quality, as a percentage. It is negative when
the test needs fewer bits. BD-metric is the mean difference of quality at equal log-rate. Source: G.
Bjontegaard, VCEG-M33 (2001), with a cubic through the points; JVET uses piecewise-cubic Hermite
interpolation (pchip), the default here. Tools disagree when the method or the interval differs, so
every result contains its interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import interpolate, optimize

from rdc_jax.errors import RdcError

METHODS = ("pchip", "cubic", "akima")
FEWEST_POINTS = {"pchip": 2, "cubic": 4, "akima": 4}

Curve = tuple[Sequence[float], Sequence[float]]
"""Rates (bits per pixel or any unit of rate, positive) and qualities (dB or another metric)."""


class Difference(NamedTuple):
    """A Bjontegaard difference and the interval of its mean.

    Attributes:
        value: Per cent for `bd_rate`, the metric's unit for `bd_metric`.
        low: Lower end of the interval: a quality for `bd_rate`, a rate for `bd_metric`.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def bd_rate(
    anchor: Curve,
    test: Curve,
    method: str = "pchip",
    rate_window: tuple[float, float] | None = None,
) -> Difference:
    """Mean rate difference of `test` against `anchor` at equal quality, in per cent.

    Args:
        anchor: Rates and qualities of the reference codec.
        test: Rates and qualities of the codec to judge.
        method: 'pchip', 'cubic' (least-squares cubic) or 'akima'.
        rate_window: Limits the interval to qualities at which *both* curves have a rate inside the
            window. A curve that ends inside the window ends the interval there.

    Raises:
        RdcError: The curves do not overlap, do not rise, have too few points, or have values that
            are no numbers, NaN, infinite or (of rates) not positive; or the window is empty.
    """
    anchor_rates, anchor_qualities = _rising(anchor, method, "anchor")
    test_rates, test_qualities = _rising(test, method, "test")
    log_anchor = _fit(anchor_qualities, np.log(anchor_rates), method)
    log_test = _fit(test_qualities, np.log(test_rates), method)
    low = max(anchor_qualities[0], test_qualities[0])
    high = min(anchor_qualities[-1], test_qualities[-1])
    if rate_window is not None:
        _check_window(rate_window)
        ends = [
            _qualities_in_window(log_anchor, anchor_qualities, rate_window),
            _qualities_in_window(log_test, test_qualities, rate_window),
        ]
        low, high = max(low, *(e[0] for e in ends)), min(high, *(e[1] for e in ends))
    if not low < high:
        raise RdcError(_apart("quality", low, high))
    mean = (_integral(log_test, low, high) - _integral(log_anchor, low, high)) / (high - low)
    return Difference(float(np.expm1(mean) * 100.0), float(low), float(high))


def bd_metric(
    anchor: Curve,
    test: Curve,
    method: str = "pchip",
    rate_window: tuple[float, float] | None = None,
) -> Difference:
    """Mean quality difference of `test` against `anchor` at equal log-rate, in quality units.

    Arguments and errors are those of `bd_rate`; here the window is an interval of rates.
    """
    anchor_rates, anchor_qualities = _rising(anchor, method, "anchor")
    test_rates, test_qualities = _rising(test, method, "test")
    low = max(anchor_rates[0], test_rates[0])
    high = min(anchor_rates[-1], test_rates[-1])
    if rate_window is not None:
        _check_window(rate_window)
        low, high = max(low, rate_window[0]), min(high, rate_window[1])
    if not low < high:
        raise RdcError(_apart("rate", low, high))
    ends = np.log(low), np.log(high)
    gain = _integral(_fit(np.log(test_rates), test_qualities, method), *ends)
    gain -= _integral(_fit(np.log(anchor_rates), anchor_qualities, method), *ends)
    return Difference(float(gain / (ends[1] - ends[0])), float(low), float(high))


def monotone_part(rates: Sequence[float], qualities: Sequence[float]) -> Curve:
    """The points that buy more quality with more bits, in order of rate.

    A point is dropped if another one costs no more and is at least as good. Real files of one image
    can have such points at the ends of a codec's quality scale. Points that are not finite, such as
    the infinite PSNR of a lossless file, are dropped as well.

    Raises:
        RdcError: The numbers of rates and qualities differ, or some are no numbers.
    """
    pairs = np.stack(_numbers((rates, qualities), "the"), axis=1)
    finite = pairs[np.isfinite(pairs).all(axis=1)].tolist()
    points = sorted(finite, key=lambda p: (p[0], -p[1]))
    kept: list[tuple[float, float]] = []
    for rate, quality in points:
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    return [rate for rate, _ in kept], [quality for _, quality in kept]


def _rising(curve: Curve, method: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A curve as two float64 arrays sorted by rate, checked."""
    if method not in METHODS:
        raise RdcError(f"unknown method '{method}'; choose from {', '.join(METHODS)}")
    rates, qualities = _numbers(curve, f"{name} curve:")
    if len(rates) < FEWEST_POINTS[method]:
        fewest = FEWEST_POINTS[method]
        raise RdcError(f"{name} curve: {method} needs {fewest} points or more, not {len(rates)}")
    if not (np.isfinite(rates).all() and np.isfinite(qualities).all() and (rates > 0).all()):
        raise RdcError(f"{name} curve: rates must be positive and all values finite")
    order = np.argsort(rates)
    rates, qualities = rates[order], qualities[order]
    if not ((np.diff(rates) > 0).all() and (np.diff(qualities) > 0).all()):
        raise RdcError(f"{name} curve: quality must rise with the rate (see monotone_part)")
    return rates, qualities


def _numbers(curve: Curve, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A curve as two float64 arrays of one length. Raises RdcError, beginning with `name`."""
    try:
        rates, qualities = (np.asarray(values, dtype=np.float64) for values in curve)
    except (TypeError, ValueError):
        raise RdcError(f"{name} rates and qualities must be two lists of numbers") from None
    if rates.shape != qualities.shape or rates.ndim != 1:
        raise RdcError(f"{name} numbers of rates and qualities differ")
    return rates, qualities


def _check_window(window: tuple[float, float]) -> None:
    """Raises RdcError unless a window of rates has a width."""
    if not (np.shape(window) == (2,) and 0 < window[0] < window[1]):
        raise RdcError(f"rate_window must be two increasing rates above 0, not {window}")


def _apart(what: str, low: float, high: float) -> str:
    """The message for curves without a common interval: one ends before the other begins."""
    return (
        f"the curves have no common {what}: one ends at {high:.4g}, the other begins at {low:.4g}"
    )


def _fit(x: np.ndarray, y: np.ndarray, method: str) -> Callable:
    if method == "cubic":
        return np.poly1d(np.polyfit(x, y, 3))
    if method == "akima":
        return interpolate.Akima1DInterpolator(x, y)
    return interpolate.PchipInterpolator(x, y)


def _integral(curve: Callable, low: float, high: float) -> float:
    if isinstance(curve, np.poly1d):
        primitive = np.polyint(curve)
        return float(primitive(high) - primitive(low))
    return float(curve.integrate(low, high))


def _qualities_in_window(
    log_rate: Callable, qualities: np.ndarray, window: tuple[float, float]
) -> tuple[float, float]:
    """The interval of quality at which a curve's rate lies inside the window."""
    first, last = qualities[0], qualities[-1]
    low, high = np.log(window)
    if log_rate(last) <= low or log_rate(first) >= high:
        raise RdcError(f"a curve has no rate inside {window[0]:g} to {window[1]:g}")
    if log_rate(first) < low:
        first = optimize.brentq(lambda q: log_rate(q) - low, first, last)
    if log_rate(last) > high:
        last = optimize.brentq(lambda q: log_rate(q) - high, first, last)
    return float(first), float(last)
