"""The places of lines, points and ticks in an SVG plot; `page/plot.html` draws them.

The report needs SVG of its own because its script shows the values of the points, which the arrow
keys read one by one, and because matplotlib is optional.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from rdc_jax.evaluation.report.curves import Plot, rate_ticks

MARKERS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", "M-3.5-3.5h7v7h-7z", "M0-4.6L4.4 3.4h-8.8z",
    "M0-5L5 0L0 5L-5 0z",
)  # fmt: skip
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 280, 50, 14, 10, 42  # in the SVG's own units


class Tick(NamedTuple):
    """A line of the grid and its label."""

    path: str
    label: str
    x: str
    y: str
    anchor: str


class Dot(NamedTuple):
    """A point and the text that is shown for it."""

    x: str
    y: str
    tip: str


class Line(NamedTuple):
    """A curve; `style` are CSS classes."""

    name: str
    style: str
    path: str
    marker: str
    dots: list[Dot]


class Chart(NamedTuple):
    """All parts of a plot, ready for the template."""

    title: str
    note: str
    ticks: list[Tick]
    lines: list[Line]
    width: int = WIDTH
    height: int = HEIGHT
    middle: str = f"{(LEFT + WIDTH - RIGHT) / 2:g}"


def chart(plot: Plot) -> Chart | None:
    """The SVG of a plot; None when it has no lines."""
    rates = [point.rate for line in plot.lines for point in line.points]
    values = [point.value for line in plot.lines for point in line.points]
    if not rates:
        return None
    left, right = min(rates) / 1.08, max(rates) * 1.08
    margin = 0.05 * (max(values) - min(values)) or abs(values[0]) * 0.01 or 1.0
    low, high = min(values) - margin, max(values) + margin

    def x(rate: float) -> float:
        share = math.log(rate / left) / math.log(right / left)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low), 1)

    ticks = [_value_tick(tick, y(tick)) for tick in _round_numbers(low, high)]
    ticks += [_rate_tick(tick, x(tick)) for tick in rate_ticks(left, right)]
    lines = []
    for line in plot.lines:
        places = [(x(point.rate), y(point.value)) for point in line.points]
        path = "M" + "L".join(f"{a} {b}" for a, b in places)
        dots = [
            Dot(f"{a:g}", f"{b:g}", point.text)
            for (a, b), point in zip(places, line.points, strict=True)
        ]
        style = f"c{line.colour} d{line.dashes}"
        lines.append(Line(line.name, style, path, MARKERS[line.marker], dots))
    return Chart(plot.title, plot.better, ticks, lines)


def _value_tick(value: float, y: float) -> Tick:
    path = f"M{LEFT} {y}H{WIDTH - RIGHT}"
    return Tick(path, f"{value:.6g}", str(LEFT - 6), f"{y + 4:g}", "end")


def _rate_tick(rate: float, x: float) -> Tick:
    bottom = HEIGHT - BOTTOM
    return Tick(f"M{x} {TOP}V{bottom}", f"{rate:.4g}", str(x), str(bottom + 16), "middle")


def _round_numbers(low: float, high: float) -> list[float]:
    """Four to eight round numbers inside an interval."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw)
    count = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [n * step for n in count]
