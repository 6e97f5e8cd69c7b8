"""How to turn a decoded latent into an image: what a caller asks for, and what follows from it."""

import dataclasses
import math
from typing import Any, Literal

import numpy as np

from rdc_jax.bitstream.container import TAU_UNITS, Header
from rdc_jax.entropy import dither
from rdc_jax.entropy.coded_latent import Conditions
from rdc_jax.errors import RdcError
from rdc_jax.importance import maps
from rdc_jax.model_folder.codec_model import Model

MAX_STEPS = 255
NOISE_SEED = 0x9E3779B9  # added to the file's dither seed to get the seed of the starting noise

Clock = Literal["proportional", "clamped"]
"""How the timesteps of the importance levels fall during sampling, see `diffusion.sampling`."""

Tau = float | np.ndarray | str
"""Strength of the fusion module: a number, an array [H,W], or "roi", see `maps.tau_map`."""


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How to make the image of one decoded latent.

    Attributes:
        steps: Sampler steps, 1 or more.
        clock: How timesteps fall during these steps.
        tau: float32 [h,w] in 0..1, strength of the fusion module at each latent pixel.
        levels: uint8 [h,w], importance level of each latent pixel.
        timesteps: float32 [L], timestep of each of the model's L levels.
    """

    steps: int
    clock: Clock
    tau: np.ndarray
    levels: np.ndarray
    timesteps: np.ndarray


@dataclasses.dataclass(frozen=True)
class SamplingOptions:
    """What a caller asks for. None: use the value that the file suggests."""

    steps: int | None = None
    tau: Tau | None = None
    clock: Clock = "proportional"

    def resolved(self, header: Header, conditions: Conditions, model: Model) -> Sampling:
        """The sampling of one file.

        Args:
            header: Header of the file, which suggests steps and tau.
            conditions: Importance map and timesteps of the file.
            model: The model that decodes it. A file may have fewer levels than its model.

        Raises:
            RdcError: Steps or tau are out of range, or a tau map does not fit the image.
        """
        steps = header.default_steps if self.steps is None else self.steps
        tau = header.default_tau / TAU_UNITS if self.tau is None else self.tau
        check_sampling(steps, tau)
        levels = conditions.levels[: conditions.height, : conditions.width]
        size = header.height, header.width
        taus = maps.tau_map(tau, levels, header.num_levels, size, model.downsampling)
        timesteps = np.full(model.num_levels, conditions.timesteps[-1], np.float32)
        timesteps[: len(conditions.timesteps)] = conditions.timesteps
        return Sampling(steps, self.clock, taus, levels, timesteps)


def check_sampling(steps: int, tau: Any) -> None:
    """Raises RdcError if the number of steps, or a single tau, is out of range."""
    if not isinstance(steps, int | np.integer):
        raise RdcError(f"steps must be a whole number, not {steps!r}")
    if not 1 <= steps <= MAX_STEPS:
        raise RdcError(f"steps {steps} must be between 1 and {MAX_STEPS}")
    if not isinstance(tau, str) and np.ndim(tau) == 0 and not 0.0 <= tau <= 1.0:
        raise RdcError(f"tau {tau} must be between 0 (faithful) and 1 (realistic)")


def starting_noise(
    dither_seed: int, shape: tuple[int, int, int], row0: int = 0, col0: int = 0
) -> np.ndarray:
    """The noise from which a fusion module starts: uniform, with unit variance.

    The noise depends only on the file and the position, so every decoder makes the same noise.

    Args:
        dither_seed: Seed of the file's dither.
        shape: (h, w, C) of the window of the latent.
        row0: First row of the window in the latent.
        col0: First column of the window in the latent.

    Returns:
        float32 [h,w,C].
    """
    seed = (dither_seed + NOISE_SEED) % 2**32
    phases = dither.dither_phases(seed, *shape, row0=row0, col0=col0)
    return (math.sqrt(12.0) * dither.dither_values(phases)).astype(np.float32)
