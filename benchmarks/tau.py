"""What the distortion-perception knob buys, on real files, in one command.

    python benchmarks/tau.py --data FOLDER --out results.json

Every picture is encoded once per quality and decoded at each tau. Printed: mean PSNR and LPIPS
(AlexNet; training saw VGG only) of every quality and tau, and whether both fall as tau rises;
BD-rate on LPIPS of each tau against tau 0 (negative: fewer bits at equal LPIPS) and BD-PSNR at
equal bytes, of the mean curves and per image; seconds to decode at 1, 2, 4 and 8 steps against tau
0. A stopped run goes on where it was when the command is repeated. About two seconds per picture
and quality on two cores.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

import numpy as np
from tqdm import tqdm

import rdc_jax
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import perceptual, perceptual_weights, tradeoff
from rdc_jax.evaluation.rate_distortion import bd_metric, bd_rate, monotone_part
from rdc_jax.evaluation.report import hardware, image_files, read_results, table, write_results
from rdc_jax.evaluation.timing import median_seconds, synthetic_picture
from rdc_jax.image_io import read_image

QUALITIES = "5,20,35,50,65,80"
TAUS = "0,0.25,0.5,0.75,1"
STEPS = (1, 2, 4, 8)


def measure(codec, pixels: np.ndarray, quality: float, arguments, distance) -> dict:
    """One file: bpp, and per tau PSNR and LPIPS."""
    data = codec.encode(pixels, quality=quality)
    decode = partial(codec.decode, data, steps=arguments.steps)
    points = tradeoff.sweep(lambda tau: decode(tau=tau), pixels, arguments.taus, distance)
    figures = {f"{p.tau:g}": {"psnr-rgb": p.psnr, "lpips": p.distance} for p in points}
    return {"bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1]), "taus": figures}


def curve(points: list[dict], tau: str, metric: str) -> tuple[list[float], list[float]]:
    """(rates, qualities) of files; LPIPS as 1 - LPIPS, so that more is better."""
    values = [point["taus"][tau][metric] for point in points]
    qualities = [1.0 - v for v in values] if metric == "lpips" else values
    return monotone_part([point["bpp"] for point in points], qualities)


def difference(kind, anchor, test) -> float | None:
    try:
        return kind(anchor, test).value
    except RdcError:  # no overlap, or too few points
        return None


def mean_points(images: list[dict], qualities: list[str]) -> list[dict]:
    """The mean file of every quality."""

    def mean(quality, *keys):
        values = []
        for image in images:
            value = image[quality]
            for key in keys:
                value = value[key]
            values.append(value)
        return float(np.mean(values))

    taus = images[0][qualities[0]]["taus"]
    return [
        {
            "quality": quality,
            "bpp": mean(quality, "bpp"),
            "taus": {
                tau: {m: mean(quality, "taus", tau, m) for m in ("psnr-rgb", "lpips")}
                for tau in taus
            },
        }
        for quality in qualities
    ]


def summarise(images: list[dict], qualities: list[str], taus: list[str]) -> dict:
    """Mean curves, monotony, and Bjontegaard differences of each tau against tau 0."""
    means = mean_points(images, qualities)
    ladders = [
        [tradeoff.Point(float(t), p["taus"][t]["psnr-rgb"], p["taus"][t]["lpips"], None)
         for t in taus]
        for p in means
    ]  # fmt: skip
    compared = {}
    for tau in taus[1:]:
        compared[tau] = {}
        for name, kind, metric in (
            ("bd_rate_lpips_percent", bd_rate, "lpips"),
            ("bd_psnr_db", bd_metric, "psnr-rgb"),
        ):
            single = [
                difference(kind, *(curve(list(i.values()), t, metric) for t in (taus[0], tau)))
                for i in images
            ]
            known = [value for value in single if value is not None]
            compared[tau][name] = {
                "mean_curve": difference(
                    kind, curve(means, taus[0], metric), curve(means, tau, metric)
                ),
                "per_image": float(np.mean(known)) if known else None,
                "images": len(known),
            }
    return {
        "images": len(images),
        "means": means,
        "monotone": [tradeoff.is_monotone(points) for points in ladders],
        "against_tau_0": compared,
    }


def decoding_seconds(codec, repeats: int) -> dict[str, float]:
    """Medians on a 768x512 picture at quality 50: tau 0, and tau 1 by number of steps."""
    data = codec.encode(synthetic_picture(), quality=50.0)
    seconds = {"tau 0": median_seconds(partial(codec.decode, data, tau=0.0), repeats)}
    for steps in STEPS:
        decode = partial(codec.decode, data, tau=1.0, steps=steps)
        seconds[f"tau 1, {steps} steps"] = median_seconds(decode, repeats)
    return seconds


def run(arguments: argparse.Namespace) -> dict:
    codec = rdc_jax.load(arguments.model, arguments.fusion)
    weights = perceptual_weights.load("alexnet")
    distance = partial(perceptual.measure_lpips, weights)
    settings = {
        "model": codec.model.model_id.hex(),
        "fusion": None if codec.module is None else codec.module.identity,
        "steps": arguments.steps,
        "taus": arguments.taus,
    }
    results = read_results(arguments.out, settings)
    files = image_files(arguments.data, arguments.limit)
    qualities = [f"{q:g}" for q in arguments.qualities]
    for path in tqdm(files, unit="picture"):
        found = results["images"].setdefault(path.name, {})
        if missing := [q for q in qualities if q not in found]:
            pixels = read_image(path).pixels
            for quality in missing:
                found[quality] = measure(codec, pixels, float(quality), arguments, distance)
            write_results(arguments.out, results)
    images = [{q: results["images"][path.name][q] for q in qualities} for path in files]
    results["hardware"] = hardware()
    results["summary"] = summarise(images, qualities, [f"{t:g}" for t in arguments.taus])
    if arguments.repeats:
        results["decoding_seconds"] = decoding_seconds(codec, arguments.repeats)
    write_results(arguments.out, results)
    print_summary(results)
    return results


def print_summary(results: dict) -> None:
    summary = results["summary"]
    print(f"\n{summary['images']} pictures; {results['settings']}; {results['hardware']}\n")
    taus = list(summary["means"][0]["taus"])
    rows = []
    for point, monotone in zip(summary["means"], summary["monotone"], strict=True):
        pairs = [f"{v['psnr-rgb']:.2f} / {v['lpips']:.3f}" for v in point["taus"].values()]
        rows.append((point["quality"], f"{point['bpp']:.3f}", *pairs, "yes" if monotone else "no"))
    header = ("quality", "bpp", *(f"tau {tau}: dB / LPIPS" for tau in taus), "both fall")
    print(table(header, rows))
    rows = []
    for tau, compared in summary["against_tau_0"].items():
        cells = [tau]
        for figures in compared.values():
            cells += [_signed(figures["mean_curve"]), _signed(figures["per_image"])]
        rows.append(cells)
    header = ("against tau 0", "BD-rate LPIPS %, mean curve", "per image",
              "BD-PSNR dB, mean curve", "per image")  # fmt: skip
    print("\n" + table(header, rows))
    if "decoding_seconds" in results:
        seconds = results["decoding_seconds"]
        base = seconds["tau 0"]
        rows = [(name, f"{s:.3f}", f"{s / base:.2f}") for name, s in seconds.items()]
        print("\n" + table(("decoding 768x512", "seconds", "ratio to tau 0"), rows))


def _signed(value: float | None) -> str:
    return "no overlap" if value is None else f"{value:+.2f}"


def main(argv: list[str] | None = None) -> int:
    def numbers(text: str) -> list[float]:
        return [float(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of PNG or JPEG files")
    parser.add_argument("--model", default=None, help="name or folder; default: the shipped one")
    parser.add_argument("--fusion", default=None, help="another module's folder, or none")
    parser.add_argument("--qualities", type=numbers, default=numbers(QUALITIES))
    parser.add_argument("--taus", type=numbers, default=numbers(TAUS), help="rising, from 0")
    parser.add_argument("--steps", type=int, default=None, help="default: the module's choice")
    parser.add_argument("--repeats", type=int, default=5, help="of the timing; 0 for none")
    parser.add_argument("--out", default=None, help="results as JSON, and where to go on from")
    parser.add_argument("--limit", type=int, default=None, help="only the first pictures")
    arguments = parser.parse_args(argv)
    if arguments.taus[0] != 0 or sorted(set(arguments.taus)) != arguments.taus:
        parser.error("--taus takes rising numbers that begin with 0")
    try:
        run(arguments)
    except RdcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
