"""`rdc encode`: images -> .rdc files."""

import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.bitstream.container import DEFAULT_MAX_PIXELS
from rdc_jax.cli import region_masks, sizes
from rdc_jax.cli.encode_report import describe, describe_at_length, figures
from rdc_jax.cli.jobs import open_jobs, plan, run_all
from rdc_jax.cli.lazy_codec import LazyCodec
from rdc_jax.cli.outputs import STREAM, Job
from rdc_jax.codec.metadata_sections import extras_of
from rdc_jax.codec.presets import PRESETS
from rdc_jax.codec.rate_control import NEAR
from rdc_jax.decoding.opened_file import PIECE_SHARE
from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage, atomic_write, read_image
from rdc_jax.images.formats import IMAGE_EXTENSIONS
from rdc_jax.images.screen_content import looks_drawn
from rdc_jax.importance import maps
from rdc_jax.importance.shapes import Shape

DRAWN = (
    "looks like a drawing or a screenshot, but the models were trained on photographs: check the "
    "result; lossless WebP or PNG may be sharper and smaller"
)


def run(args: Namespace) -> int:
    shapes = region_masks.shapes_of(args)
    if args.roi_gain is not None and not (shapes or args.roi):
        raise RdcError("--roi-gain needs a region; give --roi or --roi-box too")
    if args.roi_only and not (shapes or args.roi):
        raise RdcError("--roi-only needs a region; give --roi or --roi-box too")
    if args.roi_only and args.roi_gain is not None:
        raise RdcError("--roi-only and --roi-gain exclude each other; give one of them")
    targets = (args.target_bpp, args.target_size, args.target_quality)
    if args.best_effort and all(target is None for target in targets):
        raise RdcError("--best-effort needs a target; give --target-size or another one too")
    if args.roi == STREAM and STREAM in args.input:
        raise RdcError("the image and the mask cannot both come from standard input; name a file")
    apply_preset(args)
    wish = None
    if args.target_quality is not None:
        from rdc_jax.codec import quality_target

        wish = quality_target.parse(args.target_quality)
    jobs = plan(args, IMAGE_EXTENSIONS, ".rdc")
    for job in jobs:
        if Path(job.target).suffix.lower() in IMAGE_EXTENSIONS:
            raise RdcError(f"'{job.target}' is the name of an image; end it in .rdc")
    region_masks.check(args.roi, shapes, (job.source for job in open_jobs(jobs, args)))
    if not args.quiet:
        region_masks.note_on_detectors(args.roi)
    model = LazyCodec(args.model)
    return run_all(
        jobs,
        args,
        lambda job: encode_file(job, args, shapes, model, wish),
        describe_at_length if args.verbose else describe,
    )


def apply_preset(args: Namespace) -> None:
    """Turns --preset into --quality and --tau; a tau that is given stays."""
    if args.preset is not None:
        preset = PRESETS[args.preset]
        args.quality = preset.quality
        args.tau = preset.tau if args.tau is None else args.tau


def encode_file(
    job: Job,
    args: Namespace,
    shapes: list[Shape],
    model: LazyCodec,
    wish: Any = None,
) -> dict[str, Any]:
    """Encodes one image.

    Args:
        job: The image and its file.
        args: The arguments of the command.
        shapes: Regions given by numbers (`region_masks.shapes_of`).
        model: The model.
        wish: The `quality_target.Target` of --target-quality, if any.

    Returns:
        The report to print.
    """
    image = read_image(job.source, keep_alpha=args.alpha != "drop")
    height, width = image.pixels.shape[:2]
    region = region_masks.region_of(args.roi, shapes, image.pixels, image.alpha)
    options = coding_options(args, image, region.mask)
    codec = model.codec
    started = time.perf_counter()
    data, report, reached = encode_pixels(codec, image.pixels, args, wish, options)
    seconds = time.perf_counter() - started
    atomic_write(job.target, data, overwrite=args.force)
    drawn = looks_drawn(image.pixels)
    target = target_note(args, report, height * width, wish, reached)
    mask_note = "" if region.mask is None else note_on_mask(region.mask, codec.model)
    drawn_note = DRAWN if drawn else ""
    pieces = pieces_note(height, width, args.tile)
    for note in (*image.notes, mask_note, target, drawn_note, pieces):
        if note and not args.quiet:
            print(f"rdc: note: '{job.source}' {note}", file=sys.stderr)
    return {
        "input": job.source,
        "output": job.target,
        "width": width,
        "height": height,
        "grey": image.grey,
        "alpha": image.alpha is not None,
        "input_bytes": sizes.of_file(job.source),
        "looks_drawn": drawn,
        **({} if region.found is None else {"roi_found": region.found}),
        **figures(report),
        **({} if wish is None else {"reached": {wish.name: reached}}),
        "model": model.model.name,
        "model_id": model.model.model_id.hex(),
        "seconds": seconds,
    }


