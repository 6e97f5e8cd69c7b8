"""From the points of a benchmark run to curves and Bjontegaard differences.

A point is one file decoded in one way: {"image", "codec" (its curve), "setting", "bpp",
"encoding_time", "decoding_time", "map_bytes", "metrics": {name: value}}.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.metric_set import as_quality, higher_is_better
from rdc_jax.evaluation.rate_distortion import bd_metric, bd_rate, monotone_part

NO_BD = ("bpp", "setting", "encoding_time", "decoding_time", "map_bytes", "seam")


def summarise(results: dict[str, Any], anchors: Iterable[str], method: str, window) -> None:
    """Adds "bd" to results that have "curves": every anchor against every other curve and metric.

    Metrics that only curves have are compared once for all images.

    Args:
        results: The results of a benchmark run, changed in place.
        anchors: Names of curves; those that the results lack are ignored.
        method: Interpolation, as in `rate_distortion.bd_rate`.
        window: (low, high) bits per pixel for BD-rates, or None.
    """
    known = [curve["name"] for curve in results["curves"]]
    pairs = [(a, t) for a, t in itertools.product(anchors, known) if a in known and a != t]
    metrics = [k for k in results["curves"][0]["results"] if k not in NO_BD] if known else []
    by_name = {curve["name"]: curve["results"] for curve in results["curves"]}
    of_points = {metric for point in results["points"] for metric in point["metrics"]}
    results["bd"] = []
    for metric, (anchor, test) in itertools.product(metrics, pairs):
        entry = {"anchor": anchor, "test": test, "metric": metric, "method": method}
        if metric in of_points:
            found = compare(results["points"], anchor, test, metric, method, window)
        else:
            count = len(results["images"])
            found = compare_means(by_name[anchor], by_name[test], metric, method, window, count)
        results["bd"].append(entry | found)


def curves(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over images at each setting; only settings that every image of a curve has."""
    by_curve: dict[str, dict[float, list[dict]]] = {}
    for point in points:
        by_curve.setdefault(point["codec"], {}).setdefault(point["setting"], []).append(point)
    found = []
    for name, ladder in by_curve.items():
        most = max(len(group) for group in ladder.values())
        groups = {s: group for s, group in ladder.items() if len(group) == most}
        shared = set.intersection(*(set(p["metrics"]) for g in groups.values() for p in g))
        rows = []
        for setting, group in groups.items():
            row = {"bpp": _mean(p["bpp"] for p in group), "setting": setting}
            for key in [k for k in group[0]["metrics"] if k in shared]:
                row[key] = _mean(p["metrics"][key] for p in group)
            for key in ("encoding_time", "decoding_time", "map_bytes"):
                row[key] = _mean(p[key] for p in group)
            rows.append(row)
        rows.sort(key=lambda row: row["bpp"])
        found.append(
            {
                "name": name,
                "description": f"mean of {most} images, whole files",
                "results": {key: [row[key] for row in rows] for key in rows[0]},
            }
        )
    return found


def compare(
    points: Sequence[dict[str, Any]], anchor: str, test: str, metric: str, method: str, window
) -> dict[str, Any]:
    """Bjontegaard differences, means over the images whose curves overlap.

    Returns "value", the BD-rate in per cent; "low" and "high", its interval of quality; "gain",
    the BD-metric, the difference at equal rates in the metric's own unit; "images", how many
    overlap. All None where none does.
    """
    by_image: dict[str, dict[str, list[dict]]] = {}
    for point in points:
        if point["codec"] in (anchor, test) and metric in point["metrics"]:
            by_image.setdefault(point["image"], {}).setdefault(point["codec"], []).append(point)
    found = []
    for pair in by_image.values():
        if len(pair) < 2:
            continue
        both = [
            ([p["bpp"] for p in pair[name]], [p["metrics"][metric] for p in pair[name]])
            for name in (anchor, test)
        ]
        try:
            found.append(_differences(*both, metric, method, window))
        except RdcError:  # no overlap, or too few points
            continue
    return _entry(found, metric, len(found))


def compare_means(
    anchor: dict[str, list], test: dict[str, list], metric: str, method: str, window, count: int
) -> dict[str, Any]:
    """As `compare`, for curves instead of points.

    Args:
        anchor: The curve of the anchor: "bpp" and the metric.
        test: The other curve.
        metric: Name of the metric.
        method: Interpolation, as in `rate_distortion.bd_rate`.
        window: (low, high) bits per pixel for the BD-rate, or None.
        count: Number of images that the curves are means of.
    """
    try:
        both = [(results["bpp"], results[metric]) for results in (anchor, test)]
        return _entry([_differences(*both, metric, method, window)], metric, count)
    except (KeyError, RdcError):  # a curve without this metric, or no overlap
        return _entry([], metric, 0)


def _differences(anchor, test, metric: str, method: str, window) -> tuple[float, ...]:
    """(BD-rate, the ends of its interval, BD-metric), with qualities negated if lower is better."""
    both = [_rising(*curve, metric) for curve in (anchor, test)]
    gain = bd_metric(*both, method, window).value
    return (*bd_rate(*both, method, window), gain)


def _rising(rates: Sequence[float], values: Sequence[float], metric: str):
    pairs = zip(rates, as_quality(metric, values), strict=True)
    finite = [(rate, value) for rate, value in pairs if np.isfinite(value)]
    return monotone_part([rate for rate, _ in finite], [value for _, value in finite])


def _entry(found: Sequence[tuple[float, ...]], metric: str, images: int) -> dict[str, Any]:
    if not found:
        return {"value": None, "low": None, "high": None, "gain": None, "images": 0}
    value, low, high, gain = (_mean(column) for column in zip(*found, strict=True))
    if not higher_is_better(metric):
        low, high, gain = -high, -low, -gain
    return {"value": value, "low": low, "high": high, "gain": gain, "images": images}


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
