"""What each finder of `--roi auto` takes for important, and what that does to a file.

    python benchmarks/region_finders.py --data PHOTOS [--sheet NAME ...] [--out sheet.jpg]

Every picture is coded without a map, and with the same bytes with the maps of contrast and of auto.
The table gives PSNR inside faces and inside objects (of pictures where they are found), faithful
decoding, and what finding takes. The sheet shows pictures whose names begin as NAME says.
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
from rdc_jax.evaluation.report.results import image_files, table
from rdc_jax.images import atomic_write, read_image
from rdc_jax.importance import detectors

SHOWN = 320  # side of a panel, pixels
MAPS = ("no map", "contrast", "auto")


def panel(picture: np.ndarray) -> np.ndarray:
    """uint8 [H,W,3] or a mask [H,W] in [0,1] on a white square, uint8 [SHOWN,SHOWN,3]."""
    if picture.ndim == 2:
        picture = np.rint(255 * picture).astype(np.uint8)
    square = ImageOps.pad(Image.fromarray(picture).convert("RGB"), (SHOWN, SHOWN), color="white")
    return np.asarray(square)


def found(pixels: np.ndarray, finder: str) -> np.ndarray | None:
    try:
        return detectors.find(pixels, finder).mask
    except RdcError:
        return None


def measured(codec: rdc_jax.Codec, pixels: np.ndarray, quality: float) -> tuple[list, dict]:
    """Panels of a picture for the sheet, and figures by (what, map)."""
    masks, figures = {"no map": None}, {}
    for finder in ("contrast", "auto"):
        started = time.perf_counter()
        masks[finder], by = detectors.find(pixels, finder)
        figures["seconds to find", finder] = time.perf_counter() - started
    regions = {"faces": found(pixels, "faces"), "objects": found(pixels, "objects")}
    regions["whole picture"] = np.ones(pixels.shape[:2], bool)
    wish = {"quality": quality}
    for name, mask in masks.items():
        data = codec.encode(pixels, importance=mask, **wish)
        wish = {"target_bytes": wish.get("target_bytes", len(data))}
        decoded = np.asarray(codec.decode(data, tau=0.0))
        for region, inside in regions.items():
            if inside is not None:
                figures[region, name] = masked_psnr(pixels, decoded, inside >= 0.5)
    panels = ("", pixels), ("contrast", masks["contrast"]), (by, masks["auto"])
    return [(text, panel(picture)) for text, picture in panels], figures


def summary(collected: list[dict]) -> str:
    """Means over the pictures that have a figure."""
    lines = []
    for what in ("faces", "objects", "whole picture", "seconds to find"):
        columns = [[f[what, name] for f in collected if (what, name) in f] for name in MAPS]
        means = (f"{statistics.mean(values):.2f}" if values else "" for values in columns)
        lines.append([what, str(max(map(len, columns))), *means])
    return table(("PSNR, dB, inside", "pictures", *MAPS), lines)


def run(arguments: argparse.Namespace) -> None:
    compilation_cache.enable()
    codec = rdc_jax.load(arguments.model)
    detectors.find(np.zeros((64, 64, 3), np.uint8))  # loads the networks
    rows, collected, paths = [], [], image_files(arguments.data)
    if arguments.sheet and not any(path.stem.startswith(tuple(arguments.sheet)) for path in paths):
        raise RdcError(
            f"no picture of '{arguments.data}' begins with {' or '.join(arguments.sheet)}"
        )
    for path in tqdm(paths, unit="picture"):
        panels, figures = measured(codec, read_image(path).pixels, arguments.quality)
        collected.append(figures)
        if not arguments.sheet or path.stem.startswith(tuple(arguments.sheet)):
            rows.append(panels)
    print(
        f"finders {detectors.installed()}; bytes of quality {arguments.quality:g} without a map\n"
    )
    print(summary(collected))
    if not arguments.out:
        return
    data = io.BytesIO()
    Image.fromarray(draw_sheet(rows)).reduce(2).save(data, "JPEG", quality=85)
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
    parser.add_argument("--out", metavar="FILE", help="of the sheet; default: none")
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