def encode_pixels(
    codec: Any, pixels: np.ndarray, args: Namespace, wish: Any, options: dict[str, Any]
) -> tuple[bytes, Any, float | None]:
    """Encodes towards the target of the arguments.

    Args:
        codec: The `Codec`.
        pixels: uint8 [h,w,3].
        args: The arguments of the command.
        wish: The `quality_target.Target` of --target-quality, if any.
        options: Of `coding_options`.

    Returns:
        The file, the codec's report, and the value that the metric of --target-quality reaches.
    """
    if wish is not None:
        from rdc_jax.codec import quality_target

        return quality_target.encode(codec, pixels, wish, **options)
    data, report = codec.encode(
        pixels,
        quality=args.quality,
        target_bpp=args.target_bpp,
        target_bytes=args.target_size,
        return_report=True,
        **options,
    )
    return data, report, None


def coding_options(args: Namespace, image: LoadedImage, mask: np.ndarray | None) -> dict[str, Any]:
    """The options of `Codec.encode` that do not depend on the target.

    Args:
        args: The arguments of the command.
        image: The image.
        mask: Its importance mask, float32 [h,w], or None.
    """
    gain = {} if args.roi_gain is None else {"roi_gain": args.roi_gain}
    return gain | {
        "importance": mask,
        "seed": args.seed,
        "steps": args.steps,
        "tau": args.tau,
        "grey": image.grey,
        "extras": extras_of(image, metadata=args.metadata, alpha=args.alpha),
        "tile": args.tile,
        "resilient": args.resilient,
        "progress": not args.quiet,
        "best_effort": args.best_effort,
        "map_cost": args.map_cost,
        "roi_only": args.roi_only,
    }


def note_on_mask(mask: np.ndarray, model: Any) -> str:
    """A note where a mask leaves every part of the image equally important; empty otherwise.

    Args:
        mask: float32 [h,w] in [0,1].
        model: The model, which says how fine its maps are.
    """
    cell, levels = int(model.config["cell_size"]), model.num_levels
    grid = maps.from_mask_array(mask, *mask.shape, cell, levels)
    if grid.min() != grid.max():
        return ""
    if grid.max() == 0:
        return "has no important part in its mask, or too small a one: all of it is background"
    return "is equally important everywhere in its mask, so no part is favoured"


def pieces_note(height: int, width: int, tile: int | None) -> str:
    """A note where decoders refuse the file by default, because its pieces are too large.

    Args:
        height: Height of the image in pixels.
        width: Its width.
        tile: Side of the tiles in pixels; 0 for no tiles; None for the encoder's own choice, which
            decoders always accept.

    Returns:
        The note; empty where the file decodes by default.
    """
    if tile is None:
        return ""
    largest = min(height, tile or height) * min(width, tile or width)
    needed = max(PIECE_SHARE * largest, height * width)
    if needed <= DEFAULT_MAX_PIXELS:
        return ""
    return (
        f"is coded in pieces of up to {largest} pixels, so `rdc decode` needs --max-pixels "
        f"{needed}; with the default of --tile it does not"
    )


def target_note(args: Namespace, report: Any, pixels: int, wish: Any, reached: float | None) -> str:
    """A note where a file misses its target or is far below it; empty otherwise.

    Args:
        args: The arguments of the command.
        report: The codec's report.
        pixels: Number of pixels of the image.
        wish: The `quality_target.Target`, if any.
        reached: The value of its metric that the file reaches.
    """
    if wish is not None:
        from rdc_jax.codec.quality_target import TOLERANCE, decibels

        distance = decibels(wish.name, reached) - decibels(wish.name, wish.value)
        at = f"has {wish.name} {reached:.4g} at quality {report.quality:g}"
        if distance < 0:
            return f"{at}, the best of this model, short of {wish.value:g}"
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
