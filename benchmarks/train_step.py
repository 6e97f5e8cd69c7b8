"""Speed of a train step of our U-Net compared with the same network in PyTorch.

    python benchmarks/train_step.py [--size tiny|small|sd21] [--dtype bfloat16] [--batch 16]

Both sides train the same network. The U-Net of diffusers and ours have the same parameters (their
number and the first loss are checked), see the same batch, and minimise the mean squared error with
AdamW of the same settings. After warm-up, they take turns in one process. The script prints our
images per second divided by theirs (above 1, ours is faster), as median and spread over the rounds,
for the whole step and for its parts. `--size sd21` is the U-Net of Stable Diffusion 2.1 and needs a
GPU. Compilation is not included and printed separately.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from paired_unet import (
    SIZES,
    Size,
    copy_to_torch,
    make_batch,
    our_network,
    random_params,
    torch_network,
)
from train_step_sides import Ours, Theirs

# Largest relative difference of the two first losses.
LOSS_TOLERANCE = {"float32": 1e-3, "bfloat16": 2e-2}
# Layout of the PyTorch side: on CPUs the faster one as measured, on GPUs the recommended one.
CHANNELS_LAST = {"cpu": False, "cuda": True}
# Load average above which the wall times of a run on CPU are not reliable.
BUSY_LOAD = 0.5


def missing_packages() -> list[str]:
    """Returns the packages of the `torch` extra that are not installed."""
    return [name for name in ("torch", "diffusers") if importlib.util.find_spec(name) is None]


def seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """Returns the wall time of a call, and the CPU time of all its threads, in seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - processor


def alternate(
    ours: Callable[[int], Any], theirs: Callable[[int], Any], rounds: int, turn_seconds: float
) -> dict[str, dict[str, list[float]]]:
    """Times both sides in turns (A B A B ...), after a warm-up.

    A turn repeats the call until it lasts about `turn_seconds`, equally often on both sides.

    Args:
        ours: Our function, which takes the number of repeats.
        theirs: Their function, which takes the number of repeats.
        rounds: Number of turns of each side.
        turn_seconds: Approximate length of a turn.

    Returns:
        {"wall" or "processor": {side: seconds per call, one value per round}}.
    """
    sides = {Ours.name: ours, Theirs.name: theirs}
    for _ in range(2):
        longest = max(seconds(partial(call, 1))[0] for call in sides.values())
    repeats = max(1, round(turn_seconds / longest))
    times = {clock: {name: [] for name in sides} for clock in ("wall", "processor")}
    for _ in range(rounds):
        for name, call in sides.items():
            for clock, value in zip(times, seconds(partial(call, repeats)), strict=True):
                times[clock][name].append(value / repeats)
    return times


def ratios(times: dict[str, list[float]]) -> dict[str, float]:
    """Returns our speed divided by theirs over the rounds: median, minimum and maximum."""
    each = [b / a for a, b in zip(times[Ours.name], times[Theirs.name], strict=True)]
    return {"median": statistics.median(each), "min": min(each), "max": max(each)}


PARTS = {
    "train step": "step",
    "forward": "forward",
    "forward + backward": "gradient",
    "optimizer alone": "optimizer",
}


def make_sides(
    size: Size, count: int, dtype: str, attention: str, torch_options: tuple[str, bool, bool]
) -> tuple[Ours, Theirs, int]:
    """Builds both sides with equal weights, and returns them and the number of parameters.

    Args:
        size: The network.
        count: Number of examples in the batch.
        dtype: Compute dtype.
        attention: Attention kernel of our side.
        torch_options: Device, channels last, and compiled for PyTorch.
    """
    batch = make_batch(size, count)
    model = our_network(size, dtype, attention)
    params = random_params(model, batch)
    network = torch_network(size)
    parameters = copy_to_torch(params, network)
    return Ours(model, params, batch), Theirs(network, batch, dtype, *torch_options), parameters


