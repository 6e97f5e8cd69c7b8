"""What `rdc encode` says of a file: its figures, by keys and in words."""

from typing import Any

from rdc_jax.cli import sizes
from rdc_jax.evaluation.report.sizes import size_text
from rdc_jax.images.formats import ALL_METADATA


def figures(report: Any) -> dict[str, Any]:
    """What the codec reports of a file, by the keys of our JSON."""
    return {
        "bytes": report.bytes,
        "bpp": report.bpp,
        "quality": report.quality,
        "timesteps": report.timesteps,
        "ideal_bits": report.ideal_bits,
        "section_bytes": report.section_bytes,
        "symbol_hash": report.symbol_hash,
        "map_levels": report.map_grid[0],
        "map_cell": report.map_grid[1],
        "codings": report.codings,
    }


def describe(report: dict[str, Any]) -> str:
    """A report as one line."""
    extras = {kind: report["section_bytes"].get(kind, 0) for kind in ("alpha", *ALL_METADATA)}
    held = ", ".join(kind for kind, size in extras.items() if size)
    share = f" (including {sum(extras.values())} of {held})" if held else ""
    reached = "".join(
        f"{name} {value:.4g} at quality {report['quality']:.4g}, "
        for name, value in report.get("reached", {}).items()
    )
    region = f"region: {report['roi_found']}, " if "roi_found" in report else ""
    size = size_words(report["input_bytes"], report["bytes"]) + share
    return (
        f"{report['input']} -> {report['output']}: {report['width']} x {report['height']} pixels, "
        f"{size}, {report['bpp']:.3f} bits per pixel, {reached}{region}{report['seconds']:.2f} s"
    )


def size_words(before: int | None, after: int) -> str:
    """The exact size of a file in bytes, and what it was before, unless that is unknown."""
    exact = f"{after} byte{'s' * (after != 1)}"
    if before is None:
        return exact
    change = sizes.change(before, after)
    return change if size_text(after) == exact else f"{change}, {exact}"


def describe_at_length(report: dict[str, Any]) -> str:
    """A report as several lines, for --verbose."""
    parts = ", ".join(f"{name} {size}" for name, size in report["section_bytes"].items())
    background, roi = report["timesteps"]
    levels, cell = report["map_levels"], report["map_cell"]
    grid = f"map of {levels} levels in cells of {cell} pixels" if levels > 1 else "no map"
    return (
        f"{describe(report)}\n"
        f"  quality {report['quality']:.2f}, timesteps {background} (background) and {roi} "
        f"(region), {grid}, model {report['model']} {report['model_id']}\n"
        f"  bytes of sections: {parts}; ideal size {report['ideal_bits'] / 8:.0f}\n"
        f"  symbols {report['symbol_hash']}"
    )
