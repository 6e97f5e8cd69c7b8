"""The logs of training runs as one figure: gains at equal rate, held-out crops, losses.

Several runs share the panels. docs/training.md explains the names of the scalars.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rdc_jax.evaluation.metrics.metric_names import difference_unit, direction, short_title
from rdc_jax.evaluation.report import curves_plot
from rdc_jax.evaluation.report.curves import COLOURS
from rdc_jax.evaluation.report.training_log import NO_CURVES, Run

WIDTH, HEIGHT = 12.4, 1.6  # inches of the figure and of a row
TRAINING_COLUMNS = 5
SMOOTHED = 40  # points of a smoothed training curve
OUTLIERS = 2  # per cent of a training curve's points that may lie outside the panel at each end

VIEWS = {"": "tau 0", "_tau_0.5": "tau 0.5", "_tau_1": "tau 1", "_y_p": "auxiliary encoder"}
DASHES = {"": (4, 2), "_tau_0.5": (1, 1.5), "_tau_1": (), "_y_p": (6, 2, 1, 2)}
METRICS = (  # these come first, in this order
    *("bpp", "psnr", "lpips_alex", "lpips_vgg", "dists", "ssimulacra2", "colour"),
    "added_pattern",
)
BD_RATE, EQUAL_RATE = "bd_rate_", "equal_rate_"
FIRST, LAST = (
    ("loss",),
    (
        *("gradient_norm", "muon_learning_rate", "adam_learning_rate"),
        *("images_per_second", "input_wait", "goodput", "mfu"),
    ),
)


class Panel(NamedTuple):
    """One plot: its title, and its scalars by the suffix of their view."""

    title: str
    names: dict[str, str]


class Section(NamedTuple):
    """A part of the figure: rows of panels, with None for an empty place."""

    heading: str
    rows: list[list[Panel | None]]


def sections(runs: Sequence[Run]) -> list[Section]:
    """All panels; known metrics come first, others follow in the order of the log."""
    equal: dict[tuple[str, str], Panel] = {}
    held_out: dict[tuple[str, str], Panel] = {}
    training: dict[str, Panel] = {}
    for name in dict.fromkeys(name for run in runs for name in run.scalars):
        prefix = next((p for p in (BD_RATE, EQUAL_RATE) if name.startswith(p)), "")
        stem, at, timestep = name.partition("@")
        metric, view = _metric_and_view(stem.removeprefix(prefix))
        title, arrow = short_title(metric), _arrow(metric)
        if prefix == BD_RATE:
            panel = Panel(f"bits at equal {title}, % ↓", {})
            equal.setdefault((prefix, metric), panel).names[view] = name
        elif prefix:
            panel = Panel(f"{title} at equal rate, {difference_unit(metric)}{arrow}", {})
            equal.setdefault((prefix, metric), panel).names[view] = name
        elif at:
            panel = Panel(f"{title}{arrow}, timestep {timestep}", {})
            held_out.setdefault((metric, timestep), panel).names[view] = name
        elif name not in NO_CURVES:
            training[name] = Panel(name, {"": name})
    metrics = dict.fromkeys([*METRICS, *(m for _, m in equal), *(m for m, _ in held_out)])
    timesteps = sorted({t for _, t in held_out}, key=lambda t: (len(t), t))
    found = [
        Section(
            "At equal rate, against the reference", _grid(equal, (BD_RATE, EQUAL_RATE), metrics)
        ),
        Section("Held-out crops", _grid(held_out, metrics, timesteps)),
        Section("Training", _wrapped([training[name] for name in _in_order(training)])),
    ]
    return [section for section in found if section.rows]


def _metric_and_view(name: str) -> tuple[str, str]:
    view = next((view for view in VIEWS if view and name.endswith(view)), "")
    return name.removesuffix(view), view


def _arrow(metric: str) -> str:
    """An arrow for the better direction."""
    return {1: " ↑", -1: " ↓", 0: ""}[direction(metric)]


def _grid(panels: dict[tuple[str, str], Panel], rows, columns) -> list[list[Panel | None]]:
    """Panels by (row, column) without empty rows and columns."""
    rows = [row for row in rows if any(row == r for r, _ in panels)]
    columns = [column for column in columns if any(column == c for _, c in panels)]
    return [[panels.get((row, column)) for column in columns] for row in rows]


def _wrapped(panels: list[Panel]) -> list[list[Panel | None]]:
    starts = range(0, len(panels), TRAINING_COLUMNS)
    rows: list[list[Panel | None]] = [[*panels[n : n + TRAINING_COLUMNS]] for n in starts]
    for row in rows:
        row += [None] * (TRAINING_COLUMNS - len(row))
    return rows


def _in_order(names: dict[str, Panel]) -> list[str]:
    middle = [name for name in names if name not in FIRST + LAST]
    return [name for name in (*FIRST, *middle, *LAST) if name in names]


def draw(runs: Sequence[Run], file_format: str) -> bytes:
    """Draws all panels over the number of images seen, or over steps if a run did not log images.

    Args:
        runs: Of `training_log.read_runs`. One run has a colour per tau. Several runs have a colour
            each, with dashes for tau.
        file_format: 'png', 'svg' or 'pdf'.

    Returns:
        The file.

    Raises:
        RdcError: Unknown format, or matplotlib is not installed.
    """
    curves_plot.check_format(file_format)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    parts = sections(runs)
    heights = [len(part.rows) + 0.4 for part in parts]
    encoded = io.BytesIO()
    with rc_context({"pdf.fonttype": 42, "svg.fonttype": "none", "font.size": 7}):
        size = WIDTH, HEIGHT * sum(heights) + 0.6
        figure = Figure(figsize=size, layout="constrained")
        axis = _x_axis(runs)
        places = figure.subfigures(len(parts), 1, height_ratios=heights, squeeze=False).flatten()
        for place, part in zip(places, parts, strict=True):
            place.suptitle(f"{part.heading} (over {axis.label})", fontsize=10, fontweight="bold")
            grid = place.subplots(len(part.rows), len(part.rows[0]), squeeze=False)
            for axes, panel in zip(grid.flatten(), itertools.chain(*part.rows), strict=True):
                if panel is None:
                    axes.set_axis_off()
                else:
                    _draw_panel(axes, runs, panel, axis)
        _add_legend(figure, runs, parts)
        figure.savefig(encoded, format=file_format, dpi=120)
    return encoded.getvalue()


class _Axis(NamedTuple):
    """The horizontal axis: for each run the position of every step."""

    label: str
    positions: list[dict[int, float]]
    end: float


def _x_axis(runs: Sequence[Run]) -> _Axis:
    steps = [{step for series in run.scalars.values() for step in series} for run in runs]
    images = [run.scalars.get("images", {}) for run in runs]
    if all(s <= i.keys() for s, i in zip(steps, images, strict=True)):
        return _Axis("images seen", images, max(max(i.values()) for i in images))
    return _Axis("steps", [{s: s for s in own} for own in steps], max(max(own) for own in steps))


def _draw_panel(axes: Any, runs: Sequence[Run], panel: Panel, axis: _Axis) -> None:
    """The curves of one panel; long ones are pale, with a moving mean on top."""
    limits = []
    for n, run in enumerate(runs):
        for view, name in panel.names.items():
            series = run.scalars.get(name)
            if not series:
                continue
            steps = sorted(series)
            x = np.array([axis.positions[n][step] for step in steps])
            y = np.array([series[step] for step in steps])
            style = _style(n, view if len(panel.names) > 1 else None, len(runs))
            if "@" not in name and len(y) > 2 * SMOOTHED:
                axes.plot(x, y, color=style["color"], linewidth=0.6, alpha=0.25)
                limits.append(np.percentile(y, [OUTLIERS, 100 - OUTLIERS]))
                x, y = (_moving_mean(values, len(values) // SMOOTHED) for values in (x, y))
            marker = "." if len(y) <= 2 * SMOOTHED else None
            axes.plot(x, y, marker=marker, markersize=3, linewidth=1.2, **style)
    if limits:
        low, high = np.min(limits), np.max(limits)
        margin = 0.1 * (high - low) or 1e-3
        axes.set_ylim(low - margin, high + margin)
    _dress(axes, panel, axis)


def _dress(axes: Any, panel: Panel, axis: _Axis) -> None:
    """Title, ticks and grid."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    if any(name.startswith((BD_RATE, EQUAL_RATE)) for name in panel.names.values()):
        axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set_xlim(0, axis.end * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_title(panel.title, fontsize=7.5)
    axes.grid(alpha=0.3)


def _moving_mean(values: np.ndarray, width: int) -> np.ndarray:
    return np.convolve(values, np.full(width, 1 / width), "valid")


def _style(run: int, view: str | None, number_of_runs: int) -> dict[str, Any]:
    """view: None for a panel with a single view."""
    if number_of_runs == 1:
        return {"color": COLOURS[list(VIEWS).index(view)] if view is not None else "#333333"}
    dashes = DASHES[view] if view is not None else ()
    return {"color": COLOURS[run % len(COLOURS)], "dashes": dashes}


def _add_legend(figure: Any, runs: Sequence[Run], parts: Sequence[Section]) -> None:
    """The legend below all panels: colours, and dashes if there are several runs."""
    from matplotlib.lines import Line2D

    panels = [panel for part in parts for row in part.rows for panel in row if panel]
    several = [panel for panel in panels if len(panel.names) > 1]
    views = [view for view in VIEWS if any(view in panel.names for panel in several)]
    names = [curves_plot.plain(run.name) for run in runs]
    if len(runs) == 1:
        figure.suptitle(names[0], fontsize=11)
        lines = [Line2D([], [], label=VIEWS[view], **_style(0, view, 1)) for view in views]
    else:
        lines = [
            Line2D([], [], label=name, **_style(n, None, len(runs))) for n, name in enumerate(names)
        ]
        lines += [
            Line2D([], [], color="#555555", dashes=DASHES[view], label=VIEWS[view])
            for view in views
        ]
    if lines:
        figure.legend(handles=lines, loc="outside lower center", ncols=6, frameon=False, fontsize=8)
