"""The settings of one encoding."""

import dataclasses
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
