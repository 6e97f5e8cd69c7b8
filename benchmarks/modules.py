"""Several fusion modules of one base codec on the same files, by every metric.

    python benchmarks/modules.py --data PHOTOS --module before=FOLDER --module after=FOLDER \
        --out modules.json

Every image is coded once at every quality. It is decoded at tau 0, with each fusion module at tau 1
(without --module, the one of the model), and with --avif also as AVIF of the same size. LPIPS with
AlexNet and VGG16 can be training losses. DISTS and SSIMULACRA2 are not. "added pattern" is the
share of the added texture that repeats every 8 pixels (0.015 by chance). Results are saved in --out
after every image, so an interrupted run can continue.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import details
import numpy as np
import speed
from tqdm import tqdm

import rdc_jax
from rdc_jax.codec import compilation_cache
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.metrics import added_pattern, judges
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.evaluation.results_file import write_results
from rdc_jax.images import read_image
from rdc_jax.images.image_folder import image_files

METRICS = ("psnr", "lpips_alex", "lpips_vgg", "dists", "ssimulacra2", "colour")
QUALITIES = (20.0, 60.0)
FAITHFUL, AVIF = "tau 0", "AVIF"


def measure(
    codecs: Mapping[str, rdc_jax.Codec],
    chosen: Mapping[str, judges.Judge],
    pixels: np.ndarray,
    qualities: list[float],
    avif: bool,
) -> dict[str, Any]:
    """Measures one image.

    Args:
        codecs: The codec with each fusion module, by name.
        chosen: Metrics by name.
        pixels: uint8 [h,w,3].
        qualities: Qualities to code at.
        avif: True to add AVIF of the same size.

    Returns:
        {quality: {"bpp", "shown": {name: {metric: value}}}}.
    """
    codec = next(iter(codecs.values()))
    originals = {name: judge.features(pixels) for name, judge in chosen.items()}
    found = {}
    for quality in qualities:
        data = codec.encode(pixels, quality=quality)
        shown = {FAITHFUL: codec.decode(data, tau=0.0)}
        shown |= {name: own.decode(data, tau=1.0) for name, own in codecs.items()}
        if avif:
            file = baselines.size_matched("avif", pixels, len(data))[0]
            shown[AVIF] = baselines.decode("avif", file)
        values = {
            name: {
                metric: float(judge.distance(originals[metric], judge.features(image)))
                for metric, judge in chosen.items()
            }
            for name, image in shown.items()
        }
        for name in codecs:
            energy = added_pattern.added_energy(shown[FAITHFUL], shown[name])
            values[name]["added pattern"] = added_pattern.share([energy])
        bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
        found[f"{quality:g}"] = {"bpp": bpp, "shown": values}
    return found


def rows_of(images: Mapping[str, Any], quality: float) -> tuple[list[str], list[list[str]]]:
    """Returns header and rows of the table for one quality: means over images, by decoder."""
    files = [found[f"{quality:g}"] for found in images.values()]
    names = list(files[0]["shown"])
    metrics = list(dict.fromkeys(m for name in names for m in files[0]["shown"][name]))
    bpp = np.mean([file["bpp"] for file in files])
    rows = []
    for name in names:
        values = [file["shown"][name] for file in files]
        means = {metric: np.mean([v[metric] for v in values]) for metric in values[0]}
        rows.append([name, *(f"{means[m]:.4g}" if m in means else "" for m in metrics)])
    return [f"quality {quality:g}, {bpp:.3f} bpp", *metrics], rows


def is_measurable(path: Path) -> bool:
    """Returns True if an image has the 64 pixels on each side that the added pattern needs."""
    return min(read_image(path).pixels.shape[:2]) >= added_pattern.WINDOW


def kept_results(path: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the images that an earlier run with the same settings has measured."""
    if path is None or not Path(path).is_file():
        return {}
    stored = json.loads(Path(path).read_text())
    return stored["pictures"] if stored.get("settings") == settings else {}


def run(arguments: argparse.Namespace) -> None:
    compilation_cache.enable()
    codecs = details.with_modules(arguments.model, arguments.module)
    chosen, missing = judges.make(METRICS)
    for name, reason in missing.items():
        print(f"without {name}: {reason}", file=sys.stderr)
    files = [path for path in image_files(arguments.data, arguments.limit) if is_measurable(path)]
    settings = {
        "model": next(iter(codecs.values())).model.model_id.hex(),
        "data": str(Path(arguments.data).resolve()),
        "modules": {name: codec.module.identity for name, codec in codecs.items()},
        "qualities": list(arguments.qualities),
        "metrics": list(chosen),
        "avif": arguments.avif,
    }
    images = kept_results(arguments.out, settings)
    for path in tqdm(files, unit="image"):
        if path.name not in images:
            pixels = read_image(path).pixels
            images[path.name] = measure(codecs, chosen, pixels, arguments.qualities, arguments.avif)
            # "pictures" is the key in the JSON file, which earlier runs share.
            write_results(arguments.out, {"settings": settings, "pictures": images})
    asked = {path.name: images[path.name] for path in files}
    print(f"{len(asked)} images, means\n")
    for quality in arguments.qualities:
        print(table(*rows_of(asked, quality)) + "\n")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of photographs")
    parser.add_argument("--module", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--model", help="name or folder; default: the shipped one")
    parser.add_argument("--qualities", nargs="+", type=float, default=QUALITIES, metavar="Q")
    parser.add_argument("--avif", action="store_true", help="also AVIF of the same size")
    parser.add_argument("--limit", type=int, help="only the first images")
    parser.add_argument("--out", metavar="FILE", help="results as JSON, to continue from")
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
