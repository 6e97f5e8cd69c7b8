"""`rdc inpaint`: replaces a part of an image or of a decoded .rdc file."""

import dataclasses
import io
import json
import sys
import time
from argparse import Namespace
from pathlib import Path

from rdc_jax.bitstream import container
from rdc_jax.cli import output_file
from rdc_jax.cli.jobs import STREAM, read_bytes
from rdc_jax.cli.lazy_codec import LazyCodec
from rdc_jax.codec.metadata_sections import parts_of
from rdc_jax.images import LoadedImage, formats, read_image, write_loaded_image
from rdc_jax.images.formats import ALL_METADATA
from rdc_jax.importance import maps

WHITE = 128  # pixels are replaced where the mask, 0 to 255, has this value or more


def run(args: Namespace) -> int:
    name = "picture" if args.input == STREAM else Path(args.input).stem
    target = Path(args.output or f"{name}_inpainted.png")
    formats.of_extension(target.suffix, str(target))  # refuses an unknown format before the work
    output_file.check(target, args.input, overwrite=args.force)
    data = read_bytes(args.input)
    coded = data.startswith(container.SIGNATURE)
    max_pixels = args.max_pixels or container.DEFAULT_MAX_PIXELS
    if coded:
        header, _ = container.unpack(data, max_pixels=max_pixels)
        size = header.height, header.width
        parts = parts_of(data, metadata=ALL_METADATA, max_pixels=max_pixels)
    else:
        source = io.BytesIO(data)
        source.name = args.input  # for messages
        image = read_image(source, max_pixels=max_pixels, keep_alpha=True)
        size = image.pixels.shape[:2]
    mask = maps.read_mask(args.mask, *size) >= WHITE
    codec = LazyCodec(args.model, args.fusion).codec
    from rdc_jax.codec import inpainting

    started = time.perf_counter()
    if coded:
        image = LoadedImage(pixels=codec.decode(data, max_pixels=max_pixels), **parts)
    result = inpainting.inpaint(
        codec, image.pixels, mask, steps=args.steps, tau=args.tau, seed=args.seed
    )
    if image.grey:
        result = result.mean(axis=-1, keepdims=True).round().astype("uint8").repeat(3, axis=-1)
    # EXIF may contain a thumbnail that still shows what was replaced.
    image = dataclasses.replace(image, pixels=result, exif=None)
    for note in write_loaded_image(target, image, overwrite=args.force):
        print(f"rdc: note: '{target}': {note}", file=sys.stderr)
    report = {
        "input": args.input,
        "output": str(target),
        "width": size[1],
        "height": size[0],
        "replaced_share": float(mask.mean()),
        "seconds": time.perf_counter() - started,
    }
    print(
        json.dumps(report)
        if args.json
        else f"{args.input} -> {target}: {100 * mask.mean():.1f} % replaced, "
        f"{report['seconds']:.2f} s"
    )
    return 0
