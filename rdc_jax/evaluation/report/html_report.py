"""The results of `rdc eval` as one HTML file that needs nothing else: no network, no files.

    html = html_report.page(results, lambda path: (folder / path).read_bytes())

The frame, its style and its script are report_page.html beside this file. The page forbids itself
to load or run anything from elsewhere. Every text from the results is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from string import Template
from typing import Any

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.metric_names import MISSING, text
from rdc_jax.evaluation.report import curves_plot, image_panels, svg_plot, tables
from rdc_jax.evaluation.report.image_panels import LoadPicture

UNFOLDED_SKIPS = 12  # a longer list of what was skipped is folded


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
        What it fails to give (RdcError, OSError, KeyError) is left out and named in the page. An
        original lies at the "picture" of its image, else where `original_path` says.
      images: names of the pictures to show; None: the `image_count` of most median detail.
      bpp: bits per pixel at which pictures are shown; each codec with its nearest point.
      max_bytes: limit of all pictures together, as they stand in the page; the rest is left out.

    Raises:
      RdcError: an image of that name is not in the results.
    """
    names = list(image_panels.median_images(results, image_count) if images is None else images)
    known = {image["name"] for image in results.get("images", [])}
    for name in names:
        if name not in known:
            raise RdcError(f"no image '{name}' in the results; see their list of images")
    template = resources.files(__package__).joinpath("page.html")
    frame = template.read_text(encoding="utf-8")
    script = frame.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
    model = results.get("model") or {}
    return Template(frame).substitute(
        script_hash=digest,
        title=text(f"Rate and quality: {model.get('name') or 'codecs compared'}"),
        facts=_facts(results),
        skipped=_skipped(results.get("skipped") or []),
        bd=tables.bd_tables(results.get("bd") or []),
        curves=_curves(results.get("curves") or []),
        means=tables.means_tables(results),
        pictures=image_panels.comparisons(results, load_picture, names, bpp, max_bytes),
        timings=tables.timing_tables(results),
    )


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
    if len(skipped) <= UNFOLDED_SKIPS:
        return f"<ul>{lines}</ul>"
    return f"<details><summary>{len(skipped)} entries</summary><ul>{lines}</ul></details>"


def _curves(curves: Sequence[dict]) -> str:
    plots = [svg_plot.svg_figure(curves, metric) for metric in curves_plot.metrics_of(curves)]
    return "".join(plots) or "<p>No curves were measured.</p>"
