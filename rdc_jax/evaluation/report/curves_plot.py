"""Rate-quality curves as figures for papers, drawn by matplotlib."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.report.curves import COLOURS, Plot, metrics_of, plot_of, rate_ticks

FORMATS = ("png", "svg", "pdf")
DASHES = ((), (6, 3), (2, 2), (8, 3, 2, 3))
MARKERS = ("o", "s", "^", "D")


def draw_curves(
    curves: Sequence[dict[str, Any]], metrics: Sequence[str] | None, file_format: str
) -> bytes:
    """One plot a metric over bits per pixel on a log2 axis, with one legend for all.

    Args:
        curves: As `curves.read_curves` returns them.
        metrics: Names such as "psnr-rgb", each in at least one curve; None for all.
        file_format: 'png' (200 dots per inch), 'svg' or 'pdf' (text stays text).

    Returns:
        The file. The same curves give the same bytes.

    Raises:
        RdcError: Unknown format or metric, nothing to draw, or matplotlib is not installed.
    """
    check_format(file_format)
    known = metrics_of(curves)
    plots = []
    for metric in known if metrics is None else metrics:
        plots.append(plot_of(curves, metric))
        if not plots[-1].lines:
            if metric in known:
                raise RdcError(f"no curve has a finite value of '{metric}' at a finite rate")
            raise RdcError(f"no curve has '{metric}'; there are {', '.join(known) or 'no metrics'}")
    if not plots:
        raise RdcError("there is nothing to draw: no curve has a metric")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = min(3, len(plots))
    rows = -(-len(plots) // columns)
    legend_rows = -(-len(curves) // columns)
    encoded = io.BytesIO()
    settings = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "rdc", "font.size": 9}
    with rc_context(settings):
        size = (3.5 * columns, 2.8 * rows + 0.22 * legend_rows)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, plot in zip(grid, plots, strict=False):
            _draw(axes, plot)
        for axes in grid[len(plots) :]:
            axes.set_axis_off()
        lines = {line.get_label(): line for axes in grid for line in axes.get_lines()}
        figure.legend(
            lines.values(), lines.keys(), loc="outside lower center", ncols=columns, frameon=False
        )
        undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(file_format)
        figure.savefig(encoded, format=file_format, dpi=200, metadata=undated)
    return encoded.getvalue()


def format_of(file: Path) -> str:
    """The format of a figure, by the ending of its name. Raises RdcError for any other ending."""
    if (ending := file.suffix.lower().removeprefix(".")) in FORMATS:
        return ending
    endings = " ".join(f".{name}" for name in FORMATS)
    raise RdcError(f"cannot draw '{file}'; end its name in one of {endings}")


def check_format(file_format: str) -> None:
    """Raises RdcError for an unknown format of figures, or if matplotlib is not installed."""
    if file_format not in FORMATS:
        raise RdcError(f"cannot draw '{file_format}'; choose from {', '.join(FORMATS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise RdcError("plots need matplotlib: pip install matplotlib")


def _draw(axes: Any, plot: Plot) -> None:
    """One plot on matplotlib axes."""
    from matplotlib.ticker import NullLocator

    for line in plot.lines:
        axes.plot(
            [point.rate for point in line.points], [point.value for point in line.points],
            color=COLOURS[line.colour], marker=MARKERS[line.marker], markersize=3.5,
            dashes=DASHES[line.dashes], linewidth=1.3, label=plain(line.name),
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    ticks = rate_ticks(*axes.get_xlim())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("bits per pixel")
    axes.set_title(plain(f"{plot.title}\n{plot.better}".strip()), fontsize=9)
    axes.grid(alpha=0.3)


def plain(text: str) -> str:
    """Text that matplotlib neither typesets as a formula nor hides for a leading underscore."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
