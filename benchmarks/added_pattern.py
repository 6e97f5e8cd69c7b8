"""Share of the pattern that repeats every 8 pixels in the texture that tau 1 adds.

    python benchmarks/added_pattern.py --data PHOTOS [--fusion FOLDER]

Every image is coded at every quality and decoded at tau 0 and at tau 1. The table has the share of
the added energy that lies on the harmonics of an 8 x 8 grid (defined in
rdc_jax/evaluation/metrics/added_pattern.py), as the mean over images and for the energies of all
images together. The latter gives more weight to images with more added energy. Images with a side
below 64 pixels are left out.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import speed
from tqdm import tqdm

import rdc_jax
from rdc_jax.codec import compilation_cache
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import added_pattern
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.evaluation.results_file import write_results
from rdc_jax.images import read_image
from rdc_jax.images.image_folder import image_files

QUALITIES = (20.0, 45.0, 70.0)


class Measured(NamedTuple):
    """One image at one quality."""

    picture: str  # file name; this is also the key in the JSON output
    quality: float
    bpp: float
    energy: added_pattern.Energy


def measure(codec: rdc_jax.Codec, path: Path, quality: float, steps: int) -> Measured:
    """Codes an image, decodes it at tau 0 and tau 1, and compares the results."""
    pixels = read_image(path).pixels
    data = codec.encode(pixels, quality=quality)
    faithful, realistic = (
        np.asarray(codec.decode(data, tau=tau, steps=steps)) for tau in (0.0, 1.0)
    )
    bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
    return Measured(path.name, quality, bpp, added_pattern.added_energy(faithful, realistic))


def row(measured: list[Measured]) -> list[str]:
    """Returns the line of the table for all images at one quality."""
    shares = [added_pattern.share([m.energy]) for m in measured]
    pooled = added_pattern.share(m.energy for m in measured)
    return [
        f"{measured[0].quality:g}",
        f"{statistics.mean(m.bpp for m in measured):.3f}",
        f"{100 * statistics.mean(shares):.1f}",
        f"{100 * pooled:.1f}",
    ]


def run(arguments: argparse.Namespace) -> None:
    compilation_cache.enable()
    codec = rdc_jax.load(arguments.model, fusion=arguments.fusion)
    if codec.module is None:
        raise RdcError("this model has no fusion module, so tau adds nothing; give --fusion FOLDER")
    paths = [
        path
        for path in image_files(arguments.data, arguments.limit)
        if min(read_image(path).pixels.shape[:2]) >= added_pattern.WINDOW
    ]
    if not paths:
        raise RdcError(f"no image in '{arguments.data}' has 64 pixels or more on each side")
    pairs = [(path, quality) for quality in arguments.qualities for path in paths]
    results = [measure(codec, *pair, arguments.steps) for pair in tqdm(pairs, unit="file")]
    rows = [row([m for m in results if m.quality == quality]) for quality in arguments.qualities]
    print(f"{len(paths)} images, fusion module {codec.module.identity}; % of the added energy\n")
    print(table(("quality", "bpp", "mean of images", "all energy"), rows))
    print(f"\nchance: {100 * added_pattern.CHANCE:.1f} %")
    entries = [m._asdict() | {"energy": m.energy._asdict()} for m in results]
    write_results(arguments.out, {"module": codec.module.identity, "files": entries})


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of photographs")
    parser.add_argument("--model", help="name or folder; default: the shipped one")
    parser.add_argument("--fusion", metavar="FOLDER", help="fusion module; default: the model's")
    parser.add_argument("--qualities", nargs="+", type=float, default=QUALITIES, metavar="Q")
    parser.add_argument("--steps", type=int, default=1, help="sampler steps; default: 1")
    parser.add_argument("--limit", type=int, help="only the first images")
    parser.add_argument("--out", metavar="FILE", help="figures of every file as JSON")
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
