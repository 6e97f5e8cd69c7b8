"""The results of a benchmark run as text for a terminal."""

from __future__ import annotations

from typing import Any

from rdc_jax.evaluation import tradeoff
from rdc_jax.evaluation.report.text_table import table


def summary(results: dict[str, Any]) -> str:
    """The curves and BD-rates as aligned columns of text."""
    parts = [f"{len(results['images'])} images; {results['hardware']}"]
    for curve in results["curves"]:
        columns = {k: v for k, v in curve["results"].items() if k != "setting"}
        rows = [
            (f"{setting:g}", *(f"{values[i]:.4g}" for values in columns.values()))
            for i, setting in enumerate(curve["results"]["setting"])
        ]
        parts.append(table((curve["name"], *columns), rows))
    if along_tau := tau_table(results["curves"]):
        parts.append(along_tau)
    rows = [
        (
            f"{bd['test']} vs {bd['anchor']}",
            bd["metric"],
            "no overlap" if bd["value"] is None else f"{bd['value']:+.1f}",
            "" if bd["gain"] is None else f"{bd['gain']:+.3g}",
            bd["images"],
            "" if bd["low"] is None else f"{bd['low']:.3g} to {bd['high']:.3g}",
        )
        for bd in results["bd"]
    ]
    if rows:
        header = ("mean of images", "metric", "BD-rate, %", "BD-metric", "images", "overlap")
        parts.append(table(header, rows))
    return "\n\n".join(parts)


def tau_table(curves: list[dict[str, Any]]) -> str:
    """PSNR and LPIPS of each quality by tau; empty without both metrics and several taus."""
    prefix, distance = "rdc tau ", "lpips-alex"  # the curves of our codec, one per tau
    sweeps = {
        float(curve["name"].removeprefix(prefix)): curve["results"]
        for curve in curves
        if curve["name"].startswith(prefix) and {"psnr-rgb", distance} <= curve["results"].keys()
    }
    if len(sweeps) < 2:
        return ""
    taus, rows = sorted(sweeps), []
    for i, bpp in enumerate(sweeps[taus[0]]["bpp"]):
        points = [
            tradeoff.Point(tau, sweeps[tau]["psnr-rgb"][i], sweeps[tau][distance][i], None)
            for tau in taus
        ]
        cells = [f"{point.psnr:.2f} / {point.distance:.3f}" for point in points]
        rows.append((f"{bpp:.3f}", *cells, "yes" if tradeoff.is_monotone(points) else "no"))
    return table(("bpp", *(f"tau {t:g}: dB / LPIPS" for t in taus), "both fall"), rows)
