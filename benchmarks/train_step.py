"""A train step of our U-Net against the same network in PyTorch, in one command.

    python benchmarks/train_step.py [--size tiny|small|sd21] [--dtype bfloat16] [--batch 16]

Both sides train one network: diffusers' U-Net and ours hold the same parameters (their number and
the first loss are checked), see the same batch, and minimise the mean squared error with AdamW of
the same settings. They take turns in one process after warm-up. Printed: our images per second
divided by theirs (above 1 ours is faster), median and spread over the rounds, for the whole step
and for its parts. `--size sd21` is the U-Net of Stable Diffusion 2.1 and is meant for a GPU.
Compilation is outside and printed apart.
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
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

OPTIMIZER = dict(learning_rate=1e-4, b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-2)
# Most that the two first losses may differ, relative.
LOSS_TOLERANCE = {"float32": 1e-3, "bfloat16": 2e-2}
# The layout of the PyTorch side: on CPUs the faster by measurement, on GPUs by common advice.
CHANNELS_LAST = {"cpu": False, "cuda": True}
# Others' load above which the wall times of a run on CPU are doubtful.
BUSY_LOAD = 0.5


@dataclass(frozen=True)
class Size:
    """One network and its batch; fields as in `UNet`, `context` is (tokens, width) or None."""

    channels: tuple[int, ...]
    layers: int
    heads: tuple[int, ...]
    mid_heads: int
    groups: int
    in_channels: int
    out_channels: int
    latent: int
    context: tuple[int, int] | None
    batch: int
    dtype: str


SIZES = {
    # configs/tiny.py, but with group norm: diffusers knows no other
    "tiny": Size((96, 144, 192), 1, (0, 0, 0), 0, 16, 168, 56, 16, None, 16, "float32"),
    # Stable Diffusion 2.1 at a fifth of the channels and half the latent's side
    "small": Size(
        (64, 128, 256, 256), 2, (1, 2, 4, 0), 4, 32, 4, 4, 32, (77, 256), 4, "float32"
    ),
    "sd21": Size(
        (320, 640, 1280, 1280), 2, (5, 10, 20, 0), 20, 32, 4, 4, 64, (77, 1024), 16, "bfloat16"
    ),
}  # fmt: skip


def missing_packages() -> list[str]:
    """Those of the `torch` extra that are not installed."""
    return [name for name in ("torch", "diffusers") if importlib.util.find_spec(name) is None]


def our_network(size: Size, dtype: str, attention: str = "auto"):
    """The `UNet` of a size as training builds it; parameters are float32, `dtype` computes."""
    import jax

    from rdc_jax.models.unet import UNet
    from rdc_jax.training.attention import attention_kernel

    dtype = jax.numpy.dtype(dtype)
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
    return UNet(
        size.out_channels, size.channels, size.layers, size.heads, size.mid_heads,
        groups=size.groups, dtype=dtype, attend=attention_kernel(attention, mesh, dtype),
    )  # fmt: skip


def torch_network(size: Size):
    """The same network in diffusers, float32."""
    import diffusers

    def blocks(direction: str, heads: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(f"{'CrossAttn' if h else ''}{direction}Block2D" for h in heads)

    shared = dict(
        sample_size=size.latent,
        in_channels=size.in_channels,
        out_channels=size.out_channels,
        block_out_channels=size.channels,
        layers_per_block=size.layers,
        norm_num_groups=size.groups,
        down_block_types=blocks("Down", size.heads),
        up_block_types=blocks("Up", size.heads[::-1]),
    )
    if not size.mid_heads:
        return diffusers.UNet2DModel(**shared, add_attention=False)
    return diffusers.UNet2DConditionModel(
        **shared,
        # despite its name the number of heads; the last one also serves the middle
        attention_head_dim=(*size.heads[:-1], size.mid_heads),
        cross_attention_dim=size.context[1],
        use_linear_projection=True,
    )


def make_batch(size: Size, batch: int) -> dict[str, np.ndarray]:
    """float32 inputs and target: noisy and target [B,h,w,C], timesteps [B], context [B,m,d]."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal((batch, *shape), np.float32)

    arrays = {
        "noisy": draw(size.latent, size.latent, size.in_channels),
        "timesteps": rng.uniform(0, 1000, batch).astype(np.float32),
        "target": draw(size.latent, size.latent, size.out_channels),
    }
    if size.context is not None:
        arrays["context"] = draw(*size.context)
    return arrays


