"""Rate-quality curves: the files that hold them, and figures for papers.

A curve is CompressAI's schema, one entry of "curves" in our results:

    {"name": label, "description": text, "results": {"bpp": [...], "psnr-rgb": [...], ...}}

with lists of equal length, one value a setting.
"""

from __future__ import annotations

import importlib.util
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.metric_names import NOT_METRICS, better, number, title

FORMATS = ("png", "svg", "pdf")
COLOURS = ("#1f5fa8", "#c8501e", "#1e8c5a", "#8a3fa0", "#a87800", "#c02860", "#2a8fa8", "#555555")
DASHES = ((), (6, 3), (2, 2), (8, 3, 2, 3))
MARKERS = ("o", "s", "^", "D")


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
    check_format(file_format)
    known = metrics_of(curves)
    metrics = known if metrics is None else list(metrics)
    for metric in metrics:
        if not any(points_of(curve, metric) for curve in curves):
            raise RdcError(f"no curve has '{metric}'; there are {', '.join(known) or 'no metrics'}")
    if not metrics:
        raise RdcError("there is nothing to draw: no curve has a metric")
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


def check_format(file_format: str) -> None:
    """Raises RdcError for an unknown format of figures, and where matplotlib is not installed."""
    if file_format not in FORMATS:
        raise RdcError(f"cannot draw '{file_format}'; choose from {', '.join(FORMATS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise RdcError("plots need matplotlib: pip install 'rdc_jax[plot]'")


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
            label=plain(str(curve["name"])),
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    ticks = rate_ticks(*axes.get_xlim())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("bits per pixel")
    axes.set_title(plain(f"{title(metric)}\n{better(metric)}".strip()), fontsize=9)
    axes.grid(alpha=0.3)


def plain(text: str) -> str:
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
