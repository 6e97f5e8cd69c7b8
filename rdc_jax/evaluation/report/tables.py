"""The tables of the report: BD-rates, means at every setting, timings."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from rdc_jax.evaluation.metrics import metric_names
from rdc_jax.evaluation.metrics.metric_names import MISSING, figure_text, number, setting_text, text
from rdc_jax.evaluation.report import curves_plot

OPEN_ROWS = 24  # means: with more rows than this only the first codec's are unfolded
FIRST = "first "  # begins the name of a timing that includes compilation


def bd_tables(differences: Sequence[dict]) -> str:
    """One table an anchor and method: tests down, metrics across."""
    tables: dict[tuple, list[dict]] = {}
    for entry in differences:
        tables.setdefault((entry["anchor"], entry["method"]), []).append(entry)
    parts = []
    for (anchor, method), entries in tables.items():
        metrics = list(dict.fromkeys(e["metric"] for e in entries))
        cells: dict[str, dict[str, dict]] = {}
        for entry in entries:
            cells.setdefault(entry["test"], {})[entry["metric"]] = entry
        rows = [[test, *(_bd_cell(row.get(m)) for m in metrics)] for test, row in cells.items()]
        caption = f"Bits against {anchor} at equal quality ({method})"
        parts.append(_table(["codec", *map(metric_names.title, metrics)], rows, caption))
    return "".join(parts) or "<p>No BD-rates were computed.</p>"


def _bd_cell(entry: dict | None) -> Any:
    """A difference in per cent; that of one picture gets no colour, for it proves little."""
    value = number(entry and entry.get("value"))
    if entry is None or value is None:
        return MISSING if entry is None else ("no overlap", "", "quiet")
    sign = "+" if value > 0 else "−" if value < 0 else ""
    change = f"{sign}{abs(value):.1f} %"
    low, high = (figure_text(entry["metric"], entry.get(key)) for key in ("low", "high"))
    if number(entry.get("images")) == 1:
        return change, f"1 picture only; {low} to {high}", "quiet"
    below = f"{low} to {high}; {entry.get('images', MISSING)} img"
    return change, below, "good" if value < 0 else "bad"


def means_tables(results: dict[str, Any]) -> str:
    """The mean over images of every setting, one table a codec to be folded and unfolded.

    What no point has, such as a distance between sets of images, is taken from the curve of that
    codec at that setting.
    """
    curves = results.get("curves") or []
    groups: dict[tuple, list[dict]] = {}
    for point in _all_points(results):
        key = point["codec"], point.get("setting"), None if "image" in point else point["bpp"]
        groups.setdefault(key, []).append(point)
    points = [point for group in groups.values() for point in group]
    metrics = list(dict.fromkeys(m for p in points for m in p.get("metrics") or {}))
    metrics += [m for m in curves_plot.metrics_of(curves) if m not in metrics]
    of_curves = _curve_figures(curves)
    codecs: dict[str, list[tuple[float, list]]] = {}
    for (codec, setting, _), group in groups.items():
        rate, size = (_mean(p.get(key) for p in group) for key in ("bpp", "bytes"))
        count = len(group) if "image" in group[0] else MISSING
        row = [setting_text(setting), count, byte_text(size), figure_text("bpp", rate)]
        for metric in metrics:
            values = [p["metrics"][metric] for p in group if metric in (p.get("metrics") or {})]
            value = _mean(values) if values else of_curves.get((codec, setting, metric))
            row.append(figure_text(metric, value))
        codecs.setdefault(codec, []).append((rate or 0.0, row))
    header = ["setting", "images", "bytes", "bpp", *map(metric_names.title, metrics)]
    parts = []
    for n, (codec, rows) in enumerate(codecs.items()):
        rows.sort(key=lambda row: row[0])
        unfolded = " open" if n == 0 or len(groups) <= OPEN_ROWS else ""
        low, high = (_three_digits(rows[end][0]) for end in (0, -1))
        span = f"{len(rows)} settings, {low} to {high} bpp"
        if len(rows) == 1:
            span = f"1 setting, {low} bpp"
        parts.append(
            f'<details class="codec"{unfolded}><summary>{text(codec)} <small>{span}</small>'
            f"</summary>{_table(header, [row for _, row in rows], f'Means of {codec}')}</details>"
        )
    return "".join(parts) or "<p>No settings were measured.</p>"


def _all_points(results: dict[str, Any]) -> list[dict]:
    """The points, and as points too the values of curves that came without any, such as a peer's.

    Those have no image.
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
        for metric in curves_plot.metrics_of([curve]):
            for setting, value in zip(settings, curve["results"][metric], strict=False):
                found[curve["name"], setting, metric] = value
    return found


