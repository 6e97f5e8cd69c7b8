"""`rdc roi`: writes the map that `rdc encode` would code as an image to look at or edit."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np

from rdc_jax.cli import outputs, region_masks
from rdc_jax.cli.outputs import STREAM
from rdc_jax.entropy.importance_coding import encode_importance
from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage, atomic_write, formats, image_bytes, read_image
from rdc_jax.importance import detectors, maps
from rdc_jax.model_folder import codec_model


def run(args: Namespace) -> int:
    shapes = region_masks.shapes_of(args)
    if args.input == args.roi == STREAM:
        raise RdcError("the image and the mask cannot both come from standard input; name a file")
    job = outputs.single_job(args.input, args.output, "_roi.png")
    target = job.target
    suffix = Path(target).suffix or ".png"
    outputs.check_target(job, args.force, outputs.ends_in_slash(args.output))
    if not formats.of_extension(suffix, target).lossless:
        raise RdcError(f"a map needs a lossless format, unlike '{target}'; end its name in .png")
    config = codec_model.load(args.model).config
    cell, levels = int(config["cell_size"]), int(config["num_levels"])
    image = read_image(args.input, keep_alpha=True)
    pixels = image.pixels
    roi = args.roi if args.roi or shapes else "auto"
    mask, found = region_masks.region_of(roi, shapes, pixels, image.alpha)
    if mask is None:
        if not detectors.installed():
            raise RdcError(detectors.note())
        raise RdcError(
            f"{found} in '{args.input}', so it is coded without a map; give a mask, a shape or "
            "--roi contrast"
        )
    region_masks.note_on_detectors(roi)
    height, width = pixels.shape[:2]
    grid = maps.from_mask_array(mask, height, width, cell, levels)
    shown = np.rint(255.0 / (levels - 1) * grid).astype(np.uint8)
    shown = shown.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
    data, _ = image_bytes(LoadedImage(shown[..., None].repeat(3, axis=2), grey=True), suffix)
    if outputs.ends_in_slash(args.output):
        outputs.make_folder(Path(target).parent)
    atomic_write(target, data, overwrite=args.force)
    report = {
        "input": args.input,
        "output": target,
        "important_share": float(np.mean(mask >= 0.5)),
        "map_bytes": len(encode_importance(grid, levels)),
        **({} if found is None else {"roi_found": found}),
    }
    region = "" if found is None else f" ({found})"
    line = (
        f"{report['input']} -> {report['output']}: {100 * report['important_share']:.0f} % of "
        f"the area has importance 0.5 or more{region}; the map takes {report['map_bytes']} bytes"
    )
    said_to = sys.stderr if target == STREAM else sys.stdout
    print(json.dumps(report) if args.json else line, file=said_to)
    return 0
