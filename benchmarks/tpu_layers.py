"""Predicted time of single layers of `sd21` on a TPU, forward and backward, compiled ahead of time.

    python benchmarks/tpu_layers.py v5e --images 8
    python benchmarks/tpu_layers.py v6e --images 16 --layers attention

A whole step takes 10 to 30 minutes to compile (docs/pods.md), a layer takes seconds. So a change to
a layer is tried here first. It needs libtpu, but no TPU. The layers compute in bfloat16. Gradients
of their float32 parameters are included.
"""

from __future__ import annotations

import argparse
import sys
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import speed
from jax.sharding import NamedSharding, PartitionSpec

from rdc_jax.evaluation.report.text_table import table
from rdc_jax.models.attention import Attention
from rdc_jax.models.gated_gelu import GatedDense
from rdc_jax.training.attention import attention_kernel, compiler_options
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.cost import aot, hlo_cost
from rdc_jax.training.cost.hardware import peaks_of

ONE_HOST = {"v5e": "v5e:2x2", "v6e": "v6e:2x2", "v5p": "v5p:2x2x1"}
LAYERS = ("feed-forward", "attention")


class Level(NamedTuple):
    side: int  # of the latent
    channels: int
    heads: int


LEVELS = (Level(64, 320, 5), Level(32, 640, 10), Level(16, 1280, 20))


def predict(layer: nn.Module, level: Level, images: int, mesh: jax.sharding.Mesh) -> float:
    """Seconds of value and gradient on one device of the mesh.

    Args:
        layer: Takes and returns bfloat16 [B,n,channels].
        level: Size of its input.
        images: Per device.
        mesh: Of the devices to compile for; each computes `images` examples.
    """
    batch = NamedSharding(mesh, PartitionSpec(partitioning.BATCH_AXES))
    everywhere = NamedSharding(mesh, PartitionSpec())
    shape = (images * mesh.devices.size, level.side**2, level.channels)
    x = jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=batch)
    params = jax.eval_shape(layer.init, jax.random.key(0), x)
    params = jax.tree.map(
        lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=everywhere), params
    )

    def value_and_gradients(params, x, cotangent):
        y, backward = jax.vjp(layer.apply, params, x)
        return y, backward(cotangent)

    compiled = jax.jit(value_and_gradients).lower(params, x, x).compile(compiler_options(mesh))
    peaks = peaks_of(mesh.devices.flat[0].device_kind)
    return hlo_cost.predict(compiled.as_text(), peaks).seconds


def run(arguments: argparse.Namespace) -> None:
    devices = aot.topology_devices(ONE_HOST[arguments.chip])
    mesh = partitioning.make_mesh({"replica": 1, "data": -1, "fsdp": 1, "tensor": 1}, devices)
    attend = attention_kernel("auto", mesh, jnp.bfloat16)
    rows = []
    for level in LEVELS:
        made = {
            "feed-forward": nn.Sequential(
                [
                    GatedDense(4 * level.channels, jnp.bfloat16),
                    nn.Dense(level.channels, dtype=jnp.bfloat16),
                ]
            ),
            "attention": Attention(level.heads, attend, jnp.bfloat16),
        }
        for name in arguments.layers:
            seconds = predict(made[name], level, arguments.images, mesh)
            rows.append([name, f"{level.side} x {level.side} x {level.channels}",
                         f"{1e3 * seconds:.2f}"])  # fmt: skip
    print(table([f"{arguments.chip}, {arguments.images} images a chip", "latent", "ms"], rows))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chip", choices=ONE_HOST)
    parser.add_argument("--images", type=int, default=8, help="per chip (default %(default)s)")
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=LAYERS)
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
