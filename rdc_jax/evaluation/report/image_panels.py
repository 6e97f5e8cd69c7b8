"""The images of the report: which originals, which decoded versions, which maps."""

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
from rdc_jax.evaluation.metrics.metric_names import figure_text, number, setting_text
from rdc_jax.evaluation.report.tables import byte_text

LoadImage = Callable[[str], bytes | np.ndarray]
MAPS = {
    "map_picture": ("Importance map", "white = important"),
    "bits_picture": ("Bits", "brighter = more bits"),
}
FEW_PIXELS = 160  # a map narrower than this is enlarged with sharp blocks
WEBP_SIDE = 16383  # pixels, the largest side that WebP allows
UNFIT_MARGIN = 0.1  # a rate further than this from the wanted one gets a remark


class Wanted(NamedTuple):
    """An image to show: its caption, its path, its figures; a map has a note instead."""

    label: str
    path: str
    facts: dict[str, str]
    note: str = ""


class Embedded(NamedTuple):
    """An image inside the page: its data URI and its size in pixels."""

    uri: str
    width: int
    height: int


class Panel(NamedTuple):
    """An image with its caption and its figures; a map has a note instead."""

    label: str
    image: Embedded
    facts: dict[str, str]
    note: str

    @property
    def is_coarse(self) -> bool:
        """Whether it is a map of few pixels, whose blocks stay sharp when it is enlarged."""
        return bool(self.note) and self.image.width < FEW_PIXELS


class Comparison(NamedTuple):
    """One original: its decoded versions, which the page's script overlays, and its maps."""

    name: str
    decoded: list[Panel]
    maps: list[Panel]


class Comparisons(NamedTuple):
    """All comparisons, and what is left out.

    Attributes:
        bpp: The wanted rate, as text.
        limit: The largest size of all images, as text.
        refused: Number of images left out to keep within the limit.
        absent: Paths of the images that could not be read.
        images: The comparisons.
    """

    bpp: str
    limit: str
    refused: int
    absent: list[str]
    images: list[Comparison]


def median_images(results: dict[str, Any], count: int) -> list[str]:
    """The `count` images whose detail is nearest to the median, in the order of the results.

    An image's detail is its mean log rate compared with that of all images at the same codec and
    setting.
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
    """The path of an original, relative to the folder of the results."""
    stem = PurePosixPath(str(image["name"])).stem
    return str(image.get("picture") or f"pictures/original/0/{stem}.png")


def comparisons(
    results: dict[str, Any], load: LoadImage, names: Sequence[str], bpp: float, limit: int
) -> Comparisons:
    """The named images, each codec at its rate nearest to `bpp`.

    Args:
        results: The content of results.json.
        load: Turns a path of the results into bytes or uint8 [h,w,3]; see `html_report.page`.
        names: Names of the originals.
        bpp: The rate in bits per pixel.
        limit: Largest number of bytes of all images as they stand in the page.
    """
    originals = {image["name"]: image for image in results.get("images") or []}
    all_points = results.get("points") or []
    found, absent, spent, refused = [], set(), 0, 0
    for name in names:
        points = _nearest([point for point in all_points if point["image"] == name], bpp)
        if not points:
            continue
        wanted = [Wanted("original", original_path(originals[name]), {})]
        wanted += [Wanted(p["codec"], p["picture"], _point_facts(p, bpp)) for p in points]
        panels, size = [], 0
        for entry in [*wanted, *_maps(points)]:
            try:
                image = _embed(load(entry.path))
            except (RdcError, OSError, KeyError):
                absent.add(entry.path)
                continue
            if spent + size + len(image.uri) > limit:
                refused += 1
                continue
            size += len(image.uri)
            panels.append(Panel(entry.label, image, entry.facts, entry.note))
        decoded = [panel for panel in panels if not panel.note]
        if len(decoded) >= 2:
            found.append(Comparison(name, decoded, [panel for panel in panels if panel.note]))
            spent += size
    return Comparisons(f"{bpp:g}", f"{limit / 1e6:.3g} MB", refused, sorted(absent), found)


def _nearest(points: Sequence[dict], bpp: float) -> list[dict]:
    """For every codec, the point with an image whose rate is nearest in ratio."""
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
    """The maps of the points, each path once, importance before bits.

    A map belongs to a file, which several curves of one coder may have decoded, so its caption
    names the coder. The caption of an importance map that all coders share names none.
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
    """Setting, bytes, bits per pixel and metrics, with a remark if the rate is far from `bpp`."""
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


def _embed(image: bytes | np.ndarray) -> Embedded:
    """The smaller of PNG and WebP at quality 90, as a data URI."""
    if isinstance(image, np.ndarray):
        opened = Image.fromarray(image)
    else:
        with Image.open(io.BytesIO(image)) as file:
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
