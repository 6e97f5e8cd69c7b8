"""`rdc encode`: pictures -> .rdc files."""

import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from rdc_jax.cli import large_pieces, region_flags
from rdc_jax.cli.jobs import Job, LazyCodec, plan, run_all
from rdc_jax.codec.metadata_sections import extras_of
from rdc_jax.codec.rate_control import NEAR
from rdc_jax.errors import RdcError
from rdc_jax.images import atomic_write, read_image
from rdc_jax.images.formats import ALL_METADATA, IMAGE_EXTENSIONS
from rdc_jax.images.screen_content import looks_drawn
from rdc_jax.importance.shapes import Shape

DRAWN = (
    "looks like a drawing or a screenshot, and the models know photographs: look at the result; "
    "lossless WebP or PNG may be sharper and smaller"
)


def run(args: Namespace) -> int:
    shapes = region_flags.shapes_of(args)
    if args.roi_gain is not None and not (shapes or args.roi):
        raise RdcError("--roi-gain has no region to work on; give --roi or --roi-box too")
    if args.roi_only and not (shapes or args.roi):
        raise RdcError("--roi-only has no region to work on; give --roi or --roi-box too")
    if args.roi_only and args.roi_gain is not None:
        raise RdcError("--roi-only and --roi-gain exclude each other; give one of them")
    targets = (args.target_bpp, args.target_size, args.target_quality)
    if args.best_effort and all(target is None for target in targets):
        raise RdcError("--best-effort has no target; give --target-size or another one too")
    jobs = plan(args, IMAGE_EXTENSIONS, ".rdc")
    for job in jobs:
        if Path(job.target).suffix.lower() in IMAGE_EXTENSIONS:
            raise RdcError(f"'{job.target}' is the name of a picture; end it in .rdc")
    model = LazyCodec(args.model)
    wish = None
    if args.target_quality is not None:
        from rdc_jax.codec import quality_target

        wish = quality_target.parse(args.target_quality)
    return run_all(
        jobs,
        args,
        lambda job: encode_file(job, args, shapes, model, wish),
        describe_at_length if args.verbose else describe,
    )


def encode_file(
    job: Job,
    args: Namespace,
    shapes: list[Shape],
    model: LazyCodec,
    wish: Any = None,
) -> dict[str, Any]:
    """Encodes one picture; returns the figures to print. wish: a `quality_target.Target`."""
    picture = read_image(job.source, keep_alpha=args.alpha != "drop")
    extras = extras_of(picture, metadata=args.metadata, alpha=args.alpha)
    height, width = picture.pixels.shape[:2]
    region = region_flags.region_of(args.roi, shapes, picture.pixels, picture.alpha)
    options = {
        "importance": region.mask,
        "seed": args.seed,
        "steps": args.steps,
        "tau": args.tau,
        "grey": picture.grey,
        "extras": extras,
        "tile": args.tile,
        "resilient": args.resilient,
        "progress": not args.quiet,
        "best_effort": args.best_effort,
        "map_cost": args.map_cost,
        "roi_only": args.roi_only,
    }
    if args.roi_gain is not None:
        options["roi_gain"] = args.roi_gain
    codec = model.codec
    started = time.perf_counter()
    reached = None
    if wish is not None:
        from rdc_jax.codec import quality_target

        data, report, reached = quality_target.encode(codec, picture.pixels, wish, **options)
    else:
        data, report = codec.encode(
            picture.pixels,
            quality=args.quality,
            target_bpp=args.target_bpp,
            target_bytes=args.target_size,
            return_report=True,
            **options,
        )
    seconds = time.perf_counter() - started
    atomic_write(job.target, data, overwrite=args.force)
    drawn = looks_drawn(picture.pixels)
    notes = [
        target_note(args, report, height * width, wish, reached),
        DRAWN if drawn else "",
        large_pieces.note(height, width, args.tile),
    ]
    for note in filter(None, () if args.quiet else notes):
        print(f"rdc: note: '{job.source}' {note}", file=sys.stderr)
    return {
        "input": job.source,
        "output": job.target,
        "width": width,
        "height": height,
        "grey": picture.grey,
        "alpha": picture.alpha is not None,
        "looks_drawn": drawn,
        **({} if region.found is None else {"roi_found": region.found}),
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
        **({} if wish is None else {"reached": {wish.name: reached}}),
        "model": model.model.name,
        "model_id": model.model.model_id.hex(),
        "seconds": seconds,
    }


def target_note(args: Namespace, report: Any, pixels: int, wish: Any, reached: float | None) -> str:
    """Why a file is not just what was asked for; empty where it is."""
    if wish is not None:
        from rdc_jax.codec.quality_target import TOLERANCE, decibels

        distance = decibels(wish.name, reached) - decibels(wish.name, wish.value)
        at = f"has {wish.name} {reached:.4g} at quality {report.quality:g}"
        if distance < 0:
            return f"{at}, the best this model does, short of {wish.value:g}"
        return f"{at}, better than {wish.value:g}" if distance > 2 * TOLERANCE else ""
    target = args.target_size
    if args.target_bpp is not None:
        target = args.target_bpp * pixels / 8
    if target is None:
        return ""
    if report.bytes > target:
        return f"takes {report.bytes} bytes even at quality 0, more than {target:.0f}"
    if report.bytes >= (1 - NEAR) * target:
        return ""
    why = "quality 100" if report.quality == 100 else "the next larger file is above it"
    return f"takes {report.bytes} bytes, {100 * (1 - report.bytes / target):.1f} % below: {why}"


def describe(report: dict[str, Any]) -> str:
    extras = {kind: report["section_bytes"].get(kind, 0) for kind in ("alpha", *ALL_METADATA)}
    held = ", ".join(kind for kind, size in extras.items() if size)
    share = f" ({sum(extras.values())} of them {held})" if held else ""
    reached = "".join(
        f"{name} {value:.4g} at quality {report['quality']:.4g}, "
        for name, value in report.get("reached", {}).items()
    )
    region = f"region: {report['roi_found']}, " if "roi_found" in report else ""
    return (
        f"{report['input']} -> {report['output']}: {report['width']} x {report['height']} pixels, "
        f"{report['bytes']} bytes{share}, {report['bpp']:.3f} bits per pixel, {reached}{region}"
        f"{report['seconds']:.2f} s"
    )


def describe_at_length(report: dict[str, Any]) -> str:
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
