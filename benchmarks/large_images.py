"""Time per pixel and memory of large images.

    python benchmarks/large_images.py [--data FOLDER] [--megapixels 0.4,2,12,50] [--quality 40]

Each size is encoded, decoded and partly decoded in new processes. The image consists of mirrored
copies of the photographs (by default, those of the demo). Wall-clock and CPU seconds are per
megapixel, after a warm-up on a small image, with the ratio to the first size. Memory is the peak
resident size of the process. The pixels themselves take 3 MB per megapixel of it.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import rdc_jax
from rdc_jax import demo
from rdc_jax.codec import compilation_cache
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.machine import hardware
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.evaluation.results_file import write_results
from rdc_jax.images import read_image
from rdc_jax.images.image_folder import image_files

CROP_SHARES = (1 / 4, 1 / 16, 1 / 64)  # area of the decoded crops, as share of the image


def mosaic(photos: list[Path], megapixels: float) -> np.ndarray:
    """Builds an image uint8 [H,W,3] of aspect 3:2 from mirrored copies of the photographs."""
    height = round(math.sqrt(megapixels * 1e6 / 1.5))
    width = round(1.5 * height)
    image, number, top = np.empty((height, width, 3), np.uint8), 0, 0
    while top < height:
        left, tallest = 0, height
        while left < width:
            photo = read_image(photos[number % len(photos)]).pixels
            photo = photo[:: 1 if number // 2 % 2 else -1, :: 1 if number % 2 else -1]
            part = photo[: height - top, : width - left]
            image[top : top + len(part), left : left + part.shape[1]] = part
            tallest = min(tallest, len(part))
            left, number = left + part.shape[1], number + 1
        top += tallest
    return image


def measured(work) -> tuple[float, float]:
    """Returns the wall-clock and CPU seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def one_process(task: str, arguments: argparse.Namespace, megapixels: float) -> dict:
    """Does the work of one process: encodes or decodes one image and returns the figures."""
    compilation_cache.enable()
    codec = rdc_jax.load(arguments.model)
    pixels = mosaic(arguments.photos, megapixels if task == "encode" else 0.1)
    warm = codec.encode(mosaic(arguments.photos, 0.1), quality=arguments.quality)
    file, found = Path(arguments.file), {}
    if task == "encode":
        found["seconds"] = measured(
            lambda: file.write_bytes(codec.encode(pixels, quality=arguments.quality))
        )
        found["bytes"] = file.stat().st_size
    else:
        codec.decode(warm, tau=arguments.tau)
        data = file.read_bytes()
        if task == "decode":
            found["seconds"] = measured(lambda: codec.decode(data, tau=arguments.tau))
        else:
            height = round(math.sqrt(megapixels * 1e6 / 1.5))
            width = round(1.5 * height)
            found["crops"] = []
            for share in CROP_SHARES:
                w, h = (round(n * math.sqrt(share)) for n in (width, height))
                crop = (width - w) // 2, (height - h) // 2, w, h
                with open(file, "rb") as opened:
                    seconds = measured(
                        lambda c=crop, f=opened: codec.decode(f, tau=arguments.tau, crop=c)
                    )
                found["crops"].append((w * h / 1e6, *seconds))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found | {"peak_mib": peak / (1024 if sys.platform != "darwin" else 1024**2)}


def run(arguments: argparse.Namespace) -> dict:
    results = {"hardware": hardware(), "quality": arguments.quality, "sizes": []}
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in arguments.megapixels:
            size = {"megapixels": megapixels}
            for task in ("encode", "decode", "crop"):
                command = [sys.executable, __file__, *sys.argv[1:], "--file", f"{folder}/a.rdc"]
                command += ["--task", task, "--size", str(megapixels)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise RdcError(f"{task} at {megapixels} megapixels: {done.stderr.strip()}")
                size[task] = json.loads(done.stdout.splitlines()[-1])
                print(f"{megapixels:g} megapixels, {task}: {size[task]}", file=sys.stderr)
            results["sizes"].append(size)
    write_results(arguments.out, results)
    print_summary(results)
    return results


def print_summary(results: dict) -> None:
    print(f"quality {results['quality']:g}; {results['hardware']}\n")
    first, rows, crops = results["sizes"][0], [], []
    for size in results["sizes"]:
        row = [f"{size['megapixels']:g}"]
        for task in ("encode", "decode"):
            each, base = (
                [seconds / s["megapixels"] for seconds in s[task]["seconds"]] for s in (size, first)
            )
            row += [f"{each[0]:.3f}", f"{each[0] / base[0]:.2f}"]
            row += [f"{each[1]:.3f}", f"{each[1] / base[1]:.2f}", f"{size[task]['peak_mib']:.0f}"]
        rows.append((*row, f"{8 * size['encode']['bytes'] / size['megapixels'] / 1e6:.3f}"))
        whole = size["decode"]["seconds"][1] / size["megapixels"]
        for area, wall, processor in size["crop"]["crops"]:
            cells = f"{area:.3f}", f"{wall:.2f}", f"{processor:.2f}"
            crops.append((row[0], *cells, f"{processor / area / whole:.2f}"))
    names = ("s/MP", "ratio", "CPU s/MP", "ratio", "peak MiB")
    header = ("megapixels", *(f"{task} {name}" for task in ("encode", "decode") for name in names))
    print(table((*header, "bpp"), rows))
    header = ("of megapixels", "crop, megapixels", "seconds", "CPU seconds", "CPU s/MP to whole")
    print("\n" + table(header, crops))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=None, help="folder of photographs")
    parser.add_argument("--model", default=None, help="name or folder; default: the shipped one")
    parser.add_argument("--megapixels", default="0.4,2,12,50")
    parser.add_argument("--quality", type=float, default=40.0)
    parser.add_argument("--tau", type=float, default=None, help="default: that of the file")
    parser.add_argument("--out", default=None, help="results as JSON")
    for name in ("--task", "--size", "--file"):  # for the processes that this script starts
        parser.add_argument(name, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    arguments.megapixels = [float(word) for word in arguments.megapixels.split(",")]
    folder = Path(demo.__file__).parent if arguments.data is None else Path(arguments.data)
    try:
        arguments.photos = [p for p in image_files(folder) if "mask" not in p.stem]
        if not arguments.photos:
            raise RdcError(f"the folder '{folder}' has no photographs")
        if arguments.task:
            print(json.dumps(one_process(arguments.task, arguments, float(arguments.size))))
        else:
            run(arguments)
    except (RdcError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
