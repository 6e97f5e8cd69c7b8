"""Rate-quality curves: the files that hold them, figures for papers, and SVG for a web page.

A curve is CompressAI's schema, one entry of "curves" in our results:

    {"name": label, "description": text, "results": {"bpp": [...], "psnr-rgb": [...], ...}}

with lists of equal length, one value a setting.
"""

from __future__ import annotations

import html
import importlib.util
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rdc_jax.errors import RdcError

FORMATS = ("png", "svg", "pdf")
NOT_METRICS = (
    "bpp", "bytes", "map_bytes", "setting", "settings", "quality", "q", "encoding_time",
    "decoding_time",
)  # fmt: skip
LOWER_IS_BETTER = ("lpips", "dists", "butteraugli", "fd-", "kid-")
HIGHER_IS_BETTER = ("psnr", "ms-ssim", "ssimulacra2", "vmaf")
TITLES = {
    "psnr-rgb": "PSNR (RGB), dB", "psnr": "PSNR, dB", "ms-ssim-rgb": "MS-SSIM (RGB)",
    "ms-ssim": "MS-SSIM", "lpips-alex": "LPIPS (AlexNet)", "lpips-vgg": "LPIPS (VGG)",
    "dists": "DISTS", "ssimulacra2": "SSIMULACRA 2", "butteraugli": "Butteraugli", "vmaf": "VMAF",
}  # fmt: skip
REGIONS = {"roi": "inside the region", "background": "outside the region"}
COLOURS = ("#1f5fa8", "#c8501e", "#1e8c5a", "#8a3fa0", "#a87800", "#c02860", "#2a8fa8", "#555555")
DASHES = ((), (6, 3), (2, 2), (8, 3, 2, 3))
MARKERS = ("o", "s", "^", "D")
SVG_MARKERS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", "M-3.5-3.5h7v7h-7z", "M0-4.6L4.4 3.4h-8.8z",
    "M0-5L5 0L0 5L-5 0z",
)  # fmt: skip
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 280, 50, 14, 10, 42  # of an SVG, its own units
MISSING = "–"


def direction(metric: str) -> int:
    """1 where more is better, -1 where less is, 0 for a metric nobody here knows."""
    name = metric.rpartition("/")[2]
    return name.startswith(HIGHER_IS_BETTER) - name.startswith(LOWER_IS_BETTER)


def title(metric: str) -> str:
    """A metric's name for readers: "roi/psnr-rgb" is "PSNR (RGB), dB, inside the region"."""
    region, _, name = metric.rpartition("/")
    words = [TITLES.get(name, name), *([REGIONS.get(region, region)] if region else [])]
    return ", ".join(words)


def better(metric: str) -> str:
    """Which way is better, in words; empty for an unknown metric."""
    return {1: "higher is better", -1: "lower is better", 0: ""}[direction(metric)]


def number(value: Any) -> float | None:
    """A finite number as float; None for all else that JSON may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond the range of floats
        return None


def text(value: Any) -> str:
    """Any value as text that is safe in HTML, in attributes too, and can be stored as UTF-8."""
    return html.escape(str(value).encode("utf-8", "replace").decode("utf-8"))


def figure_text(metric: str, value: Any) -> str:
    """A metric's value with the digits that mean something."""
    value = number(value)
    if value is None:
        return MISSING
    name = metric.rpartition("/")[2]
    if name.startswith(("ms-ssim", "lpips", "dists", "bpp")):
        return f"{value:.4f}"
    return f"{value:.2f}" if name.startswith(("psnr", "ssimulacra2", "vmaf")) else f"{value:.4g}"


def setting_text(value: Any) -> str:
    """A codec's setting: 40.0 is "40"; what is no number stands as it is."""
    value = MISSING if value is None else value
    return f"{value:g}" if isinstance(value, int | float) else str(value)


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

    Returns [{"name", "description", "results": {"bpp": [...], metric: [...]}}]; a file without a
    name is called by its file name. Values stay as they are, so null and infinity may be there.

    Raises:
      RdcError: no such file, no JSON, or no curve in it; or lists of different lengths.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RdcError(f"cannot read '{path}': {error.strerror}") from None
    except (ValueError, RecursionError):
        raise RdcError(f"'{path}' is not JSON; name a results file of rdc or CompressAI") from None
    entries = content.get("curves", [content]) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise RdcError(f"'{path}' holds no curves; name a results file of rdc or CompressAI")
    return [_curve(entry, path) for entry in entries]


def draw_curves(
    curves: Sequence[dict[str, Any]], metrics: Sequence[str] | None, file_format: str
) -> bytes:
    """One plot a metric (None: all) over bits per pixel on a log2 axis, one legend for all.

    Args:
      curves: as `read_curves` gives them.
      metrics: names such as "psnr-rgb"; every one must be in some curve.
      file_format: 'png' (200 dots per inch), 'svg' or 'pdf' (text stays text). The same curves
        give the same bytes.

    Raises:
      RdcError: unknown format or metric, nothing to draw, or matplotlib is not installed.
    """
    if file_format not in FORMATS:
        raise RdcError(f"cannot draw '{file_format}'; choose from {', '.join(FORMATS)}")
    known = metrics_of(curves)
    metrics = known if metrics is None else list(metrics)
    for metric in metrics:
        if not any(points_of(curve, metric) for curve in curves):
            raise RdcError(f"no curve has '{metric}'; there are {', '.join(known) or 'no metrics'}")
    if not metrics:
        raise RdcError("there is nothing to draw: no curve has a metric")
    if importlib.util.find_spec("matplotlib") is None:
        raise RdcError("plots need matplotlib: pip install 'rdc_jax[plot]'")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = min(3, len(metrics))
    rows = -(-len(metrics) // columns)
    legend_rows = -(-len(curves) // columns)
    encoded = io.BytesIO()
    settings = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "rdc", "font.size": 9}
    with rc_context(settings):
        size = (3.5 * columns, 2.8 * rows + 0.22 * legend_rows)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, metric in zip(grid, metrics, strict=False):
            _draw(axes, curves, metric)
        for axes in grid[len(metrics) :]:
            axes.set_axis_off()
        lines = {line.get_label(): line for axes in grid for line in axes.get_lines()}
        figure.legend(
            lines.values(), lines.keys(), loc="outside lower center", ncols=columns, frameon=False
        )
        undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(file_format)
        figure.savefig(encoded, format=file_format, dpi=200, metadata=undated)
    return encoded.getvalue()


def _draw(axes, curves: Sequence[dict[str, Any]], metric: str) -> None:
    """All curves of one metric on matplotlib axes."""
    from matplotlib.ticker import NullLocator

    for n, curve in enumerate(curves):
        points = points_of(curve, metric)
        if not points:
            continue
        axes.plot(
            [rate for rate, _, _ in points], [value for _, value, _ in points],
            color=COLOURS[n % len(COLOURS)], marker=MARKERS[n % len(MARKERS)], markersize=3.5,
            dashes=DASHES[n // len(COLOURS) % len(DASHES)], linewidth=1.3,
            label=_plain(str(curve["name"])),
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    ticks = rate_ticks(*axes.get_xlim())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("bits per pixel")
    axes.set_title(_plain(f"{title(metric)}\n{better(metric)}".strip()), fontsize=9)
    axes.grid(alpha=0.3)


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


def _plain(text: str) -> str:
    """Text that matplotlib neither sets as a formula nor hides for its first underscore."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


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
