"""`rdc inpaint`: a part of a picture, or of what a .rdc file shows, replaced."""

import dataclasses
import io
import json
import os
import sys
import time
from argparse import Namespace
from pathlib import Path

from rdc_jax.bitstream import container
from rdc_jax.cli.jobs import STREAM, read_bytes
from rdc_jax.cli.lazy_codec import LazyCodec
from rdc_jax.codec.metadata_sections import parts_of
from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage, formats, read_image, write_loaded_image
from rdc_jax.images.formats import ALL_METADATA
from rdc_jax.importance import maps

WHITE = 128  # of a mask's 0 to 255, from which a pixel is replaced


def run(args: Namespace) -> int:
    name = "picture" if args.input == STREAM else Path(args.input).stem
    target = Path(args.output or f"{name}_inpainted.png")
    formats.of_extension(target.suffix, str(target))  # refused before the work
    if target.exists() and not args.force:
        raise RdcError(f"the output '{target}' exists; give -f to replace it")
    if target.exists() and os.path.realpath(target) == os.path.realpath(args.input):
        raise RdcError(f"the output '{target}' is the input itself; choose another name")
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
        picture = read_image(source, max_pixels=max_pixels, keep_alpha=True)
        size = picture.pixels.shape[:2]
    mask = maps.read_mask(args.mask, *size) >= WHITE
    codec = LazyCodec(args.model, args.fusion).codec
    from rdc_jax.codec import inpainting

    started = time.perf_counter()
    if coded:
        picture = LoadedImage(pixels=codec.decode(data, max_pixels=max_pixels), **parts)
    result = inpainting.inpaint(
        codec, picture.pixels, mask, steps=args.steps, tau=args.tau, seed=args.seed
    )
    if picture.grey:
        result = result.mean(axis=-1, keepdims=True).round().astype("uint8").repeat(3, axis=-1)
    # EXIF may hold a small copy of the picture, with what was to go still in it.
    picture = dataclasses.replace(picture, pixels=result, exif=None)
    for note in write_loaded_image(target, picture, overwrite=args.force):
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
