"""The results of `rdc eval` as one HTML file that needs nothing else: no network, no files.

    html = html_report.page(results, lambda path: (folder / path).read_bytes())

The frame, its style and its script are report_page.html beside this file. The page forbids itself
to load or run anything from elsewhere. Every text from the results is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import PurePosixPath
from string import Template
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.evaluation import curves_plot, metric_names, svg_plot
from rdc_jax.evaluation.metric_names import MISSING, figure_text, number, setting_text, text

LoadPicture = Callable[[str], bytes | np.ndarray]
MAPS = {"map_picture": "Importance map", "bits_picture": "Bits map"}
WEBP_SIDE = 16383  # pixels, the largest that WebP holds
UNFIT_MARGIN = 0.1  # a rate further than this from the wanted one is pointed out


class Embedded(NamedTuple):
    """A picture inside the page: its data URI and its size in pixels."""

    uri: str
    width: int
    height: int


def page(
    results: dict[str, Any],
    load_picture: LoadPicture,
    *,
    images: Sequence[str] | None = None,
    image_count: int = 4,
    bpp: float = 0.15,
    max_bytes: int = 12_000_000,
) -> str:
    """The whole page.

    Args:
      results: the content of results.json.
      load_picture: path as it stands in the results -> bytes of a picture file or uint8 [h,w,3].
        What it fails to give (RdcError, OSError, KeyError) is left out and named in the page. The
        path of an original is the "picture" of its image, else as `original_path` has it.
      images: names of the pictures to show; None: the `image_count` of most median detail.
      bpp: bits per pixel at which pictures are shown; each codec with its nearest point.
      max_bytes: limit of all pictures together, as they stand in the page; the rest is left out.

    Raises:
      RdcError: an image of that name is not in the results.
    """
    names = median_images(results, image_count) if images is None else list(images)
    known = {image["name"] for image in results.get("images", [])}
    for name in names:
        if name not in known:
            raise RdcError(f"no image '{name}' in the results; see their list of images")
    template = resources.files("rdc_jax.evaluation").joinpath("report_page.html")
    frame = template.read_text(encoding="utf-8")
    script = frame.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
    model = results.get("model") or {}
    return Template(frame).substitute(
        script_hash=digest,
        title=text(f"Rate and quality: {model.get('name') or 'codecs compared'}"),
        facts=_facts(results),
        skipped=_skipped(results.get("skipped") or []),
        bd=_bd(results.get("bd") or []),
        curves=_curves(results.get("curves") or []),
        means=_means(results),
        pictures=_pictures(results, load_picture, names, bpp, max_bytes),
        timings=_timings(results),
    )


def median_images(results: dict[str, Any], count: int) -> list[str]:
    """The `count` images whose detail is nearest to the median, in the order of the results.

    Detail is measured by what the codecs spend: the mean log rate of an image against that of
    all images at the same codec and setting.
    """
    names = [image["name"] for image in results.get("images", [])]
    groups: dict[tuple, dict[str, float]] = {}
    for point in results.get("points", []):
        rate = number(point.get("bpp"))
        if rate is not None and rate > 0:
            group = groups.setdefault((point["codec"], point.get("setting")), {})
            group[point["image"]] = math.log(rate)
    detail: dict[str, list[float]] = {name: [] for name in names}
    for group in groups.values():
        middle = statistics.fmean(group.values())
        for name in group.keys() & detail.keys():
            detail[name].append(group[name] - middle)
    ranked = sorted(names, key=lambda name: statistics.fmean(detail[name] or [0.0]))
    start = max(0, (len(ranked) - count) // 2)
    chosen = set(ranked[start : start + count])
    return [name for name in names if name in chosen]


def original_path(image: dict[str, Any]) -> str:
    """Where an original lies, relative to the folder of the results."""
    stem = PurePosixPath(str(image["name"])).stem
    return str(image.get("picture") or f"pictures/original/0/{stem}.png")


def _facts(results: dict[str, Any]) -> str:
    model = results.get("model") or {}
    images = results.get("images") or []
    names = ", ".join(f"{i['name']} ({i.get('width')} × {i.get('height')})" for i in images)
    listed = f"<details><summary>{len(images)}</summary><p>{text(names)}</p></details>"
    identity = " ".join(str(model[key]) for key in ("name", "id") if model.get(key))
    rows = [
        ("Model", text(identity or MISSING)),
        ("Date", text(results.get("date") or MISSING)),
        ("Images", listed if images else MISSING),
        ("Hardware", text(results.get("hardware") or MISSING)),
        ("Command", f"<code>{text(results.get('command') or MISSING)}</code>"),
    ]
    return "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in rows)


def _skipped(skipped: Sequence[dict]) -> str:
    if not skipped:
        return "<p>Nothing was skipped.</p>"
    lines = "".join(
        f"<li><strong>{text(s.get('what'))}</strong>: {text(s.get('reason'))}</li>" for s in skipped
    )
    return f"<ul>{lines}</ul>"


def _bd(differences: Sequence[dict]) -> str:
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
    value = number(entry and entry.get("value"))
    if entry is None or value is None:
        return MISSING if entry is None else ("no overlap", "", "quiet")
    sign = "+" if value > 0 else "−" if value < 0 else ""
    ends = [figure_text(entry["metric"], entry.get(key)) for key in ("low", "high")]
    below = f"{ends[0]} to {ends[1]}; {entry.get('images', MISSING)} img"
    return f"{sign}{abs(value):.1f} %", below, "good" if value < 0 else "bad"


def _curves(curves: Sequence[dict]) -> str:
    plots = [svg_plot.svg_figure(curves, metric) for metric in curves_plot.metrics_of(curves)]
    return "".join(plots) or "<p>No curves were measured.</p>"


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


def _means(results: dict[str, Any]) -> str:
    """The mean over images of every codec and setting."""
    groups: dict[tuple, list[dict]] = {}
    for point in _all_points(results):
        key = point["codec"], point.get("setting"), None if "image" in point else point["bpp"]
        groups.setdefault(key, []).append(point)
    points = [point for group in groups.values() for point in group]
    metrics = list(dict.fromkeys(m for p in points for m in p.get("metrics") or {}))
    order = list(dict.fromkeys(codec for codec, _, _ in groups))
    rows = []
    for (codec, setting, _), group in groups.items():
        rate, size = (_mean(p.get(key) for p in group) for key in ("bpp", "bytes"))
        means = [(m, _mean((p.get("metrics") or {}).get(m) for p in group)) for m in metrics]
        count = len(group) if "image" in group[0] else MISSING
        row = [codec, setting_text(setting), count, _bytes(size), figure_text("bpp", rate)]
        row += [figure_text(*mean) for mean in means]
        rows.append((order.index(codec), rate or 0.0, row))
    rows.sort(key=lambda row: row[:2])
    header = ["codec", "setting", "images", "bytes", "bpp", *map(metric_names.title, metrics)]
    return _table(header, [row for _, _, row in rows], "Mean over the images at each setting")


def _timings(results: dict[str, Any]) -> str:
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
            row.append(_seconds([t for t, _ in times if t is not None]))
            row.append(_seconds([t / area for t, area in times if t is not None and area]))
        rows.append(row)
    header = ["codec", "files", "encoding, s", "s/megapixel", "decoding, s", "s/megapixel"]
    return _table(header, rows, "Median time of a file")


def _pictures(
    results: dict[str, Any], load: LoadPicture, names: Sequence[str], bpp: float, limit: int
) -> str:
    """The comparisons, and a line on what had to be left out."""
    images = {image["name"]: image for image in results.get("images") or []}
    spent, parts, absent, refused = 0, [], [], 0
    for name in names:
        points = _nearest([p for p in results["points"] if p["image"] == name], bpp)
        wanted = [("original", original_path(images[name]), {})]
        wanted += [(p["codec"], p["picture"], _point_facts(p, bpp)) for p in points]
        maps: dict[str, str] = {}
        for point in points:
            for key, kind in MAPS.items():
                if point.get(key):
                    maps.setdefault(point[key], f"{kind}, {point['codec']}")
        shown: list[tuple] = []
        small: list[tuple] = []
        for label, path, facts in [*wanted, *((label, path, None) for path, label in maps.items())]:
            try:
                picture = _embed(load(path))
            except (RdcError, OSError, KeyError):
                absent.append(path)
                continue
            if spent + len(picture.uri) > limit:
                refused += 1
                continue
            spent += len(picture.uri)
            (small if facts is None else shown).append((label, picture, facts))
        if len(shown) >= 2:
            parts.append(_comparison(name, shown, small))
        else:
            spent -= sum(len(picture.uri) for _, picture, _ in [*shown, *small])
    intro = f"<p>Each codec at its setting nearest to {bpp:g} bits per pixel. "
    intro += "Drag the divider, or focus it and use the arrow keys.</p>"
    if refused:
        size = f"{limit / 1e6:.3g} MB"
        intro += f'<p class="note">{refused} pictures are left out to keep within {size}.</p>'
    if absent:
        listed = text(", ".join(sorted(set(absent))))
        intro += f'<p class="note">Pictures that could not be read: {listed}.</p>'
    return intro + ("".join(parts) or "<p>No pictures were kept.</p>")


def _nearest(points: Sequence[dict], bpp: float) -> list[dict]:
    """Of every codec the point with a picture whose rate is nearest in ratio."""
    found: dict[str, dict] = {}
    for point in points:
        rate = number(point.get("bpp"))
        if rate is None or rate <= 0 or not point.get("picture"):
            continue
        best = found.get(point["codec"])
        if best is None or abs(math.log(rate / bpp)) < abs(math.log(best["bpp"] / bpp)):
            found[point["codec"]] = point
    return list(found.values())


def _point_facts(point: dict, bpp: float) -> dict[str, str]:
    """Setting, bytes, bits per pixel and metrics; says so when the rate is far from the wanted."""
    ratio, note = point["bpp"] / bpp, ""
    if abs(ratio - 1) > UNFIT_MARGIN:
        way = "more" if ratio > 1 else "less"
        note = f" ({100 * abs(ratio - 1):.0f} % {way} than {bpp:g})"
    facts = {
        "setting": setting_text(point.get("setting")),
        "bytes": _bytes(point.get("bytes")),
        "bpp": f"{point['bpp']:.3f}{note}",
    }
    metrics = point.get("metrics") or {}
    return facts | {metric_names.title(m): figure_text(m, value) for m, value in metrics.items()}


def _comparison(name: str, shown: Sequence[tuple], maps: Sequence[tuple]) -> str:
    """All pictures of an image with captions; the page's script lays two over each other."""
    parts = [f'<section class="compare" data-name="{text(name)}"><h3>{text(name)}</h3>']
    for kind, entries in ("pictures", shown), ("maps", maps):
        parts.append(f'<div class="{kind}">')
        for label, picture, facts in entries:
            pairs = "".join(
                f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in (facts or {}).items()
            )
            below = f"<dl>{pairs}</dl>" if facts else ""
            parts.append(
                f'<figure><img src="{picture.uri}" width="{picture.width}" '
                f'height="{picture.height}" alt="{text(name)}: {text(label)}">'
                f"<figcaption><strong>{text(label)}</strong>{below}</figcaption></figure>"
            )
        parts.append("</div>")
    return "".join(parts) + "</section>"


def _embed(picture: bytes | np.ndarray) -> Embedded:
    """The smaller of PNG and WebP at quality 90, as a data URI."""
    if isinstance(picture, np.ndarray):
        opened = Image.fromarray(picture)
    else:
        with Image.open(io.BytesIO(picture)) as file:
            opened = file.convert("RGB")
    files = {}
    for name, options in (("webp", {"quality": 90}), ("png", {})):
        encoded = io.BytesIO()
        if name == "png" or max(opened.size) <= WEBP_SIDE:
            opened.save(encoded, name, **options)
            files[name] = encoded.getvalue()
    kind = min(files, key=lambda name: len(files[name]))
    data = base64.b64encode(files[kind]).decode()
    return Embedded(f"data:image/{kind};base64,{data}", *opened.size)


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


def _bytes(value: Any) -> str:
    size = number(value)
    return MISSING if size is None else f"{size:,.0f}"


def _seconds(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.3g}" if times else MISSING


def _megapixels(image: dict) -> float | None:
    sides = number(image.get("width")), number(image.get("height"))
    return sides[0] * sides[1] / 1e6 if None not in sides else None
