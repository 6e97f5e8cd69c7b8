"""Steady-state speed of encoding and decoding.

    python benchmarks/speed.py [--image FILE] [--repeats 10]

The figures are medians over the repeats after warm-up, from uint8 pixels in memory to bytes in
memory and back. Model loading and compilation are timed separately. Ratios to Pillow's JPEG and
AVIF, on the same pixels and machine, give a scale. If the model has a fusion module, decoding with
1, 2, 4 and 8 steps of it is compared with tau 0.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable
from functools import partial

import rdc_jax
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.machine import hardware
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.evaluation.results_file import write_results
from rdc_jax.evaluation.timing import median_seconds, synthetic_image
from rdc_jax.images import read_image

CLASSICAL = {"jpeg": 75, "avif": 75}
MODULE_STEPS = (1, 2, 4, 8)


def stage_seconds(call: partial) -> dict[str, float]:
    """Returns the seconds of each stage of one call, or {} if the codec does not report them."""
    if "return_report" not in inspect.signature(call.func).parameters:
        return {}
    _, report = call(return_report=True)
    return dict(getattr(report, "stage_seconds", None) or {})


def run(arguments: argparse.Namespace) -> dict:
    pixels = synthetic_image() if arguments.image is None else read_image(arguments.image).pixels
    start = time.perf_counter()
    codec = rdc_jax.load(arguments.model)
    load = time.perf_counter() - start

    encode = partial(codec.encode, pixels, quality=arguments.quality, importance=None)
    start = time.perf_counter()
    data = encode()
    first_encode = time.perf_counter() - start
    module, codec.module = codec.module, None  # only the base codec
    decode = partial(codec.decode, data, steps=arguments.steps, tau=1.0)
    start = time.perf_counter()
    decode()
    first_decode = time.perf_counter() - start

    results = {
        "hardware": hardware(),
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
        "steps": arguments.steps,
        "repeats": arguments.repeats,
        "load_seconds": load,
        "first_call_seconds": {"encode": first_encode, "decode": first_decode},
        "median_seconds": {
            "rdc": {
                "encode": median_seconds(encode, arguments.repeats),
                "decode": median_seconds(decode, arguments.repeats),
            }
        },
        "stage_seconds": {"encode": stage_seconds(encode), "decode": stage_seconds(decode)},
    }
    for name, quality in CLASSICAL.items():
        if name in baselines.names():
            file = baselines.encode(name, pixels, quality)
            results["median_seconds"][name] = {
                "encode": median_seconds(
                    partial(baselines.encode, name, pixels, quality), arguments.repeats
                ),
                "decode": median_seconds(partial(baselines.decode, name, file), arguments.repeats),
            }
    if module is not None:
        codec.module = module
        results["module_seconds"] = {"tau 0": seconds_with_module(codec, data, 0.0, 1, arguments)}
        for steps in MODULE_STEPS:
            seconds = seconds_with_module(codec, data, 1.0, steps, arguments)
            results["module_seconds"][f"tau 1, {steps} steps"] = seconds
    write_results(arguments.out, results)
    print_summary(results)
    return results


def seconds_with_module(codec, data: bytes, tau: float, steps: int, arguments) -> float:
    """Returns the median seconds of decoding a file."""
    return median_seconds(partial(codec.decode, data, tau=tau, steps=steps), arguments.repeats)


def print_summary(results: dict) -> None:
    medians = results["median_seconds"]
    ours = medians["rdc"]
    print(
        f"{results['width']}x{results['height']}, {results['bpp']:.3f} bpp, {results['steps']} "
        f"step(s), median of {results['repeats']} after warm-up; {results['hardware']}\n"
    )
    rows = [
        (
            name,
            f"{seconds['encode']:.4f}",
            f"{seconds['decode']:.4f}",
            f"{ours['encode'] / seconds['encode']:.3g}",
            f"{ours['decode'] / seconds['decode']:.3g}",
        )
        for name, seconds in medians.items()
    ]
    header = ("steady state", "encode s", "decode s", "rdc / it, encode", "rdc / it, decode")
    print(table(header, rows))
    for direction, stages in results["stage_seconds"].items():
        total = sum(stages.values())
        if total:
            shares = ", ".join(f"{stage} {100 * s / total:.0f} %" for stage, s in stages.items())
            print(f"{direction}: {shares}")
    if module := results.get("module_seconds"):
        base = module["tau 0"]
        rows = [(name, f"{s:.3f}", f"{s / base:.2f}") for name, s in module.items()]
        print("\n" + table(("decode with fusion module", "seconds", "ratio to tau 0"), rows))
    first = results["first_call_seconds"]
    print(
        f"\nnot in the medians: model load {results['load_seconds']:.2f} s, first encode "
        f"{first['encode']:.2f} s, first decode {first['decode']:.2f} s (compilation included)"
    )
    print(json.dumps({"encode_s": ours["encode"], "decode_s": ours["decode"]}))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", default=None, help="default: synthetic, 768 x 512")
    parser.add_argument("--model", default=None, help="name or folder; default: the shipped one")
    parser.add_argument("--quality", type=float, default=50.0)
    parser.add_argument("--steps", type=int, default=1, help="sampler steps of the decoder")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", default=None, help="results as JSON")
    return exit_code(run, parser.parse_args(argv))


def exit_code(run: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> int:
    """Runs a benchmark and returns its exit code.

    The exit code is 0, or 2 with one line on standard error for an error the user can fix.
    """
    try:
        run(arguments)
    except RdcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