def random_params(model, batch: dict[str, np.ndarray]) -> dict:
    """Random weights in every layer (conv_out starts at zero otherwise), as NumPy arrays."""
    import jax

    inputs = [batch[name][:1] for name in ("noisy", "timesteps", "context") if name in batch]
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)["params"]
    rng = np.random.default_rng(1)

    def draw(path, leaf):
        noise = rng.standard_normal(leaf.shape, np.float32)
        if path[-1].key == "kernel":
            return noise / np.float32(np.sqrt(np.prod(leaf.shape[:-1])))
        return 0.1 * noise + (path[-1].key == "scale")

    return jax.tree.map_with_path(draw, shapes)


def torch_arrays(params: dict) -> dict[str, np.ndarray]:
    """Our parameters (or gradients) by diffusers' names, '_' for '.', in PyTorch's layout.

    Convolutions [kh,kw,in,out] become [out,in,kh,kw], dense kernels [in,out] become [out,in].
    """
    import jax

    def entry(path, leaf):
        *modules, kind = (part.key for part in path)
        array = np.asarray(leaf)
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        return "_".join([*modules, "bias" if kind == "bias" else "weight"]), array

    return dict(entry(*leaf) for leaf in jax.tree.leaves_with_path(params))


def copy_to_torch(params: dict, network) -> int:
    """Copies our parameters into diffusers' network; the number of both.

    Raises:
      ValueError: names or shapes differ, so the networks are not the same.
    """
    import torch

    arrays = torch_arrays(params)
    theirs = {name.replace(".", "_"): value for name, value in network.named_parameters()}
    if different := sorted(arrays.keys() ^ theirs.keys()):
        raise ValueError(f"parameters that only one side has: {', '.join(different)}")
    for name, value in theirs.items():
        if arrays[name].shape != tuple(value.shape):
            raise ValueError(f"{name} is {arrays[name].shape} here, {tuple(value.shape)} there")
        with torch.no_grad():
            value.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name])))
    count = sum(array.size for array in arrays.values())
    assert count == sum(value.numel() for value in network.parameters())
    return count


def our_loss(model, params: Any, batch: dict[str, Any]):
    """Mean squared error of the prediction, float32."""
    import jax.numpy as jnp

    prediction = model.apply(
        {"params": params}, batch["noisy"], batch["timesteps"], batch.get("context")
    )
    return jnp.mean(jnp.square(prediction - batch["target"]))


def torch_loss(network, batch: dict[str, Any], dtype: str):
    """The same in PyTorch; bfloat16 by autocast, as parameters stay float32."""
    import torch

    device = batch["noisy"].device.type
    inputs = [batch[name] for name in ("noisy", "timesteps", "context") if name in batch]
    with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
        prediction = network(*inputs, return_dict=False)[0]
    return (prediction.float() - batch["target"]).square().mean()


def torch_batch(batch: dict[str, np.ndarray], device: str, channels_last: bool) -> dict:
    """The batch as tensors, pictures [B,C,h,w]."""
    import torch

    def tensor(array):
        if array.ndim != 4:
            return torch.from_numpy(array).to(device)
        value = torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2))).to(device)
        return value.to(memory_format=torch.channels_last) if channels_last else value

    return {name: tensor(array) for name, array in batch.items()}


class Ours:
    """Our side: each part is a compiled function that returns when its work is done."""

    name = "rdc"

    def __init__(self, model, params: dict, batch: dict[str, np.ndarray]):
        import jax
        import optax

        optimizer = optax.adamw(**OPTIMIZER)
        loss = partial(our_loss, model)

        def update(state, gradients):
            params, moments = state
            updates, moments = optimizer.update(gradients, moments, params)
            return optax.apply_updates(params, updates), moments

        def step(state, batch):
            value, gradients = jax.value_and_grad(loss)(state[0], batch)
            return update(state, gradients), value

        params = jax.device_put(params)
        self._state = params, jax.jit(optimizer.init)(params)
        self._batch = jax.device_put(batch)
        self._gradients = None
        self._loss = jax.jit(loss)
        self._value_and_grad = jax.jit(jax.value_and_grad(loss))
        self._step = jax.jit(step, donate_argnums=0)
        self._update = jax.jit(update, donate_argnums=0)

    def step(self, repeats: int = 1) -> float:
        for _ in range(repeats):
            self._state, value = self._step(self._state, self._batch)
        return float(value)

    def forward(self, repeats: int = 1) -> float:
        for _ in range(repeats):
            value = self._loss(self._state[0], self._batch)
        return float(value)

    def gradient(self, repeats: int = 1) -> float:
        for _ in range(repeats):
            self._gradients = None  # as the other side: the old ones need not live on
            value, self._gradients = self._value_and_grad(self._state[0], self._batch)
        return float(value)

    def optimizer(self, repeats: int = 1) -> None:
        import jax

        for _ in range(repeats):
            self._state = self._update(self._state, self._gradients)
        jax.block_until_ready(self._state)


