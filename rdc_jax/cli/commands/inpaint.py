"""`rdc inpaint`: replaces a part of an image or of a decoded .rdc file."""

import io
import json
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.cli import outputs
from rdc_jax.cli.jobs import read_bytes
from rdc_jax.cli.lazy_codec import LazyCodec
from rdc_jax.cli.outputs import STREAM, Job
from rdc_jax.codec.metadata_sections import parts_of
from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage, atomic_write, formats, image_bytes, read_image
from rdc_jax.importance import maps

WHITE = 128  # pixels are replaced where the mask, 0 to 255, has this value or more


def run(args: Namespace) -> int:
    if args.input == args.mask == STREAM:
        raise RdcError("the image and the mask cannot both come from standard input; name a file")
    job = outputs.single_job(args.input, args.output, "_inpainted.png")
    suffix = ".png" if job.target == STREAM else Path(job.target).suffix
    formats.of_extension(suffix, job.target)  # refuses an unknown format before the work
    outputs.check_target(job, args.force, outputs.ends_in_slash(args.output))
    data = read_bytes(args.input)
    max_pixels = args.max_pixels or container.DEFAULT_MAX_PIXELS
    model = LazyCodec(args.model, args.fusion)
    if data.startswith(container.SIGNATURE):
        header, _ = container.unpack(data, max_pixels=max_pixels)
        mask = _mask(args.mask, header.height, header.width)
        started = time.perf_counter()
        decoded = model.codec.decode(data, max_pixels=max_pixels)
        image = LoadedImage(decoded, **parts_of(data, metadata=("icc",), max_pixels=max_pixels))
    else:
        source = io.BytesIO(data)
        source.name = args.input  # for messages
        image = read_image(source, max_pixels=max_pixels, keep_alpha=True)
        mask = _mask(args.mask, *image.pixels.shape[:2])
        started = time.perf_counter()
    from rdc_jax.codec import inpainting

    how = {"steps": args.steps, "tau": args.tau, "seed": args.seed}
    result = inpainting.inpaint_image(model.codec, image, mask, **how)
    encoded, notes = image_bytes(result, suffix)
    if outputs.ends_in_slash(args.output):
        outputs.make_folder(Path(job.target).parent)
    atomic_write(job.target, encoded, overwrite=args.force)
    if image.exif or image.xmp:
        notes = ["EXIF and XMP are left out; they may show what was replaced", *notes]
    for note in notes:
        print(f"rdc: note: '{job.target}': {note}", file=sys.stderr)
    _report(job, mask, time.perf_counter() - started, args.json)
    return 0


def _mask(name: str, height: int, width: int) -> np.ndarray:
    return maps.read_mask(name, height, width) >= WHITE


def _report(job: Job, mask: np.ndarray, seconds: float, as_json: bool) -> None:
    report = {
        "input": job.source,
        "output": job.target,
        "width": mask.shape[1],
        "height": mask.shape[0],
        "replaced_share": float(mask.mean()),
        "seconds": seconds,
    }
    line = f"{job.source} -> {job.target}: {100 * mask.mean():.1f} % replaced, {seconds:.2f} s"
    said_to = sys.stderr if job.target == STREAM else sys.stdout
    print(json.dumps(report) if as_json else line, file=said_to)
