"""Rate-distortion comparison with the classical codecs, on real files, in one command.

    python benchmarks/rate_distortion.py --data FOLDER --out results.json

Every PNG and JPEG of the folder is coded by our codec, encoded to bytes and decoded from them,
and by Pillow's codecs at their defaults. Printed: the mean of every setting; BD-rate on PSNR
(pchip) against each classical codec, per image and averaged, and of the mean curve inside a
window of rates; file size against the model's ideal code length. A stopped run goes on where
it was when the command is repeated. About two seconds per image and quality on two cores.

The mean curve joins the means of equal settings, so it also judges how a codec spreads its bits
over pictures. It says little about a codec whose setting fixes the PSNR (jpeg2000 here): read
the average per image for such a one.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from tqdm import tqdm

import rdc_jax
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.metrics import ms_ssim, psnr
from rdc_jax.evaluation.rate_distortion import bd_rate, monotone_part
from rdc_jax.evaluation.report import hardware, image_files, read_results, table, write_results
from rdc_jax.image_io import read_image

OURS = "rdc"
QUALITIES = "5,15,25,35,45,55,65,75,85,95"
WINDOW = "0.15,0.8"
# The promise on file size: at most 1 % and 64 bytes above the ideal code length.
OVERHEAD_FACTOR, OVERHEAD_BYTES = 1.01, 64

METRICS = {"psnr-rgb": psnr, "ms-ssim-rgb": ms_ssim}


def measure_ours(codec, pixels: np.ndarray, quality: float, steps: int) -> dict:
    """One file of our codec: bytes, bpp, metrics and the model's ideal size in bits."""
    data, report = codec.encode(pixels, quality=quality, importance=None, return_report=True)
    decoded = codec.decode(data, steps=steps, tau=1.0)
    return {**_figures(pixels, data, decoded), "ideal_bits": float(report.ideal_bits)}


def measure_classical(name: str, pixels: np.ndarray, quality: float) -> dict:
    """One file of a classical codec: bytes, bpp and metrics."""
    data = baselines.encode(name, pixels, quality)
    return _figures(pixels, data, baselines.decode(name, data))


def _figures(pixels: np.ndarray, data: bytes, decoded: np.ndarray) -> dict:
    bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
    metrics = {name: metric(pixels, np.asarray(decoded)) for name, metric in METRICS.items()}
    return {"bytes": len(data), "bpp": bpp, **metrics}


def mean_curves(images: dict, ladders: dict[str, list[float]]) -> dict[str, list[dict]]:
    """The mean over all images of every figure, for each codec and setting."""
    keys = ("bpp", *METRICS)
    return {
        name: [
            {
                "quality": quality,
                **{
                    key: float(np.mean([image[name][f"{quality:g}"][key] for image in images]))
                    for key in keys
                },
            }
            for quality in ladder
        ]
        for name, ladder in ladders.items()
    }


def compare(images: list[dict], means: dict[str, list[dict]], window) -> dict[str, dict]:
    """BD-rate on PSNR of our codec against each other one, per cent."""

    def curve(points):
        return monotone_part([p["bpp"] for p in points], [p["psnr-rgb"] for p in points])

    def difference(anchor, test, **options) -> float | None:
        try:
            return bd_rate(curve(anchor), curve(test), **options).value
        except RdcError:
            return None

    compared = {}
    for name in means:
        if name == OURS:
            continue
        pairs = [(image[name].values(), image[OURS].values()) for image in images]
        everywhere = [difference(*pair) for pair in pairs]
        inside = [difference(*pair, rate_window=window) for pair in pairs]
        compared[name] = {
            "per_image": everywhere,
            "per_image_in_window": inside,
            "mean_curve_in_window": difference(means[name], means[OURS], rate_window=window),
        }
    return compared


def overhead(images: list[dict]) -> dict:
    """Our file sizes against the ideal code length."""
    files = [point for image in images for point in image[OURS].values()]
    size = np.array([8.0 * point["bytes"] for point in files])
    ideal = np.array([point["ideal_bits"] for point in files])
    excess = size / 8 - (OVERHEAD_FACTOR * ideal / 8 + OVERHEAD_BYTES)
    return {
        "files": len(files),
        "total_ratio": float(size.sum() / ideal.sum()),
        "worst_ratio": float(np.max(size / ideal)),
        "mean_bytes_above_ideal": float(np.mean(size - ideal) / 8),
        "worst_bytes_above_promise": float(np.max(excess)),
    }


