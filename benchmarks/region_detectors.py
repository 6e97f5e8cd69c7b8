"""Masks of the detectors of `--roi auto`, and their effect on files.

    python benchmarks/region_detectors.py --data PHOTOS [--sheet NAME ...] [--out sheet.jpg]

Every image is coded without a map, and at the same size with the maps of contrast and of auto. The
table gives the PSNR at tau 0 inside faces and inside objects, over the images that have any, and
the time of detection. The sheet shows the images whose names begin with NAME, their maps, and what
auto found.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time

import numpy as np
import speed
from PIL import Image, ImageOps
from tqdm import tqdm

import rdc_jax
from rdc_jax.codec import compilation_cache
from rdc_jax.demo import draw_sheet
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.distortion import masked_psnr
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.images import atomic_write, read_image
from rdc_jax.images.image_folder import image_files
from rdc_jax.importance import detectors

SHOWN = 320  # side of a panel in pixels
MAPS = ("no map", "contrast", "auto")
COLUMNS = ("image", "--roi contrast", "--roi auto")
FONT_SIZE = 22  # the sheet is stored at half its size


def panel(image: np.ndarray) -> np.ndarray:
    """Puts an image uint8 [H,W,3] or a mask [H,W] in [0,1] on a white square of side SHOWN."""
    if image.ndim == 2:
        image = np.rint(255 * image).astype(np.uint8)
    square = ImageOps.pad(Image.fromarray(image).convert("RGB"), (SHOWN, SHOWN), color="white")
    return np.asarray(square)


def found(pixels: np.ndarray, detector: str) -> np.ndarray | None:
    """Returns the mask of a detector, or None if it detects nothing."""
    try:
        return detectors.find(pixels, detector).mask
    except RdcError:
        return None


def measured(codec: rdc_jax.Codec, pixels: np.ndarray, quality: float) -> tuple[list, dict]:
    """Returns the panels of an image for the sheet, and its figures by (what, map)."""
    masks, figures = {"no map": None}, {}
    for detector in ("contrast", "auto"):
        started = time.perf_counter()
        masks[detector], by = detectors.find(pixels, detector)
        figures["seconds to detect", detector] = time.perf_counter() - started
    regions = {"faces": found(pixels, "faces"), "objects": found(pixels, "objects")}
    regions["whole image"] = np.ones(pixels.shape[:2], bool)
    wish = {"quality": quality}
    for name, mask in masks.items():
        data = codec.encode(pixels, importance=mask, **wish)
        wish = {"target_bytes": wish.get("target_bytes", len(data))}
        decoded = np.asarray(codec.decode(data, tau=0.0))
        for region, inside in regions.items():
            if inside is not None:
                figures[region, name] = masked_psnr(pixels, decoded, inside >= 0.5)
    blank = np.zeros(pixels.shape[:2], np.float32)
    shown = [blank if masks[name] is None else masks[name] for name in ("contrast", "auto")]
    panels = ("", pixels), ("", shown[0]), (by, shown[1])
    return [(text, panel(image)) for text, image in panels], figures


def summary(collected: list[dict]) -> str:
    """Returns the table of means over the images that have a figure."""
    lines = []
    for what in ("faces", "objects", "whole image", "seconds to detect"):
        columns = [[f[what, name] for f in collected if (what, name) in f] for name in MAPS]
        means = (f"{statistics.mean(values):.2f}" if values else "" for values in columns)
        lines.append([what, str(max(map(len, columns))), *means])
    return table(("PSNR, dB, inside", "images", *MAPS), lines)


def run(arguments: argparse.Namespace) -> None:
    compilation_cache.enable()
    codec = rdc_jax.load(arguments.model)
    detectors.find(np.zeros((64, 64, 3), np.uint8))  # loads the networks
    rows, collected, paths = [], [], image_files(arguments.data)
    if arguments.sheet and not any(path.stem.startswith(tuple(arguments.sheet)) for path in paths):
        raise RdcError(f"no image in '{arguments.data}' begins with {' or '.join(arguments.sheet)}")
    for path in tqdm(paths, unit="image"):
        panels, figures = measured(codec, read_image(path).pixels, arguments.quality)
        collected.append(figures)
        if not arguments.sheet or path.stem.startswith(tuple(arguments.sheet)):
            rows.append(panels)
    print(
        f"detectors: {detectors.installed()}; sizes of quality {arguments.quality:g} without map\n"
    )
    print(summary(collected))
    if not arguments.out:
        return
    data = io.BytesIO()
    Image.fromarray(draw_sheet(rows, FONT_SIZE, COLUMNS)).reduce(2).save(data, "JPEG", quality=85)
    atomic_write(arguments.out, data.getvalue(), overwrite=True)
    print(f"look at {arguments.out}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of photographs")
    parser.add_argument("--sheet", nargs="*", default=[], metavar="NAME", help="default: all")
    parser.add_argument("--model", help="name or folder; default: the shipped one")
    parser.add_argument("--quality", type=float, default=30.0)
    parser.add_argument("--out", metavar="FILE", help="file of the sheet; default: no sheet")
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
