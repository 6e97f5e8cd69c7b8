"""`rdc encode`: pictures -> .rdc files."""

import sys
import time
from argparse import Namespace
from typing import Any

from rdc_jax import region_shapes
from rdc_jax.commands import regions
from rdc_jax.commands.files import Job, LazyCodec, plan, run_all
from rdc_jax.errors import RdcError
from rdc_jax.image_io import atomic_write, read_image
from rdc_jax.picture_sections import extras_of
from rdc_jax.pictures.formats import ALL_METADATA, PICTURES


def run(args: Namespace) -> int:
    shapes = regions.shapes_of(args)
    if args.roi_gain is not None and not (shapes or args.roi):
        raise RdcError("--roi-gain has no region to work on; give --roi or --roi-box too")
    jobs = plan(args, PICTURES, ".rdc")
    model = LazyCodec(args.model)
    return run_all(
        jobs,
        args,
        lambda job: encode_file(job, args, shapes, model),
        describe_at_length if args.verbose else describe,
    )


def encode_file(
    job: Job, args: Namespace, shapes: list[region_shapes.Shape], model: LazyCodec
) -> dict[str, Any]:
    """Encodes one picture; returns the figures to print."""
    picture = read_image(job.source, keep_alpha=args.alpha != "drop")
    extras = extras_of(picture, metadata=args.metadata, alpha=args.alpha)
    height, width = picture.pixels.shape[:2]
    mask = regions.mask_of(args.roi, shapes, picture.pixels, picture.alpha)
    gain = {} if args.roi_gain is None else {"roi_gain": args.roi_gain}
    codec = model.codec
    started = time.perf_counter()
    data, report = codec.encode(
        picture.pixels,
        quality=args.quality,
        target_bpp=args.target_bpp,
        importance=mask,
        seed=args.seed,
        steps=args.steps,
        tau=args.tau,
        grey=picture.grey,
        extras=extras,
        tile=args.tile,
        resilient=args.resilient,
        return_report=True,
        progress=not args.quiet,
        **gain,
    )
    seconds = time.perf_counter() - started
    atomic_write(job.target, data, overwrite=args.force)
    if args.target_bpp is not None and report.bpp > args.target_bpp and not args.quiet:
        print(
            f"rdc: note: '{job.source}' takes {report.bpp:.3f} bits per pixel even at quality 0",
            file=sys.stderr,
        )
    return {
        "input": job.source,
        "output": job.target,
        "width": width,
        "height": height,
        "grey": picture.grey,
        "alpha": picture.alpha is not None,
        "bytes": report.bytes,
        "bpp": report.bpp,
        "quality": report.quality,
        "timesteps": report.timesteps,
        "ideal_bits": report.ideal_bits,
        "section_bytes": report.section_bytes,
        "symbol_hash": report.symbol_hash,
        "model": model.model.name,
        "model_id": model.model.model_id.hex(),
        "seconds": seconds,
    }


def describe(report: dict[str, Any]) -> str:
    extras = {kind: report["section_bytes"].get(kind, 0) for kind in ("alpha", *ALL_METADATA)}
    held = ", ".join(kind for kind, size in extras.items() if size)
    share = f" ({sum(extras.values())} of them {held})" if held else ""
    return (
        f"{report['input']} -> {report['output']}: {report['width']} x {report['height']} pixels, "
        f"{report['bytes']} bytes{share}, {report['bpp']:.3f} bits per pixel, "
        f"{report['seconds']:.2f} s"
    )


def describe_at_length(report: dict[str, Any]) -> str:
    parts = ", ".join(f"{name} {size}" for name, size in report["section_bytes"].items())
    background, roi = report["timesteps"]
    return (
        f"{describe(report)}\n"
        f"  quality {report['quality']:.2f}, timesteps {background} (background) and {roi} "
        f"(region), model {report['model']} {report['model_id']}\n"
        f"  bytes of sections: {parts}; ideal size {report['ideal_bits'] / 8:.0f}\n"
        f"  symbols {report['symbol_hash']}"
    )
