"""Accuracy of target sizes, and the number of codings they need.

    python benchmarks/targets.py --data PHOTOS [--pairs 100] [--region]

The script draws pairs of an image and a target size. The logarithm of the size is uniform between
the smallest and the largest file of the image. It prints how far the files are below the targets.
With --region, the centre of every image is important.
"""

import argparse
import sys
import time

import numpy as np
import speed

import rdc_jax
from rdc_jax.codec import compilation_cache
from rdc_jax.images import read_image
from rdc_jax.images.image_folder import image_files
from rdc_jax.importance import shapes


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of images")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model")
    parser.add_argument("--region", action="store_true")
    return speed.exit_code(run, parser.parse_args(argv))


def run(args: argparse.Namespace) -> None:
    compilation_cache.enable()
    codec = rdc_jax.load(args.model)
    paths = image_files(args.data)
    rng = np.random.default_rng(args.seed)
    rows, ranges = [], {}
    for place in rng.integers(len(paths), size=args.pairs):
        pixels = read_image(paths[place]).pixels
        mask = shapes.centre(*pixels.shape[:2]) if args.region else None
        if place not in ranges:
            ends = [len(codec.encode(pixels, quality=q, importance=mask)) for q in (0, 100)]
            ranges[place] = np.log(ends)
        target = int(np.ceil(np.exp(rng.uniform(*ranges[place]))))
        started = time.perf_counter()
        data, report = codec.encode(
            pixels, target_bytes=target, importance=mask, return_report=True
        )
        seconds = time.perf_counter() - started
        rows.append((1 - len(data) / target, report.codings, seconds))
        print(f"{paths[place].name[:40]:40} {target:8} -> {len(data):8} bytes", end=" ")
        print(f"{-100 * rows[-1][0]:+.2f} %, {report.codings} codings, {seconds:.2f} s", flush=True)
    below, codings, seconds = np.array(rows).T
    print(
        f"{len(rows)} pairs: {np.sum(below < 0)} above the target; below it by "
        f"{100 * below.mean():.2f} % on average, {100 * below.max():.2f} % at most, "
        f"{np.sum(below > 0.02)} by more than 2 %; codings {codings.mean():.2f} on average, "
        f"{int(codings.max())} at most; {seconds.mean():.2f} s per file"
    )


if __name__ == "__main__":
    sys.exit(main())
