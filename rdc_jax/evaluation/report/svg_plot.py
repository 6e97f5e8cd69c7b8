"""One rate-quality plot as SVG, for a page that has the styles and the script it refers to."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rdc_jax.evaluation.metrics.metric_names import better, figure_text, setting_text, text, title
from rdc_jax.evaluation.report.curves_plot import COLOURS, points_of, rate_ticks

SVG_MARKERS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", "M-3.5-3.5h7v7h-7z", "M0-4.6L4.4 3.4h-8.8z",
    "M0-5L5 0L0 5L-5 0z",
)  # fmt: skip
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 280, 50, 14, 10, 42  # of an SVG, its own units


def svg_figure(curves: Sequence[dict], metric: str) -> str:
    """One metric over bits per pixel: SVG with a legend below; empty when no value is finite."""
    points = [points_of(curve, metric) for curve in curves]
    rates = [rate for line in points for rate, _, _ in line]
    values = [value for line in points for _, value, _ in line]
    if not rates:
        return ""
    left, right = min(rates) / 1.08, max(rates) * 1.08
    margin = 0.05 * (max(values) - min(values)) or abs(values[0]) * 0.01 or 1.0
    low, high = min(values) - margin, max(values) + margin

    def x(rate):
        share = math.log(rate / left) / math.log(right / left)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)

    def y(value):
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low), 1)

    parts = []
    for tick in _ticks(low, high):
        at = y(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {at}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:g}" text-anchor="end">{tick:.6g}</text>')
    for tick in rate_ticks(left, right):
        at, bottom = x(tick), HEIGHT - BOTTOM
        parts.append(f'<path class="grid" d="M{at} {TOP}V{bottom}"/>')
        label = f"{tick:.4g}".removeprefix("0") if tick < 1 else f"{tick:.4g}"
        parts.append(f'<text x="{at}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle:g}" y="{HEIGHT - 7}" text-anchor="middle">'
        "bits per pixel, log scale</text>"
    )
    legend = []
    for n, (curve, line) in enumerate(zip(curves, points, strict=True)):
        if not line:
            continue
        name, places = text(curve["name"]), [(x(rate), y(value)) for rate, value, _ in line]
        path = "M" + "L".join(f"{a} {b}" for a, b in places)
        series = f"c{n % len(COLOURS)} d{n // len(COLOURS) % 4}"
        parts.append(f'<g class="{series}"><path class="line" d="{path}"/>')
        settings = curve["results"].get("setting") or []
        for (a, b), (rate, value, index) in zip(places, line, strict=True):
            tip = f"{name}: {figure_text(metric, value)} at {rate:.4g} bpp"
            if index < len(settings):
                tip += f", setting {text(setting_text(settings[index]))}"
            parts.append(_marker(n, a, b, f' class="dot" data-tip="{tip}" data-x="{a}"'))
        parts.append("</g>")
        key = f'<path class="line" d="M0 7H26"/>{_marker(n, 13, 7, "")}'
        legend.append(
            f'<li class="{series}"><svg viewBox="0 0 26 14" width="26" height="14" '
            f'aria-hidden="true">{key}</svg>{name}</li>'
        )
    heading, note = text(title(metric)), better(metric)
    return (
        f'<figure class="plot"><figcaption>{heading}<small>{note}</small></figcaption>'
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" tabindex="0" '
        f'aria-label="{heading} over bits per pixel. Arrow keys read the points aloud.">'
        f'{"".join(parts)}</svg><ul class="legend">{"".join(legend)}</ul></figure>'
    )


def _marker(n: int, x: float, y: float, attributes: str) -> str:
    """A small shape, another one for each of four neighbours in the legend."""
    shape = SVG_MARKERS[n % len(SVG_MARKERS)]
    return f'<path d="{shape}" transform="translate({x:g} {y:g})"{attributes}/>'


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers inside an interval."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw)
    count = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [n * step for n in count]
