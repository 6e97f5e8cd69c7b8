"""Rate-quality curves: the files that hold them, and what a plot of one metric shows.

A curve has CompressAI's schema and is one entry of "curves" in our results:

    {"name": label, "description": text, "results": {"bpp": [...], "psnr-rgb": [...], ...}}

The lists have equal lengths, one value a setting. `plot_of` describes a plot once; `curves_plot`
draws it with matplotlib, and `svg_plot` as SVG for the report.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rdc_jax.errors import RdcError, reason
from rdc_jax.evaluation.metrics.metric_names import (
    NOT_METRICS,
    better,
    figure_text,
    number,
    setting_text,
    title,
)

COLOURS = ("#1f5fa8", "#c8501e", "#1e8c5a", "#8a3fa0", "#a87800", "#c02860", "#2a8fa8", "#555555")
DASHES = 4  # kinds of dashes: every eight curves take the next one
MARKERS = 4  # kinds of markers: neighbours in the legend differ


class Point(NamedTuple):
    """A point of a curve: bits per pixel, value, and text about both for people."""

    rate: float
    value: float
    text: str


class Line(NamedTuple):
    """A curve in a plot: its name, numbers of its style, and its points by rate."""

    name: str
    colour: int
    dashes: int
    marker: int
    points: list[Point]


class Plot(NamedTuple):
    """A plot of one metric over bits per pixel; `better` says which way is better."""

    title: str
    better: str
    lines: list[Line]


def plot_of(curves: Sequence[dict], metric: str) -> Plot:
    """The plot of a metric. Curves without a finite value are left out."""
    lines = []
    for n, curve in enumerate(curves):
        name, settings = str(curve["name"]), curve["results"].get("setting") or []
        points = []
        for rate, value, index in points_of(curve, metric):
            text = f"{name}: {figure_text(metric, value)} at {rate:.4g} bpp"
            if index < len(settings):
                text += f", setting {setting_text(settings[index])}"
            points.append(Point(rate, value, text))
        if points:
            styles = n % len(COLOURS), n // len(COLOURS) % DASHES, n % MARKERS
            lines.append(Line(name, *styles, points))
    return Plot(title(metric), better(metric), lines)


def metrics_of(curves: Iterable[dict]) -> list[str]:
    """Every metric of the curves, in the order of their first appearance."""
    found = {key: None for curve in curves for key in curve["results"] if key not in NOT_METRICS}
    return list(found)


def points_of(curve: dict, metric: str) -> list[tuple[float, float, int]]:
    """(bits per pixel, value, index in the lists), by rate; only finite numbers are kept."""
    results = curve["results"]
    pairs = zip(results["bpp"], results.get(metric, []), strict=False)
    numbers = [(number(rate), number(value), n) for n, (rate, value) in enumerate(pairs)]
    return sorted((r, v, n) for r, v, n in numbers if r is not None and v is not None and r > 0)


def rate_ticks(low: float, high: float) -> list[float]:
    """Ticks of a log2 axis from `low` to `high` bits per pixel: powers of two, or finer ones."""
    for steps in ((1.0,), (1.0, 1.5), (1.0, 1.25, 1.5, 1.75)):
        octaves = range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
        ticks = [2.0**octave * step for octave in octaves for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    return ticks[:: -(-len(ticks) // 8) or 1]


def read_curves(path: str | Path) -> list[dict[str, Any]]:
    """The curves of a results file: ours, or CompressAI's with or without a "results" level.

    Returns [{"name", "description", "results": {"bpp": [...], metric: [...]}}]. A curve without a
    name takes the file's name. Values stay as they are, so null and infinity are possible.

    Raises:
        RdcError: The file does not exist, is not JSON, contains no curve, or has lists of different
            lengths.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RdcError(f"cannot read '{path}': {reason(error)}") from None
    except (ValueError, RecursionError):
        raise RdcError(f"'{path}' is not JSON; name a results file of rdc or CompressAI") from None
    entries = content.get("curves", [content]) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise RdcError(f"'{path}' holds no curves; name a results file of rdc or CompressAI")
    return [_curve(entry, path) for entry in entries]


def _curve(entry: Any, path: str | Path) -> dict[str, Any]:
    """One entry, checked and in the full form."""
    results = entry.get("results", entry) if isinstance(entry, dict) else None
    if not isinstance(results, dict) or not isinstance(results.get("bpp"), list):
        raise RdcError(f"'{path}' has a curve without \"bpp\"; is it a results file?")
    lists = {str(key): value for key, value in results.items() if isinstance(value, list)}
    count = len(lists["bpp"])
    for key, values in lists.items():
        if len(values) != count:
            raise RdcError(f"'{path}' has {count} values of bpp but {len(values)} of {key}")
    if not any(rate is not None and rate > 0 for rate in map(number, lists["bpp"])):
        raise RdcError(f"'{path}' has a curve without points; \"bpp\" needs positive numbers")
    return {
        "name": str(entry.get("name") or Path(path).stem),
        "description": str(entry.get("description") or ""),
        "results": lists,
    }
