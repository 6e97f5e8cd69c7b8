"""Predicts the time of a program compiled for TPU from its optimised HLO text.

The time of an instruction is the longest of three: the compiler's own cycle count
(`estimated_cycles` of its cost model, which knows how channels fill the matrix unit), the
arithmetic of its matrix products at the published peak, and the bytes that it moves to and from
HBM, padded as its layouts are. The compiler has no count for attention kernels; they count with
their channels padded to the matrix unit.

Two sums bound the step. In the optimistic one, copies and collectives run beside other
instructions unless they take longer in total, and the softmax of attention runs beside its matrix
products. In the pessimistic one, collectives wait for each other and use half the links, and the
softmax waits for its products.
"""

import dataclasses
import functools
import re
from collections import defaultdict
from math import ceil, prod

import numpy as np

from rdc_jax.training.cost.hardware import Peaks
from rdc_jax.training.cost.hlo_text import BYTES, Instruction, executed, parse

FREE = {"parameter", "get-tuple-element", "tuple", "bitcast", "constant", "copy-done", "slice-done",
        "after-all", "while", "conditional", "call"}  # fmt: skip
COLLECTIVE = re.compile(r"(all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute)")
PALLAS_PRODUCTS = {"splash_mha_fwd": 2, "splash_mha_dkv": 5}
"""Matrix products of query x key size in each kernel of training/attention.py."""
SOFTMAX_OPERATIONS = {"splash_mha_fwd": 6, "splash_mha_dkv": 7}
"""Elementwise operations for each pair of query and key, counted in the kernels' sources.

Forward: maximum, difference, exponential (two), sum, cast. Backward: difference, exponential (two),
difference, product, two casts."""