class Theirs:
    """PyTorch's side, with the same methods."""

    name = "torch"

    def __init__(
        self, network, batch: dict, dtype: str, device: str, channels_last: bool, compiled: bool
    ):
        import torch

        if channels_last:
            network = network.to(memory_format=torch.channels_last)
        self._network = network.to(device).train()
        if compiled:
            self._network = torch.compile(self._network)
        self._batch = torch_batch(batch, device, channels_last)
        self._dtype, self._device = dtype, device
        self._optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=OPTIMIZER["learning_rate"],
            betas=(OPTIMIZER["b1"], OPTIMIZER["b2"]),
            eps=OPTIMIZER["eps"],
            weight_decay=OPTIMIZER["weight_decay"],
            fused=True,
        )

    def _done(self) -> None:
        if self._device == "cuda":
            import torch

            torch.cuda.synchronize()

    def _gradient(self):
        self._optimizer.zero_grad(set_to_none=True)
        value = torch_loss(self._network, self._batch, self._dtype)
        value.backward()
        return value.detach()

    def step(self, repeats: int = 1) -> float:
        for _ in range(repeats):
            value = self._gradient()
            self._optimizer.step()
        self._done()
        return float(value)

    def forward(self, repeats: int = 1) -> float:
        import torch

        with torch.no_grad():
            for _ in range(repeats):
                value = torch_loss(self._network, self._batch, self._dtype)
        self._done()
        return float(value)

    def gradient(self, repeats: int = 1) -> float:
        for _ in range(repeats):
            value = self._gradient()
        self._done()
        return float(value)

    def optimizer(self, repeats: int = 1) -> None:
        for _ in range(repeats):
            self._optimizer.step()
        self._done()


def seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """Wall time of a call, and the processor time of all its threads."""
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - processor


def alternate(
    ours: Callable[[int], Any], theirs: Callable[[int], Any], rounds: int, turn_seconds: float
) -> dict[str, dict[str, list[float]]]:
    """{"wall"|"processor": {side: seconds per call, one a round}}: A B A B ... after warm-up.

    A turn repeats the call until it lasts about `turn_seconds`, as often on both sides.
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
    """Our speed by theirs, round by round: median, least and greatest."""
    each = [b / a for a, b in zip(times[Ours.name], times[Theirs.name], strict=True)]
    return {"median": statistics.median(each), "min": min(each), "max": max(each)}


PARTS = {
    "train step": "step",
    "forward": "forward",
    "forward + backward": "gradient",
    "optimizer alone": "optimizer",
}


def run(arguments: argparse.Namespace) -> dict:
    import diffusers
    import jax
    import torch

    from rdc_jax.evaluation.report import hardware, write_results

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
    torch.set_float32_matmul_precision("high")  # jax's default on GPUs; no effect on CPUs
    channels_last, compiled = arguments.channels_last, arguments.compile
    channels_last = channels_last if channels_last is not None else CHANNELS_LAST[device]
    compiled = compiled if compiled is not None else gpu

    batch = make_batch(size, count)
    model = our_network(size, dtype, arguments.attention)
    params = random_params(model, batch)
    network = torch_network(size)
    parameters = copy_to_torch(params, network)
    ours = Ours(model, params, batch)
    theirs = Theirs(network, batch, dtype, device, channels_last, compiled)
    del params

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
        if part == "train step":  # both have made as many steps
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
        print(f"load average {results['load_before']:.1f}: others compute here, wall times mislead")


def print_summary(results: dict) -> None:
    from rdc_jax.evaluation.report import table

    last, start = results["last_loss"], results["first_step_seconds"]
    print(
        f"last loss:  rdc {last['rdc']:.6f}, torch {last['torch']:.6f}, after as many steps\n"
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
    parser.add_argument("--dtype", choices=tuple(LOSS_TOLERANCE), help="of the computation")
    parser.add_argument("--batch", type=int, help="default: by size")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side")
    parser.add_argument("--turn-seconds", type=float, default=1.0, help="least length of a turn")
    parser.add_argument("--threads", type=int, help="CPU cores for both; default: all")
    parser.add_argument("--compile", action=choice, help="torch.compile; default: on GPUs")
    parser.add_argument("--channels-last", action=choice, help="layout of torch; default: on GPUs")
    parser.add_argument(
        "--attention", choices=("auto", "xla", "cudnn"), default="auto", help="ours"
    )
    parser.add_argument("--out", default=None, help="results as JSON")
    arguments = parser.parse_args(argv)
    if missing := missing_packages():
        names = " and ".join(missing)
        print(f"error: {names} not installed: pip install 'rdc_jax[torch]'", file=sys.stderr)
        return 2
    # Before jax and torch are imported: leave each other memory, count the cores allowed.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if arguments.threads and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    run(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
