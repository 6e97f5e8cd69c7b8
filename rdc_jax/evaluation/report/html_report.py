"""The results of `rdc eval` as one HTML file that needs neither a network nor other files.

    html = html_report.page(results, lambda path: (folder / path).read_bytes())

The templates, the style and the script are in `page/`. The page forbids itself to load or run
anything from elsewhere, and every text from the results is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.metric_names import MISSING
from rdc_jax.evaluation.report import curves, image_panels, svg_plot, tables, templates
from rdc_jax.evaluation.report.image_panels import LoadImage


def page(
    results: dict[str, Any],
    load_image: LoadImage,
    *,
    images: Sequence[str] | None = None,
    image_count: int = 4,
    bpp: float = 0.15,
    max_bytes: int = 12_000_000,
) -> str:
    """The whole page.

    Args:
        results: The content of results.json.
        load_image: Turns a path of the results into the bytes of an image file or uint8 [h,w,3]. If
            it raises RdcError, OSError or KeyError, the image is left out and named in the page. An
            original is at the "picture" of its image, else at `original_path`.
        images: Names of the images to show; None: the `image_count` ones of most median detail.
        image_count: Number of images to show if `images` is None.
        bpp: Bits per pixel at which images are shown; each codec with its nearest point.
        max_bytes: Limit of all images together, as they stand in the page; the rest is left out.

    Raises:
        RdcError: The results have no image of such a name.
    """
    names = list(image_panels.median_images(results, image_count) if images is None else images)
    known = {image["name"] for image in results.get("images", [])}
    for name in names:
        if name not in known:
            raise RdcError(f"no image '{name}' in the results; see their list of images")
    script = templates.source("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
    model = results.get("model") or {}
    return templates.render(
        "report.html",
        script=Markup(script),
        script_hash=digest,
        style=Markup(templates.source("report.css")),
        missing=MISSING,
        title=f"Rate and quality: {model.get('name') or 'codecs compared'}",
        facts=_facts(results),
        skipped=results.get("skipped") or [],
        bd=tables.bd_tables(results.get("bd") or []),
        charts=_charts(results.get("curves") or []),
        means=tables.means_tables(results),
        comparisons=image_panels.comparisons(results, load_image, names, bpp, max_bytes),
        waits=tables.waits(results.get("timings")),
        file_times=tables.file_times(results),
    )


def _facts(results: dict[str, Any]) -> dict[str, Any]:
    """What was measured, when and where."""
    model = results.get("model") or {}
    images = results.get("images") or []
    found = {key: results.get(key) or MISSING for key in ("date", "hardware", "command")}
    identity = " ".join(str(model[key]) for key in ("name", "id") if model.get(key))
    listed = [f"{i['name']} ({i.get('width')} × {i.get('height')})" for i in images]
    return found | {"model": identity or MISSING, "images": listed}


def _charts(measured: Sequence[dict]) -> list[svg_plot.Chart]:
    plots = [curves.plot_of(measured, metric) for metric in curves.metrics_of(measured)]
    return [chart for chart in map(svg_plot.chart, plots) if chart is not None]
