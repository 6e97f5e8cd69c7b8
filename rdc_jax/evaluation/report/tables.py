"""The tables of the report: BD-rates, means at every setting, timings."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rdc_jax.evaluation.metrics import metric_names
from rdc_jax.evaluation.metrics.metric_names import MISSING, figure_text, number, setting_text
from rdc_jax.evaluation.report import curves as rate_curves

OPEN_ROWS = 24  # with more rows of means than this, only the first codec's table is open
FIRST = "first "  # start of the name of a timing that includes compilation


class Cell(NamedTuple):
    """A cell of a table: text, small print below it, and a CSS class."""

    text: Any
    small: str = ""
    kind: str = ""


class Row(NamedTuple):
    """A row of a table: its header and the other cells."""

    name: str
    cells: list[Cell]


class Table(NamedTuple):
    """A table: caption, headers of the columns, rows."""

    caption: str
    header: list[str]
    rows: list[Row]


class CodecMeans(NamedTuple):
    """The means of one codec; `span` says how many settings there are, from which rate to which."""

    name: str
    span: str
    is_open: bool
    table: Table


def bd_tables(differences: Sequence[dict]) -> list[Table]:
    """One table per anchor and method, with tests down and metrics across."""
    groups: dict[tuple, list[dict]] = {}
    for entry in differences:
        groups.setdefault((entry["anchor"], entry["method"]), []).append(entry)
    tables = []
    for (anchor, method), entries in groups.items():
        metrics = list(dict.fromkeys(e["metric"] for e in entries))
        cells: dict[str, dict[str, dict]] = {}
        for entry in entries:
            cells.setdefault(entry["test"], {})[entry["metric"]] = entry
        rows = [Row(test, [_bd_cell(row.get(m)) for m in metrics]) for test, row in cells.items()]
        caption = f"Bits against {anchor} at equal quality ({method})"
        tables.append(Table(caption, ["codec", *map(metric_names.title, metrics)], rows))
    return tables


def _bd_cell(entry: dict | None) -> Cell:
    """A difference in per cent. That of one image has no colour because it proves little."""
    value = number(entry and entry.get("value"))
    if entry is None or value is None:
        return Cell(MISSING) if entry is None else Cell("no overlap", kind="quiet")
    sign = "+" if value > 0 else "−" if value < 0 else ""
    change = f"{sign}{abs(value):.1f} %"
    low, high = (figure_text(entry["metric"], entry.get(key)) for key in ("low", "high"))
    if number(entry.get("images")) == 1:
        return Cell(change, f"1 image only; {low} to {high}", "quiet")
    below = f"{low} to {high}; {entry.get('images', MISSING)} img"
    return Cell(change, below, "good" if value < 0 else "bad")


def means_tables(results: dict[str, Any]) -> list[CodecMeans]:
    """The mean over images at every setting, one table per codec that can be folded.

    Metrics that no point has, such as a distance between sets of images, are taken from the curve
    of that codec at that setting.
    """
    curves = results.get("curves") or []
    groups: dict[tuple, list[dict]] = {}
    for point in _all_points(results):
        key = point["codec"], point.get("setting"), None if "image" in point else point["bpp"]
        groups.setdefault(key, []).append(point)
    points = [point for group in groups.values() for point in group]
    metrics = list(dict.fromkeys(m for p in points for m in p.get("metrics") or {}))
    metrics += [m for m in rate_curves.metrics_of(curves) if m not in metrics]
    of_curves = _curve_figures(curves)
    codecs: dict[str, list[tuple[float, Row]]] = {}
    for (codec, setting, _), group in groups.items():
        rate, size = (_mean(p.get(key) for p in group) for key in ("bpp", "bytes"))
        count = len(group) if "image" in group[0] else MISSING
        cells = [count, byte_text(size), figure_text("bpp", rate)]
        for metric in metrics:
            values = [p["metrics"][metric] for p in group if metric in (p.get("metrics") or {})]
            value = _mean(values) if values else of_curves.get((codec, setting, metric))
            cells.append(figure_text(metric, value))
        row = Row(setting_text(setting), [Cell(cell) for cell in cells])
        codecs.setdefault(codec, []).append((rate or 0.0, row))
    header = ["setting", "images", "bytes", "bpp", *map(metric_names.title, metrics)]
    found = []
    for n, (codec, rows) in enumerate(codecs.items()):
        rows.sort(key=lambda row: row[0])
        is_open = n == 0 or len(groups) <= OPEN_ROWS
        low, high = (_three_digits(rows[end][0]) for end in (0, -1))
        span = f"{len(rows)} settings, {low} to {high} bpp"
        if len(rows) == 1:
            span = f"1 setting, {low} bpp"
        table = Table(f"Means of {codec}", header, [row for _, row in rows])
        found.append(CodecMeans(codec, span, is_open, table))
    return found


def _all_points(results: dict[str, Any]) -> list[dict]:
    """The points, and the values of curves without points (such as a peer's) as points.

    The latter have no image.
    """
    points = list(results.get("points") or [])
    own = {point["codec"] for point in points}
    for curve in results.get("curves") or []:
        lists = {k: v for k, v in curve["results"].items() if isinstance(v, list)}
        for n in range(len(lists["bpp"])) if curve["name"] not in own else ():
            row = {key: column[n] for key, column in lists.items() if n < len(column)}
            metrics = {k: v for k, v in row.items() if k not in metric_names.NOT_METRICS}
            points.append({**row, "codec": curve["name"], "metrics": metrics})
    return points


def _curve_figures(curves: Sequence[dict]) -> dict[tuple, Any]:
    """(codec, setting, metric) -> value of the curve."""
    found = {}
    for curve in curves:
        settings = curve["results"].get("setting") or []
        for metric in rate_curves.metrics_of([curve]):
            for setting, value in zip(settings, curve["results"][metric], strict=False):
                found[curve["name"], setting, metric] = value
    return found


def waits(timings: Any) -> Table | None:
    """The times a user waits: "first encode" and "encode" share a row.

    timings: Name -> seconds; None for anything else.
    """
    if not isinstance(timings, dict) or not timings:
        return None
    calls: dict[str, dict[bool, Any]] = {"load": {}, "encode": {}}  # these come first
    for name, seconds in timings.items():
        is_first = name == "load" or name.startswith(FIRST)
        calls.setdefault(name.removeprefix(FIRST) or name, {})[is_first] = number(seconds)
    rows = [
        Row(name, [Cell(_three_digits(call.get(is_first))) for is_first in (True, False)])
        for name, call in calls.items()
        if call
    ]
    return Table("What a user waits for", ["step", "first call, s", "later calls, s"], rows)


def file_times(results: dict[str, Any]) -> Table | None:
    """Median seconds per file and per megapixel of every codec, over all images and settings."""
    areas = {image["name"]: _megapixels(image) for image in results.get("images") or []}
    groups: dict[str, list[dict]] = {}
    for point in _all_points(results):
        groups.setdefault(point["codec"], []).append(point)
    rows = []
    for codec, group in groups.items():
        cells: list[Any] = [len(group)]
        for key in ("encoding_time", "decoding_time"):
            times = [(number(p.get(key)), areas.get(p.get("image"))) for p in group]
            cells.append(_median([t for t, _ in times if t is not None]))
            cells.append(_median([t / area for t, area in times if t is not None and area]))
        rows.append(Row(codec, [Cell(cell) for cell in cells]))
    header = ["codec", "files", "encoding, s", "s/megapixel", "decoding, s", "s/megapixel"]
    return Table("Median time of a file", header, rows) if rows else None


def byte_text(value: Any) -> str:
    """A number of bytes with thousands separators; a dash for anything but a number."""
    size = number(value)
    return MISSING if size is None else f"{size:,.0f}"


def _mean(values: Iterable[Any]) -> float | None:
    """The mean of the finite numbers among the values."""
    numbers = [value for value in map(number, values) if value is not None]
    return statistics.fmean(numbers) if numbers else None


def _median(times: Sequence[float]) -> str:
    return _three_digits(statistics.median(times) if times else None)


def _three_digits(value: float | None) -> str:
    """Three significant digits with zeros at the end: 1.00, 0.0110, 417; 12,345 in full."""
    if value is None:
        return MISSING
    return f"{value:#.3g}".rstrip(".") if abs(value) < 999.5 else f"{value:,.0f}"


def _megapixels(image: dict) -> float | None:
    sides = number(image.get("width")), number(image.get("height"))
    return sides[0] * sides[1] / 1e6 if None not in sides else None