@dataclasses.dataclass
class Cost:
    """The cost of one group of instructions, on one device."""

    count: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    hbm_bytes: float = 0.0


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The cost of one execution, in seconds where no unit is given."""

    serial: float  # instructions one after the other, asynchronous copies and collectives hidden
    memory: float  # all HBM traffic at full bandwidth
    interconnect: float  # all collectives at full bandwidth
    softmax: float  # of the attention kernels, on the vector unit
    flops: float  # matrix products and convolutions, as compiled
    padded_flops: float  # the same with channels that fill whole tiles of the matrix unit
    hbm_bytes: float
    collective_bytes: float
    groups: dict[str, Cost]  # by pass and operator, most expensive first

    @property
    def seconds(self) -> float:
        """Optimistic: all that can run side by side does."""
        return max(self.serial, self.memory, self.interconnect)

    @property
    def pessimistic_seconds(self) -> float:
        """Nothing runs beside a collective or a softmax, and half the links are used."""
        return max(self.serial + self.softmax, self.memory) + 2 * self.interconnect


def predict(hlo: str, peaks: Peaks) -> Prediction:
    """The prediction from `compiled.as_text()` of a program for TPU."""
    computations, entry = parse(hlo)
    groups: dict[str, Cost] = defaultdict(Cost)
    hidden_bytes = softmax = padded = 0.0
    for name, times in executed(computations, entry):
        shapes = {key: i.shapes for key, i in computations[name].items()}
        for instruction in computations[name].values():
            opcode = instruction.opcode
            if opcode in FREE or opcode.endswith("-done"):
                continue
            moved = hbm_bytes(instruction, shapes)
            if COLLECTIVE.match(opcode):
                continue
            if opcode.endswith("-start"):
                hidden_bytes += times * moved / 2  # its tuple names source and destination
                continue
            flops = arithmetic(instruction, computations, shapes, peaks.tile)
            padded += times * arithmetic(instruction, computations, shapes, peaks.tile, True)
            cycles = re.search(r'"estimated_cycles":"(\d+)"', instruction.text)
            seconds = max(
                int(cycles[1]) / peaks.clock if cycles else 0.0,
                flops / peaks.flops,
                moved / peaks.bandwidth,
            )
            softmax += times * softmax_operations(instruction, shapes) / (peaks.vector or np.inf)
            cost = groups[group_name(instruction)]
            cost.count += times
            cost.seconds += times * seconds
            cost.flops += times * flops
            cost.hbm_bytes += times * moved
    collective = collective_bytes(computations, dict(executed(computations, entry)))
    ordered = dict(sorted(groups.items(), key=lambda item: -item[1].seconds))
    bytes_moved = hidden_bytes + sum(cost.hbm_bytes for cost in ordered.values())
    return Prediction(
        serial=sum(cost.seconds for cost in ordered.values()),
        memory=bytes_moved / peaks.bandwidth,
        interconnect=collective / peaks.interconnect,
        softmax=softmax,
        flops=sum(cost.flops for cost in ordered.values()),
        padded_flops=padded,
        hbm_bytes=bytes_moved,
        collective_bytes=collective,
        groups=ordered,
    )


def array_bytes(shape: tuple[str, tuple[int, ...], str, str]) -> float:
    """Bytes of an array without padding."""
    return float(BYTES[shape[0]] * prod(shape[1]))


def padded_bytes(shape: tuple[str, tuple[int, ...], str, str]) -> float:
    """Bytes of an array as laid out: its two minor axes fill whole tiles."""
    dtype, sizes, order, tiling = shape
    physical = [sizes[int(i)] for i in order.split(",") if i][::-1] or list(sizes)
    tile = re.search(r"T\((\d+)(?:,(\d+))?\)", tiling)
    if tile and physical:
        extents = [int(n) for n in tile.groups() if n]
        for axis, extent in zip(range(-len(extents), 0), extents, strict=True):
            if len(physical) >= -axis:
                physical[axis] = extent * ceil(physical[axis] / extent)
    return float(BYTES[dtype] * prod(physical))


def hbm_bytes(instruction: Instruction, shapes: dict) -> float:
    """Results and operands of an instruction that lie in HBM, not in the on-chip memory S(1)."""
    arrays = list(instruction.shapes)
    for operand in instruction.operands:
        arrays += shapes.get(operand, [])
    return sum(padded_bytes(s) for s in arrays if not re.search(r"S\([1-9]\)", s[3]))


def collective_bytes(
    computations: dict[str, dict[str, Instruction]], times: dict[str, int]
) -> float:
    """Bytes that collectives bring to a device; the larger of input and output.

    The compiler spreads one collective over several fusions to hide it behind other work; they
    share its channel, and it is counted once, or as often as its loop runs. All-reduces move
    everything twice.
    """
    channels: dict[str, float] = {}
    for computation, instructions in computations.items():
        shapes = {key: i.shapes for key, i in instructions.items()}
        for name, instruction in instructions.items():
            kind = COLLECTIVE.match(instruction.opcode)
            if kind is None or instruction.opcode.endswith("-done"):
                continue
            channel = re.search(r"channel_id=(\d+)", instruction.text)
            out = sum(array_bytes(shape) for shape in instruction.shapes)
            into = sum(array_bytes(s) for o in instruction.operands for s in shapes.get(o, []))
            size = max(out, into) * (2 if kind[1] == "all-reduce" else 1)
            size *= times.get(computation, 1)
            key = channel[1] if channel else name
            channels[key] = max(channels.get(key, 0.0), size)
    return sum(channels.values())


def arithmetic(
    instruction: Instruction, computations: dict, shapes: dict, tile: int, padded: bool = False
) -> float:
    """Floating-point operations of the matrix products in an instruction and all that it calls.

    Args:
        instruction: To count.
        computations: All of the program.
        shapes: Of the results in the instruction's computation.
        tile: Side of the matrix unit.
        padded: Whether channels of convolutions are counted in whole tiles.
    """
    if instruction.opcode == "convolution":
        return convolution_flops(instruction, shapes) * (
            padding_of_channels(instruction, shapes, tile) if padded else 1.0
        )
    if instruction.opcode == "custom-call":
        return pallas_flops(instruction, shapes, tile)
    total = 0.0
    for name in re.findall(r"calls=%([\w.\-]+)", instruction.text):
        inner = {key: i.shapes for key, i in computations[name].items()}
        for called in computations[name].values():
            if called.opcode in ("convolution", "fusion"):
                total += arithmetic(called, computations, inner, tile, padded)
    return total


def padding_of_channels(instruction: Instruction, shapes: dict, tile: int) -> float:
    """Channels of a convolution in whole tiles of the matrix unit, divided by its channels."""
    _, right, _ = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", instruction.text).groups()
    kernel = shapes[instruction.operands[1]][0][1]
    channels = [kernel[right.index(axis)] for axis in "io"]
    return prod(tile * ceil(n / tile) / n for n in channels)


def convolution_flops(instruction: Instruction, shapes: dict) -> float:
    """Two operations for each output, input feature and tap that meets an input.

    Matrix products appear as convolutions too, with their batch axes as windows that mostly lie in
    the padding. Those taps cost nothing.
    """
    left, right, out = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", instruction.text).groups()
    inputs, kernel = (shapes[operand][0][1] for operand in instruction.operands[:2])
    result = instruction.shapes[0][1]
    window = dict(re.findall(r"(\w+)=([\dx_\-]+)", instruction.text.split("window={")[-1]))

    def field(name, default):
        values = window.get(name)
        return values.split("x") if values else [default] * sum(c.isdigit() for c in out)

    total = 2.0 * kernel[right.index("i")]
    for label, size in zip(out, result, strict=True):
        total *= 1 if label.isdigit() else size
    axes = zip(
        *(field(*f) for f in (("size", "1"), ("stride", "1"), ("pad", "0_0"), ("lhs_dilate", "1"),
                              ("rhs_dilate", "1"))),
        strict=True,
    )  # fmt: skip
    for axis, (taps, stride, pad, spread, hole) in enumerate(axes):
        length = inputs[left.index(str(axis))]
        places = result[out.index(str(axis))]
        total *= meetings(
            places, int(taps), int(stride), int(pad.split("_")[0]), int(spread), int(hole), length
        )
    return total


@functools.cache
def meetings(
    places: int, taps: int, stride: int, padding: int, spread: int, hole: int, length: int
) -> int:
    """Pairs of an output place and a tap that meet an input along an axis.

    Args:
        places: Number of outputs.
        taps: Size of the kernel.
        stride: Of the outputs.
        padding: Before the first input.
        spread: Dilation of the inputs.
        hole: Dilation of the kernel.
        length: Number of inputs.
    """
    at = np.arange(places)[:, None] * stride + np.arange(taps)[None] * hole - padding
    return int(np.sum((at >= 0) & (at <= (length - 1) * spread) & (at % spread == 0)))


def pallas_flops(instruction: Instruction, shapes: dict, tile: int) -> float:
    """Matrix products of an attention kernel, its channels padded to `tile`; 0 for other calls."""
    found = attention_kernel(instruction, shapes)
    if found is None:
        return 0.0
    kernel, pairs, channels = found
    return 2.0 * PALLAS_PRODUCTS[kernel] * pairs * tile * ceil(channels / tile)


def softmax_operations(instruction: Instruction, shapes: dict) -> float:
    """Elementwise operations of an attention kernel; 0 for other instructions."""
    found = attention_kernel(instruction, shapes)
    return SOFTMAX_OPERATIONS[found[0]] * found[1] if found else 0.0


def attention_kernel(instruction: Instruction, shapes: dict) -> tuple[str, float, int] | None:
    """Name, pairs of query and key, and channels of a kernel; None for other instructions."""
    kernel = next((k for k in PALLAS_PRODUCTS if instruction.name.startswith(k)), None)
    if kernel is None or instruction.opcode != "custom-call":
        return None
    sizes = [shapes[operand][0][1] for operand in instruction.operands if shapes.get(operand)]
    # query [B,heads,n,c], key [B,heads,m,c]
    query, key = [size for size in sizes if len(size) == 4][:2]
    return kernel, prod(query[:3]) * key[2], query[3]


def group_name(instruction: Instruction) -> str:
    """Forward, backward or update, and the JAX operator that an instruction came from."""
    for kernel in PALLAS_PRODUCTS:
        if instruction.name.startswith(kernel):
            return f"attention kernel {kernel}"
    found = re.search(r'op_name="([^"]*)"', instruction.text)
    if not found:
        return f"compiler {instruction.opcode}"
    path = found[1]
    phase = "backward" if "transpose(" in path else "forward" if "jvp(" in path else "update"
    operator = path.split("/")[-1]
    for part, kind in (("norm", "norm"), ("GroupNorm", "norm"), ("attn1", "attention"),
                       ("attn2", "cross-attention")):  # fmt: skip
        if re.search(rf"/{part}[^/]*/(?!.*(conv_general|dot_general))", path):
            return f"{phase} {kind}"
    return f"{phase} {operator}"
