"""All integers that decide a symbol: network, tables, and a schedule of quantiser steps.

They are made from float parameters once, when a model is exported, and stored with the model.
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
    """Everything the entropy path needs, in integers only.

    Attributes:
        bank: Probability tables.
        network: The integer network that predicts mean and scale of each element.
        latent_unit: Unit of the latent, a power of two.
        step_fixed: int64 [1001,C or 1], Delta(t) / latent_unit at 20 fractional bits.
        log2_step_fixed: int64 [1001,C or 1], log2 Delta(t) at 10 fractional bits.
        shrink: int64 [80], Wiener weight of each scale index at 16 fractional bits, 0..2**16.
        dither: False for plain rounding around the mean.
        skipped_scales: Skip mode. Elements whose scale index is below this number have no symbol.
            0 turns skip mode off.
        continued_context: True if the context continues beyond a border that lies inside a cell of
            the hyper-latent, see `wiener_context.continued`. Older models have zeros there.
    """

    bank: tables.TableBank
    network: IntegerHyperprior | IntegerMeanScale
    latent_unit: int
    step_fixed: np.ndarray
    log2_step_fixed: np.ndarray
    shrink: np.ndarray
    dither: bool = True
    skipped_scales: int = 0
    continued_context: bool = False

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> "EntropyModel":
        """Builds the model from the arrays that are stored with a model's weights.

        Args:
            arrays: Arrays by name. A name starts with "tables/", "network/" or "schedule/".

        Raises:
            RdcError: an array is missing, unknown or damaged, or sums could overflow.
        """
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
        # "silent_scales" is the name on disk of `skipped_scales`; models without skip mode lack it.
        skipped = schedule.pop("silent_scales", np.zeros(1, np.int64))
        if skipped.shape != (1,) or not 0 <= skipped[0] <= tables.NUM_SCALES:
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
            skipped_scales=int(skipped[0]),
            **switches,
        )


def network_of(arrays: Mapping[str, np.ndarray]) -> IntegerHyperprior | IntegerMeanScale:
    """Builds the network from the "network/" arrays, whose names lack this prefix.

    Raises:
        RdcError: the arrays are incomplete, or sums could overflow.
    """
    kind = IntegerMeanScale if "h_a_0.weight" in arrays else IntegerHyperprior
    return kind(arrays)


def accumulator_record(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns proven bounds on the sums of the network, ready for JSON.

    Args:
        arrays: Arrays as `EntropyModel.from_arrays` takes them.

    Returns:
        {"limit": 2**53, "largest_magnitude": {layer: {"checked", "reachable"}}}, see
        `accumulator_bounds`.

    Raises:
        RdcError: sums could overflow.
    """
    prefix = "network/"
    network = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    return {"limit": EXACT_LIMIT, "largest_magnitude": network_of(network).bounds}


def _check_steps(schedule: Mapping[str, np.ndarray], channels: int) -> None:
    """Raises RdcError unless steps are positive int32, so that all values fit int64."""
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
    step_table: np.ndarray, latent_unit: float, dither: bool = True, skipped_scales: int = 0
) -> dict[str, np.ndarray]:
    """Makes the integers of the schedule, once, when a model is exported.

    Args:
        step_table: float64 [1001,C or 1], quantiser steps Delta(0..1000).
        latent_unit: Unit of the latent, a power of two.
        dither: False for plain rounding around the mean.
        skipped_scales: Number of scale indexes in skip mode, 0..80.

    Returns:
        The "schedule/" arrays, without this prefix.
    """
    power = tables.relative_scale(np.arange(tables.NUM_SCALES)) ** 2
    switches = {"continued_context": np.ones(1, np.int64)}
    if not dither:
        switches["dither"] = np.zeros(1, np.int64)
    if skipped_scales:  # "silent_scales" is the name on disk
        switches["silent_scales"] = np.array([skipped_scales], np.int64)
    return switches | {
        "latent_unit": np.array([int(latent_unit)], np.int64),
        "step_fixed": np.rint(step_table / latent_unit * 2**STEP_BITS).astype(np.int32),
        "log2_step_fixed": np.rint(np.log2(step_table) * ONE).astype(np.int32),
        "shrink": np.rint(power / (power + 1 / 12) * 2**SHRINK_BITS).astype(np.int32),
    }
