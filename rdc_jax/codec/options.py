"""The settings of one encoding."""

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from rdc_jax.bitstream.container import TAU_UNITS
from rdc_jax.decoding.sampling import check_sampling
from rdc_jax.errors import RdcError
from rdc_jax.importance import simplification
from rdc_jax.model_folder.fusion_module import Module

DEFAULT_QUALITY = 50.0
DEFAULT_ROI_GAIN = 300.0  # timesteps between background and region of interest


@dataclasses.dataclass(frozen=True)
class EncodeOptions:
    """The settings of one encoding; `Codec.encode` describes each of them."""

    quality: float | None = None
    target_bpp: float | None = None
    target_bytes: int | None = None
    best_effort: bool = False
    importance: Any = None
    levels: np.ndarray | None = None
    roi_gain: float = DEFAULT_ROI_GAIN
    roi_only: bool = False
    map_cost: float = simplification.PERCENT
    seed: int = 0
    steps: int | None = None
    tau: float | None = None
    grey: bool = False
    extras: Mapping[int, bytes] | None = None
    tile: int | None = None
    resilient: bool = False

    def __post_init__(self) -> None:
        """Raises RdcError for a setting of another type, such as text, or a wrong map_cost."""
        for name in ("target_bpp", "target_bytes", "tau", "roi_gain", "map_cost"):
            _check_type(name, getattr(self, name), numbers.Real, "number")
        for name in ("seed", "tile"):
            _check_type(name, getattr(self, name), numbers.Integral, "whole number")
        if not 0 <= self.map_cost < 100:
            raise RdcError(f"map_cost {self.map_cost} is not in 0 to 99 per cent; 0 allows any")

    def hints(self, module: Module | None) -> tuple[int, int]:
        """The steps and tau that the file suggests to decoders, as its header stores them.

        Raises RdcError if one of them is out of range.
        """
        steps, tau = self.steps, self.tau
        if steps is None:
            steps = module.default_steps if module else 1
        if tau is None:
            tau = module.default_tau if module else 1.0
        check_sampling(steps, tau)
        return steps, round(TAU_UNITS * tau)

    def check_seed(self) -> None:
        """Raises RdcError if the seed is not a uint32."""
        if not 0 <= self.seed < 2**32:
            raise RdcError(f"seed {self.seed} must be between 0 and {2**32 - 1}")


def _check_type(name: str, value: Any, kind: type, words: str) -> None:
    """Raises RdcError if a setting is not of its type; None is one only if it is the default."""
    may_be_none = EncodeOptions.__dataclass_fields__[name].default is None
    if not isinstance(value, kind) and not (value is None and may_be_none):
        raise RdcError(f"{name} must be a {words}, not {value!r:.60}")
