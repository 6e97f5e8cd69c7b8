"""What a mask buys at equal file size, in one command.

    python benchmarks/region_of_interest.py --data FOLDER --out roi.json

Each image is coded twice: with an importance mask, and with a uniform map at the quality,
found by bisection, whose file has the same size. The mask is a centred ellipse that covers a
quarter of the image, or with `--masks` a picture of the same name in another folder (white =
important). Printed: PSNR inside the mask, outside it and of the whole picture, both ways, and
the mean differences. Images whose sizes cannot be brought within half a per cent are listed
and left out of the means.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

import rdc_jax
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import masked_psnr, psnr
from rdc_jax.evaluation.report import hardware, image_files, read_results, table, write_results
from rdc_jax.image_io import read_image

ELLIPSE_AREA = 0.25
LARGEST_GAP = 0.005
CLOSE_ENOUGH = 0.0005
MOST_TRIALS = 24
FIGURES = ("roi", "background", "full")


def ellipse_mask(height: int, width: int, area: float = ELLIPSE_AREA) -> np.ndarray:
    """float32 [height,width]: 1 inside a centred ellipse of the image's proportions, else 0."""
    # semi-axes a w and a h with pi a^2 w h = area w h
    half = math.sqrt(area / math.pi)
    row = (np.arange(height) + 0.5) / height - 0.5
    column = (np.arange(width) + 0.5) / width - 0.5
    return (row[:, None] ** 2 + column[None] ** 2 <= half**2).astype(np.float32)


def mask_of(path: Path, folder: Path | None, shape: tuple[int, int]) -> np.ndarray:
    """The mask of a picture, float32 [h,w] in [0,1]."""
    if folder is None:
        return ellipse_mask(*shape)
    found = [file for file in image_files(folder) if file.stem == path.stem]
    if not found:
        raise RdcError(f"no mask named '{path.stem}' in '{folder}'")
    mask = read_image(found[0]).pixels[..., 0].astype(np.float32) / 255.0
    if mask.shape != shape:
        raise RdcError(f"mask '{found[0]}' is {mask.shape}, its picture is {shape}")
    return mask


def uniform_of_size(codec, pixels: np.ndarray, target_bytes: int) -> tuple[bytes, float]:
    """The uniform-map file nearest to `target_bytes` that bisecting the quality meets."""
    low, high = 0.0, 100.0
    best: tuple[bytes, float] | None = None
    for _ in range(MOST_TRIALS):
        quality = (low + high) / 2
        data = codec.encode(pixels, quality=quality, importance=None)
        if best is None or abs(len(data) - target_bytes) < abs(len(best[0]) - target_bytes):
            best = data, quality
        if abs(len(data) - target_bytes) <= CLOSE_ENOUGH * target_bytes:
            break
        low, high = (quality, high) if len(data) < target_bytes else (low, quality)
    return best


def measure(codec, pixels: np.ndarray, mask: np.ndarray, quality: float, steps: int) -> dict:
    """Both files of one picture and their PSNR in dB."""
    adaptive = codec.encode(pixels, quality=quality, importance=mask)
    uniform, uniform_quality = uniform_of_size(codec, pixels, len(adaptive))
    result = {
        "mask_area": float(mask.mean()),
        "bpp": 8 * len(adaptive) / mask.size,
        "uniform_quality": uniform_quality,
        "size_gap": len(uniform) / len(adaptive) - 1,
    }
    for name, data in (("adaptive", adaptive), ("uniform", uniform)):
        decoded = np.asarray(codec.decode(data, steps=steps, tau=1.0))
        result[name] = {
            "bytes": len(data),
            "roi": masked_psnr(pixels, decoded, mask),
            "background": masked_psnr(pixels, decoded, 1 - mask),
            "full": psnr(pixels, decoded),
        }
    return result


