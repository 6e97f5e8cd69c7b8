"""The pictures of the report: which images, which decoded versions, and their place in the page."""

from __future__ import annotations

import base64
import io
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import metric_names
from rdc_jax.evaluation.metrics.metric_names import figure_text, number, setting_text, text
from rdc_jax.evaluation.report.tables import byte_text

LoadPicture = Callable[[str], bytes | np.ndarray]
MAPS = {
    "map_picture": ("Importance map", "white = important"),
    "bits_picture": ("Bits", "brighter = more bits"),
}
FEW_PIXELS = 160  # a map narrower than this is enlarged, and its blocks stay sharp
WEBP_SIDE = 16383  # pixels, the largest that WebP holds
UNFIT_MARGIN = 0.1  # a rate further than this from the wanted one is pointed out


class Wanted(NamedTuple):
    """A picture to show: its caption, where it lies, its figures; a map has a note instead."""

    label: str
    path: str
    facts: dict[str, str]
    note: str = ""


class Embedded(NamedTuple):
    """A picture inside the page: its data URI and its size in pixels."""

    uri: str
    width: int
    height: int


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


def comparisons(
    results: dict[str, Any], load: LoadPicture, names: Sequence[str], bpp: float, limit: int
) -> str:
    """The named images, each codec at its rate nearest to `bpp`; a line on what is left out.

    limit: bytes of all pictures as they stand in the page.
    """
    images = {image["name"]: image for image in results.get("images") or []}
    all_points = results.get("points") or []
    spent, parts, absent, refused = 0, [], [], 0
    for name in names:
        points = _nearest([point for point in all_points if point["image"] == name], bpp)
        if not points:
            continue
        wanted = [Wanted("original", original_path(images[name]), {})]
        wanted += [Wanted(p["codec"], p["picture"], _point_facts(p, bpp)) for p in points]
        shown: list[tuple[Wanted, Embedded]] = []
        for entry in [*wanted, *_maps(points)]:
            try:
                picture = _embed(load(entry.path))
            except (RdcError, OSError, KeyError):
                absent.append(entry.path)
                continue
            if spent + len(picture.uri) > limit:
                refused += 1
                continue
            spent += len(picture.uri)
            shown.append((entry, picture))
        if sum(not entry.note for entry, _ in shown) >= 2:
            parts.append(_comparison(name, shown))
        else:
            spent -= sum(len(picture.uri) for _, picture in shown)
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


def _maps(points: Sequence[dict]) -> list[Wanted]:
    """The maps of the points, each path once: importance before bits.

    A map belongs to a file, which several codecs of one coder may have decoded; so it is named for
    the coder. An importance map that all share is named for nobody.
    """
    found: list[Wanted] = []
    for key, (kind, note) in MAPS.items():
        owners: dict[str, str] = {}
        for point in points:
            if point.get(key):
                owners.setdefault(point[key], str(point.get("coder") or point["codec"]))
        plain = key == "map_picture" and len(owners) == 1
        for path, owner in owners.items():
            found.append(Wanted(kind if plain else f"{kind}, {owner}", path, {}, note))
    return found


def _point_facts(point: dict, bpp: float) -> dict[str, str]:
    """Setting, bytes, bits per pixel and metrics; says so when the rate is far from the wanted."""
    ratio, note = point["bpp"] / bpp, ""
    if abs(ratio - 1) > UNFIT_MARGIN:
        way = "more" if ratio > 1 else "less"
        note = f" ({100 * abs(ratio - 1):.0f} % {way} than {bpp:g})"
    facts = {
        "setting": setting_text(point.get("setting")),
        "bytes": byte_text(point.get("bytes")),
        "bpp": f"{point['bpp']:.3f}{note}",
    }
    metrics = point.get("metrics") or {}
    return facts | {metric_names.title(m): figure_text(m, value) for m, value in metrics.items()}


def _comparison(name: str, shown: Sequence[tuple[Wanted, Embedded]]) -> str:
    """All pictures of an image with captions; the page's script lays two over each other."""
    pictures = "".join(_figure(name, *entry) for entry in shown if not entry[0].note)
    maps = "".join(_figure(name, *entry) for entry in shown if entry[0].note)
    below = f'<div class="maps">{maps}</div>' if maps else ""
    return (
        f'<section class="compare" data-name="{text(name)}"><h3>{text(name)}</h3>'
        f'<div class="pictures">{pictures}</div>{below}</section>'
    )


def _figure(name: str, wanted: Wanted, picture: Embedded) -> str:
    label = text(wanted.label)
    pairs = "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in wanted.facts.items())
    below = f"<dl>{pairs}</dl>" if pairs else ""
    if wanted.note:
        below = f"<small>{text(wanted.note)}</small>"
    kind = ' class="blocks"' if wanted.note and picture.width < FEW_PIXELS else ""
    return (
        f'<figure><img{kind} src="{picture.uri}" width="{picture.width}" '
        f'height="{picture.height}" alt="{text(name)}: {label}">'
        f"<figcaption><strong>{label}</strong>{below}</figcaption></figure>"
    )


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
