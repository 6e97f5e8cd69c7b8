"""Timesteps of importance levels and of quality settings.

Levels map to timesteps in integer arithmetic, so all decoders agree.
"""

import math
import numbers

import numpy as np

from rdc_jax.diffusion.units import MAX_TIMESTEP
from rdc_jax.errors import RdcError

TRAINED_MARGIN = 60  # training covers this many timesteps beyond the range that qualities use


def check_levels(num_levels: int) -> None:
    """Raises RdcError unless the number of levels is 1 to 256."""
    if not 1 <= num_levels <= 256:
        raise RdcError(f"the number of importance levels must be 1 to 256, got {num_levels}")


def level_timesteps(timestep_background: int, timestep_roi: int, num_levels: int) -> np.ndarray:
    """Returns the timestep of each level, linear from background to region of interest.

    t_l = round_half_up(background + (roi - background) l / (num_levels - 1)), computed in integers.
    A single level is the region.

    Args:
        timestep_background: Timestep of level 0.
        timestep_roi: Timestep of the highest level.
        num_levels: Number of levels, 1 to 256.

    Returns:
        int64 [num_levels].

    Raises:
        RdcError: the number of levels is out of range, or a timestep is negative.
    """
    check_levels(num_levels)
    background, roi = int(timestep_background), int(timestep_roi)
    if background < 0 or roi < 0:
        raise RdcError(f"timesteps must not be negative, got {background} and {roi}")
    if num_levels == 1:
        return np.array([roi], np.int64)
    steps = num_levels - 1
    numerators = background * steps + (roi - background) * np.arange(num_levels, dtype=np.int64)
    return (2 * numerators + steps) // (2 * steps)


def importance_values(num_levels: int) -> np.ndarray:
    """Returns the importance of each level, l / (num_levels - 1) or 1 for a single level.

    Returns:
        float32 [num_levels] in [0,1].
    """
    check_levels(num_levels)
    if num_levels == 1:
        return np.ones(1, np.float32)
    return np.arange(num_levels, dtype=np.float32) / np.float32(num_levels - 1)


def quality_to_timesteps(
    quality: float, roi_gain: float, t_min: int, t_max: int
) -> tuple[int, int]:
    """Returns the timesteps of background and region for a quality setting.

    t(quality) is linear: t_max at quality 0, t_min at quality 100. The region gets t - roi_gain / 2
    and the background t + roi_gain / 2, rounded and limited to [t_min, t_max]. Use a gain of 0 if
    the whole image is equally important.

    Args:
        quality: 0 (smallest file) to 100 (closest to the original).
        roi_gain: How many timesteps the region lies below the background, at least 0.
        t_min: Smallest usable timestep, at least 0.
        t_max: Largest usable timestep, at least `t_min`.

    Returns:
        (background, roi).

    Raises:
        RdcError: an argument is out of range.
    """
    if not isinstance(quality, numbers.Real):
        raise RdcError(f"quality must be a number from 0 to 100, not {quality!r}")
    if not 0 <= quality <= 100:
        raise RdcError(f"quality {quality} is not in 0 to 100")
    if not (roi_gain >= 0 and math.isfinite(roi_gain)):
        raise RdcError(f"roi gain {roi_gain} must be a number of timesteps, 0 or more")
    if not 0 <= t_min <= t_max:
        raise RdcError(f"timestep range {t_min} to {t_max} is empty or negative")
    centre = t_max + (t_min - t_max) * quality / 100

    def nearest(timestep: float) -> int:
        return min(max(math.floor(timestep + 0.5), t_min), t_max)

    return nearest(centre + roi_gain / 2), nearest(centre - roi_gain / 2)


def region_only_timesteps(quality: float, t_min: int, t_max: int) -> tuple[int, int]:
    """Returns the timesteps of background and region if only the region matters.

    The background gets the highest timestep that training covers, TRAINED_MARGIN above t_max.
    Beyond it the denoiser no longer knows colours, and files do not get smaller.

    Args:
        quality: 0 to 100, as in `quality_to_timesteps`.
        t_min: Smallest usable timestep.
        t_max: Largest usable timestep.

    Returns:
        (background, roi).

    Raises:
        RdcError: an argument is out of range.
    """
    _, roi = quality_to_timesteps(quality, 0.0, t_min, t_max)
    return min(t_max + TRAINED_MARGIN, MAX_TIMESTEP), roi
