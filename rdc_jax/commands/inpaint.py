"""`rdc inpaint`: a part of a picture, or of what a .rdc file shows, replaced."""

import io
import json
import os
import time
from argparse import Namespace
from pathlib import Path

from rdc_jax import importance
from rdc_jax.commands.files import PICTURES, STREAM, LazyCodec, read_bytes
from rdc_jax.entropy import bitstream
from rdc_jax.errors import RdcError
from rdc_jax.image_io import read_image, write_image

WHITE = 128  # of a mask's 0 to 255, from which a pixel is replaced


def run(args: Namespace) -> int:
    name = "picture" if args.input == STREAM else Path(args.input).stem
    target = Path(args.output or f"{name}_inpainted.png")
    if target.suffix.lower() not in PICTURES:
        raise RdcError(
            f"cannot tell the image format of '{target}'; end its name in one of "
            f"{' '.join(PICTURES)}"
        )
    if target.exists() and not args.force:
        raise RdcError(f"the output '{target}' exists; give -f to replace it")
    if target.exists() and os.path.realpath(target) == os.path.realpath(args.input):
        raise RdcError(f"the output '{target}' is the input itself; choose another name")
    data = read_bytes(args.input)
    coded = data.startswith(bitstream.SIGNATURE)
    max_pixels = args.max_pixels or bitstream.DEFAULT_MAX_PIXELS
    if coded:
        header, _ = bitstream.unpack(data, max_pixels=max_pixels)
        size = header.height, header.width
        grey = header.colour_mode == bitstream.ColourMode.GREY
    else:
        source = io.BytesIO(data)
        source.name = args.input  # for messages
        picture = read_image(source, max_pixels=max_pixels)
        size, grey = picture.pixels.shape[:2], picture.grey
    mask = importance.read_mask(args.mask, *size) >= WHITE
    codec = LazyCodec(args.model, args.fusion).codec
    from rdc_jax import inpainting

    started = time.perf_counter()
    pixels = codec.decode(data, max_pixels=max_pixels) if coded else picture.pixels
    result = inpainting.inpaint(codec, pixels, mask, steps=args.steps, tau=args.tau, seed=args.seed)
    if grey:
        result = result.mean(axis=-1, keepdims=True).round().astype("uint8").repeat(3, axis=-1)
    write_image(target, result, grey=grey, overwrite=args.force)
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