def run(arguments: argparse.Namespace) -> dict:
    import diffusers
    import jax
    import torch

    from rdc_jax.evaluation.machine import hardware
    from rdc_jax.evaluation.results_file import write_results

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    size = SIZES[arguments.size]
    dtype = arguments.dtype or size.dtype
    count = arguments.batch or size.batch
    gpu = jax.default_backend() == "gpu"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if gpu != (device == "cuda"):
        raise SystemExit(f"jax runs on {jax.default_backend()}, torch on {device}: no comparison")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("high")  # the default of jax on GPUs; no effect on CPUs
    channels_last, compiled = arguments.channels_last, arguments.compile
    channels_last = channels_last if channels_last is not None else CHANNELS_LAST[device]
    compiled = compiled if compiled is not None else gpu

    ours, theirs, parameters = make_sides(
        size, count, dtype, arguments.attention, (device, channels_last, compiled)
    )
    first = {side.name: side.forward() for side in (ours, theirs)}
    difference = abs(first["rdc"] / first["torch"] - 1)
    results = {
        "hardware": f"{hardware()}, torch {torch.__version__}, diffusers {diffusers.__version__}",
        "size": arguments.size,
        "dtype": dtype,
        "batch": count,
        "latent": [size.latent, size.latent, size.in_channels],
        "attention": arguments.attention,
        "channels_last": channels_last,
        "torch_compile": compiled,
        "torch_threads": torch.get_num_threads(),
        "load_before": load,
        "parameters": parameters,
        "first_loss": first,
        "loss_difference": difference,
    }
    print_setting(results)
    if not difference < LOSS_TOLERANCE[dtype]:
        raise SystemExit("the losses disagree: the networks are not the same")

    results["first_step_seconds"] = {side.name: seconds(side.step)[0] for side in (ours, theirs)}
    results["seconds"], results["ratio"] = {}, {}
    for part, method in PARTS.items():
        times = alternate(
            getattr(ours, method), getattr(theirs, method), arguments.rounds, arguments.turn_seconds
        )
        if part == "train step":  # both sides have made the same number of steps
            results["last_loss"] = {side.name: side.step() for side in (ours, theirs)}
        results["seconds"][part] = times
        results["ratio"][part] = {clock: ratios(times[clock]) for clock in times}
    write_results(arguments.out, results)
    print_summary(results)
    return results


def print_setting(results: dict) -> None:
    height, width, channels = results["latent"]
    layout = "channels last" if results["channels_last"] else "channels first"
    mode = "compiled" if results["torch_compile"] else "eager"
    print(
        f"{results['size']}: {results['parameters'] / 1e6:.2f} M parameters on both sides, batch "
        f"{results['batch']}, latents {height}x{width}x{channels}, {results['dtype']}; "
        f"{results['hardware']}\n"
        f"torch {mode}, {layout}, {results['torch_threads']} threads; rdc with "
        f"{results['attention']} attention\n"
        f"first loss: rdc {results['first_loss']['rdc']:.6f}, torch "
        f"{results['first_loss']['torch']:.6f}, relative difference "
        f"{results['loss_difference']:.1e}",
        flush=True,
    )
    if results["load_before"] > BUSY_LOAD:
        print(f"load average {results['load_before']:.1f}: the machine is busy, do not trust times")


def print_summary(results: dict) -> None:
    from rdc_jax.evaluation.report.text_table import table

    last, start = results["last_loss"], results["first_step_seconds"]
    print(
        f"last loss:  rdc {last['rdc']:.6f}, torch {last['torch']:.6f}, after equally many steps\n"
        f"first step with compilation: rdc {start['rdc']:.1f} s, torch {start['torch']:.1f} s\n"
    )
    medians = {
        part: {name: statistics.median(values) for name, values in times["wall"].items()}
        for part, times in results["seconds"].items()
    }
    step = medians["train step"]
    rows = []
    for part, both in medians.items():
        ratio = results["ratio"][part]["wall"]
        rows.append(
            (
                part,
                *(f"{both[name]:.4f}" for name in both),
                *(f"{100 * both[name] / step[name]:.0f} %" for name in both),
                f"{ratio['median']:.3f}",
                f"{ratio['min']:.3f} to {ratio['max']:.3f}",
                f"{results['ratio'][part]['processor']['median']:.3f}",
            )
        )
    header = ("median", "rdc s", "torch s", "of rdc's step", "of torch's", "speed rdc / torch")
    print(table((*header, "over rounds", "by processor time"), rows))
    rate = {name: results["batch"] / value for name, value in step.items()}
    print(
        f"\nimages per second: rdc {rate['rdc']:.2f}, torch {rate['torch']:.2f}; "
        f"rdc / torch {results['ratio']['train step']['wall']['median']:.3f}"
    )
    print(json.dumps({"ratio": results["ratio"]["train step"]["wall"]}))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choice = argparse.BooleanOptionalAction
    parser.add_argument("--size", choices=tuple(SIZES), default="small")
    parser.add_argument("--dtype", choices=tuple(LOSS_TOLERANCE), help="compute dtype")
    parser.add_argument("--batch", type=int, help="default: that of the size")
    parser.add_argument("--rounds", type=int, default=9, help="number of turns of each side")
    parser.add_argument("--turn-seconds", type=float, default=1.0, help="shortest turn")
    parser.add_argument("--threads", type=int, help="CPU cores for both; default: all")
    parser.add_argument("--compile", action=choice, help="torch.compile; default: on GPUs")
    parser.add_argument("--channels-last", action=choice, help="layout of torch; default: on GPUs")
    parser.add_argument(
        "--attention", choices=("auto", "xla", "cudnn"), default="auto", help="of our side"
    )
    parser.add_argument("--out", default=None, help="results as JSON")
    arguments = parser.parse_args(argv)
    if missing := missing_packages():
        names = " and ".join(missing)
        print(f"error: {names} not installed: pip install torch", file=sys.stderr)
        return 2
    # Must come before jax and torch are imported: they share memory and the allowed cores.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if arguments.threads and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    run(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