def run(codec, arguments: argparse.Namespace) -> dict:
    settings = {
        "model": str(getattr(codec, "model_id", arguments.model)),
        "steps": arguments.steps,
        "quality": arguments.quality,
        "masks": "ellipse" if arguments.masks is None else str(arguments.masks),
    }
    results = read_results(arguments.out, settings)
    files = image_files(arguments.data, arguments.limit)
    missing = [path for path in files if path.name not in results["images"]]
    for path in tqdm(missing, unit="image", disable=not missing):
        pixels = read_image(path).pixels
        mask = mask_of(path, arguments.masks, pixels.shape[:2])
        results["images"][path.name] = measure(
            codec, pixels, mask, arguments.quality, arguments.steps
        )
        write_results(arguments.out, results)
    chosen = {path.name: results["images"][path.name] for path in files}
    results["summary"] = summarise(chosen)
    results["hardware"] = hardware()
    write_results(arguments.out, results)
    print_summary(chosen, results)
    return results


def summarise(images: dict[str, dict]) -> dict:
    """Means over the images whose two files are of equal size."""
    equal = [r for r in images.values() if abs(r["size_gap"]) <= LARGEST_GAP]
    means = {
        name: {figure: _mean(r[name][figure] for r in equal) for figure in FIGURES}
        for name in ("adaptive", "uniform")
    }
    return {
        "images": len(equal),
        "left_out": [n for n, r in images.items() if abs(r["size_gap"]) > LARGEST_GAP],
        "largest_size_gap": max((abs(r["size_gap"]) for r in equal), default=None),
        "mean_size_gap": _mean(r["size_gap"] for r in equal),
        "bpp": _mean(r["bpp"] for r in equal),
        **means,
        "difference": {f: means["adaptive"][f] - means["uniform"][f] for f in FIGURES},
    }


def _mean(values) -> float:
    values = list(values)
    return float(np.mean(values)) if values else float("nan")


def print_summary(images: dict[str, dict], results: dict) -> None:
    summary = results["summary"]

    def row(title: str, bpp: float, gap: float, adaptive: dict, uniform: dict) -> tuple:
        pairs = [f"{uniform[f]:.2f} -> {adaptive[f]:.2f}" for f in FIGURES]
        gain = f"{adaptive['roi'] - uniform['roi']:+.2f}"
        return (title, f"{bpp:.3f}", f"{100 * gap:+.2f} %", *pairs, gain)

    rows = [
        row(name, r["bpp"], r["size_gap"], r["adaptive"], r["uniform"])
        for name, r in images.items()
    ]
    if summary["images"]:
        sizes = summary["bpp"], summary["mean_size_gap"]
        rows.append(row("mean", *sizes, summary["adaptive"], summary["uniform"]))
    print(f"\n{results['settings']}; {results['hardware']}")
    print("PSNR in dB, uniform map -> region-adaptive, at equal bytes\n")
    header = ("image", "bpp", "size gap", "inside mask", "outside", "whole", "gain inside")
    print(table(header, rows))
    if summary["images"]:
        difference = "  ".join(f"{f} {summary['difference'][f]:+.2f}" for f in FIGURES)
        print(f"\nmean difference in dB over {summary['images']} images: {difference}")
    if summary["left_out"]:
        print(f"left out, sizes more than .5 % apart: {', '.join(summary['left_out'])}")


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of PNG or JPEG files")
    parser.add_argument("--masks", type=Path, default=None, help="folder of masks, same names")
    parser.add_argument("--model", default=None, help="name or folder; default: the shipped one")
    parser.add_argument("--quality", type=float, default=50.0, help="of the masked file, 0-100")
    parser.add_argument("--steps", type=int, default=1, help="sampler steps of the decoder")
    parser.add_argument("--out", default=None, help="results as JSON, and where to go on from")
    parser.add_argument("--limit", type=int, default=None, help="only the first images")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    try:
        run(rdc_jax.load(arguments.model, fusion="none"), arguments)
    except RdcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