def run(codec, arguments: argparse.Namespace) -> dict:
    """Measures what is missing from the results file, then summarises."""
    ladders = {OURS: arguments.qualities}
    ladders |= {name: baselines.LADDERS[name] for name in arguments.codecs}
    settings = {
        "model": str(getattr(codec, "model_id", arguments.model)),
        "steps": arguments.steps,
    }
    results = read_results(arguments.out, settings)
    files = image_files(arguments.data, arguments.limit)
    work = [
        (path, name, quality)
        for path in files
        for name, ladder in ladders.items()
        for quality in ladder
        if f"{quality:g}" not in results["images"].get(path.name, {}).get(name, {})
    ]
    current, pixels = None, None
    for path, name, quality in tqdm(work, unit="file", disable=not work):
        if path != current:
            write_results(arguments.out, results)
            current, pixels = path, read_image(path).pixels
        if name == OURS:
            point = measure_ours(codec, pixels, quality, arguments.steps)
        else:
            point = measure_classical(name, pixels, quality)
        results["images"].setdefault(path.name, {}).setdefault(name, {})[f"{quality:g}"] = point

    images = [
        {
            name: {f"{q:g}": results["images"][path.name][name][f"{q:g}"] for q in ladder}
            for name, ladder in ladders.items()
        }
        for path in files
    ]
    means = mean_curves(images, ladders)
    results["hardware"] = hardware()
    results["summary"] = {
        "images": len(images),
        "window_bpp": list(arguments.window),
        "bd_rate_psnr_percent": compare(images, means, arguments.window),
        "overhead": overhead(images),
        # CompressAI's schema of a results file, one entry a codec
        "curves": [
            {
                "name": name,
                "description": f"mean of {len(images)} images, whole files",
                "results": {key: [p[key] for p in points] for key in ("bpp", *METRICS)},
            }
            for name, points in means.items()
        ],
    }
    write_results(arguments.out, results)
    print_summary(results, means)
    return results


def print_summary(results: dict, means: dict[str, list[dict]]) -> None:
    summary = results["summary"]
    low, high = summary["window_bpp"]
    print(f"\n{summary['images']} images; {results['settings']}; {results['hardware']}\n")
    rows = [
        (
            name,
            f"{point['quality']:g}",
            f"{point['bpp']:.4f}",
            f"{point['psnr-rgb']:.2f}",
            f"{point['ms-ssim-rgb']:.4f}",
        )
        for name, points in means.items()
        for point in points
    ]
    print(table(("mean of images", "quality", "bpp", "PSNR dB", "MS-SSIM"), rows))

    def average(values: list[float | None]) -> str:
        known = [value for value in values if value is not None]
        if not known:
            return "no overlap"
        return f"{np.mean(known):+.1f} ({len(known)}/{len(values)})"

    rows = []
    for name, compared in summary["bd_rate_psnr_percent"].items():
        mean_curve = compared["mean_curve_in_window"]
        rows.append(
            (
                f"{OURS} vs {name}",
                average(compared["per_image"]),
                average(compared["per_image_in_window"]),
                "no overlap" if mean_curve is None else f"{mean_curve:+.1f}",
            )
        )
    window = f"{low:g} to {high:g} bpp"
    header = ("BD-rate on PSNR, %, pchip", "per image", f"per image, {window}", "mean curve, same")
    print("\n" + table(header, rows))
    print("(in brackets: images whose curves overlap / all)\n")
    size = summary["overhead"]
    print(
        f"file size / ideal: {size['total_ratio']:.4f} in total, {size['worst_ratio']:.4f} at "
        f"worst, {size['mean_bytes_above_ideal']:.0f} bytes above on average; worst against "
        f"{OVERHEAD_FACTOR} x ideal + {OVERHEAD_BYTES} bytes: "
        f"{size['worst_bytes_above_promise']:+.0f} bytes"
    )


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    def numbers(text: str) -> list[float]:
        return [float(part) for part in text.split(",")]

    def names(text: str) -> list[str]:
        return [part for part in text.split(",") if part]

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of PNG or JPEG files")
    parser.add_argument("--model", default=None, help="name or folder; default: the shipped one")
    parser.add_argument(
        "--codecs", type=names, default=names("jpeg,webp,avif"),
        help=f"classical codecs, of {', '.join(baselines.SAVE_OPTIONS)}",
    )  # fmt: skip
    parser.add_argument("--qualities", type=numbers, default=numbers(QUALITIES), help="ours")
    parser.add_argument("--steps", type=int, default=1, help="sampler steps of our decoder")
    parser.add_argument("--window", type=numbers, default=numbers(WINDOW), help="low,high in bpp")
    parser.add_argument("--out", default=None, help="results as JSON, and where to go on from")
    parser.add_argument("--limit", type=int, default=None, help="only the first images")
    arguments = parser.parse_args(argv)
    if len(arguments.window) != 2 or not 0 < arguments.window[0] < arguments.window[1]:
        parser.error("--window takes two rising rates, such as 0.15,0.8")
    available = baselines.names()
    for name in arguments.codecs:
        if name not in available:
            parser.error(f"no codec '{name}' here; there are {', '.join(available)}")
    return arguments


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
