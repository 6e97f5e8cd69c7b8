"""The entropy stage: symbols per second, overhead over the ideal size, share of decoding time.

    python benchmarks/entropy.py [--image FILE] [--repeats 5]

- throughput: symbols per second that the range coder writes and reads on one core, tables included,
  with the scale indexes of a real image and with all 80 scale indexes alike; a million symbols each
- overhead: bytes of hyper-latent and latent above the ideal code length of the continuous model
- share: CPU seconds of the entropy stage (network, dither, tables, coder) in a one-step decode

Times are CPU seconds of the process, over all threads. They depend little on the load of the
machine. `--wall` measures wall time instead.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # one core; must be set before NumPy is imported

import numpy as np  # noqa: E402
import speed  # noqa: E402

import rdc_jax  # noqa: E402
from rdc_jax.codec.codec import Codec  # noqa: E402
from rdc_jax.entropy import coder, tables  # noqa: E402
from rdc_jax.evaluation.report.text_table import table  # noqa: E402
from rdc_jax.evaluation.results_file import write_results  # noqa: E402
from rdc_jax.evaluation.timing import synthetic_image  # noqa: E402
from rdc_jax.images import read_image  # noqa: E402

SYMBOLS = 1_000_000
QUALITIES = (20, 50, 80)
TARGETS = {"symbols_per_second": 5e6, "overhead": 0.007, "share": 0.10}


def seconds(function: Callable, repeats: int, clock: Callable[[], float]) -> float:
    """Returns the smallest of several times, because other programs can only add time."""
    function()
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


def symbols_of(codec: Codec, data: bytes) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Returns (symbols, scale indexes, phases) of each pass of a file's latent."""
    found, decode = [], coder.SymbolDecoder.decode

    def recorded(self, scale_index, phase):
        symbols = decode(self, scale_index, phase)
        found.append((symbols, scale_index, phase))
        return symbols

    coder.SymbolDecoder.decode = recorded
    try:
        codec.decode_latent(data)
    finally:
        coder.SymbolDecoder.decode = decode
    return found[1:]


def even_symbols() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws symbols with all scale indexes alike, from the distributions of their tables."""
    rng = np.random.default_rng(0)
    scale_index = rng.integers(0, tables.NUM_SCALES, SYMBOLS).astype(np.uint8)
    phase = rng.integers(0, tables.NUM_PHASES, SYMBOLS).astype(np.uint8)
    values = rng.normal(size=SYMBOLS) * tables.relative_scale(scale_index)
    return np.rint(values - tables.phase_dither(phase)).astype(np.int32), scale_index, phase


def throughput(bank: tables.TableBank, passes: list, repeats: int, clock: Callable) -> dict:
    """Returns symbols per second when writing and reading, and bits per symbol."""
    total = sum(symbols.size for symbols, _, _ in passes)

    def write() -> bytes:
        encoder = coder.SymbolEncoder(bank)
        for one in passes:
            encoder.encode(*one)
        return encoder.finish()

    def read() -> None:
        decoder = coder.SymbolDecoder(bank, data)
        for _, scale_index, phase in passes:
            decoder.decode(scale_index, phase)
        decoder.finish()

    data = write()
    return {
        "symbols": total,
        "bits_per_symbol": 8 * len(data) / total,
        "write": total / seconds(write, repeats, clock),
        "read": total / seconds(read, repeats, clock),
    }


def run(arguments: argparse.Namespace) -> dict:
    clock = time.perf_counter if arguments.wall else time.process_time
    pixels = synthetic_image() if arguments.image is None else read_image(arguments.image).pixels
    codec = rdc_jax.load(arguments.model)
    codec.module = None  # only the base codec
    results = {"width": pixels.shape[1], "height": pixels.shape[0], "files": {}}
    for quality in QUALITIES:
        data, report = codec.encode(pixels, quality=quality, return_report=True)
        sections = report.section_bytes
        coded = 8 * (sections["hyper_latent"] + sections["latent"])
        ideal = report.ideal_bits - 8 * sections["importance"]
        whole = seconds(lambda d=data: codec.decode(d, steps=1, tau=0.0), arguments.repeats, clock)
        stage = seconds(lambda d=data: codec.decode_latent(d), arguments.repeats, clock)
        results["files"][f"quality {quality}"] = {
            "bytes": len(data),
            "overhead": coded / ideal - 1,
            "decode_seconds": whole,
            "entropy_seconds": stage,
            "share": stage / whole,
        }
        if quality == QUALITIES[1]:
            passes = symbols_of(codec, data)
    repeated = -(-SYMBOLS // sum(one[0].size for one in passes))
    joined = [tuple(np.tile(array, repeated) for array in one) for one in passes]
    bank = codec.entropy.bank
    results["throughput"] = {
        "a picture's": throughput(bank, joined, arguments.repeats, clock),  # key in the JSON output
        "all scales": throughput(bank, [even_symbols()], arguments.repeats, clock),
    }
    write_results(arguments.out, results)
    print_summary(results)
    return results


def print_summary(results: dict) -> None:
    rows = [
        (
            name,
            one["symbols"],
            f"{one['bits_per_symbol']:.2f}",
            f"{one['write'] / 1e6:.2f}",
            f"{one['read'] / 1e6:.2f}",
            f"{one['read'] / TARGETS['symbols_per_second']:.2f}",
        )
        for name, one in results["throughput"].items()
    ]
    header = ("symbols of", "number", "bits each", "write, 1e6/s", "read, 1e6/s", "read / 5e6")
    print(table(header, rows))
    rows = [
        (
            name,
            one["bytes"],
            f"{100 * one['overhead']:.2f} %",
            f"{one['overhead'] / TARGETS['overhead']:.2f}",
            f"{one['entropy_seconds']:.3f}",
            f"{one['decode_seconds']:.3f}",
            f"{100 * one['share']:.1f} %",
            f"{one['share'] / TARGETS['share']:.2f}",
        )
        for name, one in results["files"].items()
    ]
    header = ("file", "bytes", "above ideal", "/ target 0.7 %", "entropy s", "decode s", "share",
              "/ target 10 %")  # fmt: skip
    print(f"\n{results['width']} x {results['height']}, one step, tau 0")
    print(table(header, rows))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", default=None, help="default: synthetic, 768 x 512")
    parser.add_argument("--model", default=None, help="name or folder; default: the shipped one")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--wall", action="store_true", help="wall time instead of CPU time")
    parser.add_argument("--out", default=None, help="results as JSON")
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
