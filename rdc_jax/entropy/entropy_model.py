"""All integers that decide a symbol: network, tables, and a schedule of quantiser steps.

Made from float parameters once, at export (`model_folder.entropy_arrays`), and stored with a model.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from rdc_jax.entropy import tables
from rdc_jax.entropy.accumulator_bounds import EXACT_LIMIT
from rdc_jax.entropy.integer_layers import ONE
from rdc_jax.entropy.integer_network import IntegerHyperprior
from rdc_jax.entropy.mean_scale_network import IntegerMeanScale
from rdc_jax.errors import RdcError

STEP_BITS = 20  # fractional bits of a quantiser step in units of latent_unit
SHRINK_BITS = 16  # fractional bits of a Wiener weight


@dataclasses.dataclass(frozen=True)
class EntropyModel:
    """Everything the entropy path needs; integers only.

    latent_unit: power of two. step_fixed: int64 [1001,C or 1], Delta(t) / latent_unit at 20
    fractional bits. log2_step_fixed: likewise, log2 Delta(t) at 10 fractional bits. shrink: int64
    [80], Wiener weight of each scale index at 16 fractional bits, 0..2**16. dither: False for plain
    rounding around the mean. silent_scales: elements at one of this many lowest scale indexes have
    no symbol. continued_context: the context goes on past a side that ends within a hyper-latent's
    cell, see `latent_coding.continued`; models made before there was this have zeros there.
    """

    bank: tables.TableBank
    network: IntegerHyperprior | IntegerMeanScale
    latent_unit: int
    step_fixed: np.ndarray
    log2_step_fixed: np.ndarray
    shrink: np.ndarray
    dither: bool = True
    silent_scales: int = 0
    continued_context: bool = False

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> "EntropyModel":
        """From the arrays of `export_arrays`; raises RdcError for anything else."""
        groups: dict[str, dict[str, np.ndarray]] = {"tables": {}, "network": {}, "schedule": {}}
        for key, array in arrays.items():
            group, _, name = key.partition("/")
            if group not in groups:
                raise RdcError(f"the entropy model of these weights is damaged: unknown {key!r}")
            groups[group][name] = array
        schedule = groups["schedule"]
        switches = {}
        for name, absent in (("dither", 1), ("continued_context", 0)):
            value = schedule.pop(name, np.full(1, absent, np.int64))
            if value.shape != (1,) or value[0] not in (0, 1):
                raise RdcError(f"the entropy model of these weights is damaged: check {name!r}")
            switches[name] = bool(value[0])
        silent = schedule.pop("silent_scales", np.zeros(1, np.int64))
        if silent.shape != (1,) or not 0 <= silent[0] <= tables.NUM_SCALES:
            raise RdcError("the entropy model of these weights is damaged: check 'silent_scales'")
        if set(schedule) != {"latent_unit", "step_fixed", "log2_step_fixed", "shrink"}:
            raise RdcError("the entropy model of these weights is damaged: schedule incomplete")
        shrink = schedule["shrink"]
        if shrink.dtype != np.int32 or shrink.shape != (tables.NUM_SCALES,):
            raise RdcError("the entropy model of these weights is damaged: check 'shrink'")
        if shrink.min() < 0 or shrink.max() > 1 << SHRINK_BITS:
            raise RdcError("the entropy model of these weights is damaged: 'shrink' out of range")
        network = network_of(groups["network"])
        _check_steps(schedule, network.latent_channels)
        return EntropyModel(
            bank=tables.TableBank.from_arrays(groups["tables"]),
            network=network,
            latent_unit=int(schedule["latent_unit"][0]),
            step_fixed=schedule["step_fixed"].astype(np.int64),
            log2_step_fixed=schedule["log2_step_fixed"].astype(np.int64),
            shrink=shrink.astype(np.int64),
            silent_scales=int(silent[0]),
            **switches,
        )


def network_of(arrays: Mapping[str, np.ndarray]) -> IntegerHyperprior | IntegerMeanScale:
    """The network of the "network/" arrays; RdcError for what is incomplete or could overflow."""
    kind = IntegerMeanScale if "h_a_0.weight" in arrays else IntegerHyperprior
    return kind(arrays)


def accumulator_record(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What no sum of the network can exceed, ready for JSON; `arrays` as `from_arrays` takes them.

    {"limit": 2**53, "largest_magnitude": {layer: {"checked", "reachable"}}}, see
    `accumulator_bounds`. Raises RdcError for weights that could overflow.
    """
    prefix = "network/"
    network = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    return {"limit": EXACT_LIMIT, "largest_magnitude": network_of(network).bounds}


def _check_steps(schedule: Mapping[str, np.ndarray], channels: int) -> None:
    """Raises RdcError unless values of any symbol fit int64: steps are positive and int32."""
    unit = schedule["latent_unit"]
    if unit.dtype != np.int64 or unit.shape != (1,) or not 1 <= unit[0] <= 1 << 30:
        raise RdcError("the entropy model of these weights is damaged: check 'latent_unit'")
    for name in ("step_fixed", "log2_step_fixed"):
        steps = schedule[name]
        if steps.dtype != np.int32 or steps.shape not in ((1001, 1), (1001, channels)):
            raise RdcError(f"the entropy model of these weights is damaged: check {name!r}")
    if schedule["step_fixed"].min() < 1:
        raise RdcError("the entropy model of these weights is damaged: a step is not positive")


def schedule_arrays(
    step_table: np.ndarray, latent_unit: float, dither: bool = True, silent_scales: int = 0
) -> dict[str, np.ndarray]:
    """Delta(0..1000), float64 [1001,C or 1] -> the schedule's integers, made once at export."""
    power = tables.relative_scale(np.arange(tables.NUM_SCALES)) ** 2
    switches = {"continued_context": np.ones(1, np.int64)}
    if not dither:
        switches["dither"] = np.zeros(1, np.int64)
    if silent_scales:
        switches["silent_scales"] = np.array([silent_scales], np.int64)
    return switches | {
        "latent_unit": np.array([int(latent_unit)], np.int64),
        "step_fixed": np.rint(step_table / latent_unit * 2**STEP_BITS).astype(np.int32),
        "log2_step_fixed": np.rint(np.log2(step_table) * ONE).astype(np.int32),
        "shrink": np.rint(power / (power + 1 / 12) * 2**SHRINK_BITS).astype(np.int32),
    }