def timing_tables(results: dict[str, Any]) -> str:
    """What a user waits for, where it was measured, and the times of the files."""
    return _waits(results.get("timings")) + _file_times(results)


def _waits(timings: Any) -> str:
    """First and later calls side by side: "first encode" and "encode" share a row.

    timings: name -> seconds; what is no such thing gives no table.
    """
    if not isinstance(timings, dict) or not timings:
        return ""
    calls: dict[str, dict[bool, Any]] = {"load": {}, "encode": {}}  # these come first
    for name, seconds in timings.items():
        is_first = name == "load" or name.startswith(FIRST)
        calls.setdefault(name.removeprefix(FIRST) or name, {})[is_first] = number(seconds)
    rows = [
        [name, *(_three_digits(call.get(is_first)) for is_first in (True, False))]
        for name, call in calls.items()
        if call
    ]
    header = ["step", "first call, s", "later calls, s"]
    note = "On one picture. A first call compiles for its size; later calls of that size do not."
    return _table(header, rows, "What a user waits for") + f'<p class="note">{note}</p>'


def _file_times(results: dict[str, Any]) -> str:
    """Median seconds a file and a megapixel, of every codec over all images and settings."""
    areas = {image["name"]: _megapixels(image) for image in results.get("images") or []}
    groups: dict[str, list[dict]] = {}
    for point in _all_points(results):
        groups.setdefault(point["codec"], []).append(point)
    rows = []
    for codec, group in groups.items():
        row: list[Any] = [codec, len(group)]
        for key in ("encoding_time", "decoding_time"):
            times = [(number(p.get(key)), areas.get(p.get("image"))) for p in group]
            row.append(_median([t for t, _ in times if t is not None]))
            row.append(_median([t / area for t, area in times if t is not None and area]))
        rows.append(row)
    header = ["codec", "files", "encoding, s", "s/megapixel", "decoding, s", "s/megapixel"]
    return _table(header, rows, "Median time of a file") if rows else "<p>No file was timed.</p>"


def byte_text(value: Any) -> str:
    """A number of bytes with its thousands apart; a dash for what is no number."""
    size = number(value)
    return MISSING if size is None else f"{size:,.0f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]], caption: str) -> str:
    """A table that scrolls inside itself. A cell is text, or (text, small print, CSS class)."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in header)
    lines = []
    for first, *rest in rows:
        line = f'<tr><th scope="row">{text(first)}</th>'
        for cell in rest:
            main, small, kind = cell if isinstance(cell, tuple) else (cell, "", "")
            small = f"<small>{text(small)}</small>" if small else ""
            line += f'<td class="{kind}">{text(main)}{small}</td>'
        lines.append(line + "</tr>")
    title = text(caption)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}"><table>'
        f"<caption>{title}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _mean(values: Iterable[Any]) -> float | None:
    """The mean of the finite numbers among the values."""
    numbers = [value for value in map(number, values) if value is not None]
    return statistics.fmean(numbers) if numbers else None


def _median(times: Sequence[float]) -> str:
    return _three_digits(statistics.median(times) if times else None)


def _three_digits(value: float | None) -> str:
    """Three digits that mean something, zeros at the end too: 1.00, 0.0110, 417; 12,345 in full."""
    if value is None:
        return MISSING
    return f"{value:#.3g}".rstrip(".") if abs(value) < 999.5 else f"{value:,.0f}"


def _megapixels(image: dict) -> float | None:
    sides = number(image.get("width")), number(image.get("height"))
    return sides[0] * sides[1] / 1e6 if None not in sides else None
