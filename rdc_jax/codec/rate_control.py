"""Finds the quality that hits a file size, in few codings.

Timesteps are integers, so one image has only some hundred different files. An estimate of their
sizes, from the latent alone, says which one to code first; the sizes of coded files correct it.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rdc_jax.entropy.coded_latent import Conditions
from rdc_jax.entropy.entropy_model import STEP_BITS, EntropyModel
from rdc_jax.errors import RdcError

TOLERANCE = 0.01  # a file that is smaller than the target by at most this share is close enough
NEAR = 0.02  # the share that users are promised, if steps of one timestep allow it
PATIENCE = 3  # after so many codings, twice the tolerance is close enough
CODINGS = 12  # at most; three are usual
BLOCK = 4  # side of a block whose latent pixels share a variance in the estimate
SAMPLE = 1 << 15  # largest number of blocks in the estimate


def target_bytes(
    height: int,
    width: int,
    quality: float | None,
    bpp: float | None,
    size: int | None,
) -> int | None:
    """The largest size allowed, in bytes.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        quality: The quality asked for, or None.
        bpp: Most bits per pixel of the whole file, or None.
        size: Most bytes, or None.

    Returns:
        None if there is no limit.

    Raises:
        RdcError: Two of the three are given, or a limit is not above 0.
    """
    if sum(wish is not None for wish in (quality, bpp, size)) > 1:
        raise RdcError("give one of quality, target_bpp and target_bytes, not both or all")
    if size is not None:
        if not size >= 1:
            raise RdcError(f"target size {size} must be 1 byte or more")
        return math.floor(size)
    if bpp is None:
        return None
    if not 0 < bpp < math.inf:
        raise RdcError(f"a target of {bpp:g} bits per pixel is not possible; give one such as 0.2")
    most = math.floor(bpp * height * width / 8)
    return most + (8 * (most + 1) / (height * width) <= bpp)  # the product was rounded


def distinct_qualities(
    timesteps_at: Callable[[float], tuple[int, int]], t_min: int, t_max: int
) -> list[float]:
    """Qualities 0..100, ascending, one for each pair of timesteps.

    Args:
        timesteps_at: Gives the (background, region) timesteps of a quality.
        t_min: Smallest timestep that qualities use.
        t_max: Largest timestep that qualities use.
    """
    count = max(1, t_max - t_min)
    qualities = [100.0 * i / count for i in range(count + 1)]
    pairs = [timesteps_at(quality) for quality in qualities]
    return [q for i, q in enumerate(qualities) if i == 0 or pairs[i] != pairs[i - 1]]


def size_estimate(
    entropy: EntropyModel,
    latent: np.ndarray,
    conditions_at: Callable[[float], Conditions],
    besides: int = 0,
) -> Callable[[float], float]:
    """Estimates the size of the file from the latent alone.

    An element of variance v, quantised with dither at step d, takes about log2(1 + 12 v / d^2) / 2
    bits (the information of a Gaussian through uniform noise). v is measured over blocks of BLOCK x
    BLOCK latent pixels. That ignores the predictions of the entropy model, so the estimate is only
    right within about a third, but it is fast. In a large latent, evenly spread blocks stand for
    all.

    Args:
        entropy: The integer part of the model, which has the quantisation steps.
        latent: float32 [h,w,C], the clean latent.
        conditions_at: Gives the map and timesteps of a quality; the map is always the same.
        besides: Bytes of the file that are known already.

    Returns:
        The function quality -> bytes.
    """
    levels = conditions_at(0.0).levels
    h4, w4 = (n // BLOCK for n in levels.shape)
    padding = [(0, n - m) for n, m in zip(levels.shape, latent.shape, strict=False)]
    every = max(1, math.isqrt(h4 * w4 // SAMPLE))
    blocks = np.pad(latent, [*padding, (0, 0)], mode="edge")
    blocks = blocks.reshape(h4, BLOCK, w4, BLOCK, -1)[::every, :, ::every]
    variance = blocks.var(axis=(1, 3), dtype=np.float64)  # rows, columns, channels
    level = levels[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK][::every, ::every]
    unit = entropy.latent_unit / 2.0**STEP_BITS
    share = h4 * w4 / level.size

    @functools.cache
    def estimate(quality: float) -> float:
        step = unit * entropy.step_fixed[conditions_at(quality).timesteps][level]
        bits = BLOCK**2 * 0.5 * np.log2(1.0 + 12.0 * variance / step**2)
        return float(share * bits.sum() / 8) + besides

    return estimate


def largest_within(
    code: Callable[[float], tuple[bytes, Any]],
    qualities: Sequence[float],
    estimate: Callable[[float], float],
    target: int,
    *,
    best_effort: bool = False,
    tolerance: float = TOLERANCE,
    most: int = CODINGS,
) -> tuple[bytes, Any]:
    """The largest file found that has at most `target` bytes.

    Sizes grow with the quality, except for small steps back. Those may make the file smaller than
    necessary, but never larger than the target.

    Args:
        code: Makes the (file, report) of a quality.
        qualities: Qualities to choose from, ascending.
        estimate: Estimates the size in bytes of a quality, increasing.
        target: Most bytes of the file.
        best_effort: If even the smallest file is too large, return it.
        tolerance: A file is close enough if it is smaller than the target by at most this share;
            after PATIENCE codings, by twice this share.
        most: Most codings; then the best file so far is returned.

    Raises:
        RdcError: Even the smallest file is too large, without best_effort.
    """
    sizes: dict[int, int] = {}
    best: tuple[bytes, Any] | None = None
    smallest: tuple[bytes, Any] | None = None
    low, high = -1, len(qualities)  # the largest known to fit, the smallest known not to
    while high - low > 1:
        if len(sizes) >= most:
            if best is not None:
                break
            index = 0
        elif len(sizes) in range(5, most, 2):
            index = (low + high) // 2  # bisect, in case the estimate is far off
        else:
            index = _expected_place(sizes, qualities, estimate, target, tolerance, low, high)
        coded = code(qualities[index])
        sizes[index] = size = len(coded[0])
        if size > target:
            high, smallest = index, coded
            continue
        low = index
        if best is None or size > len(best[0]):
            best = coded
        if size >= target * (1 - (tolerance if len(sizes) <= PATIENCE else 2 * tolerance)):
            break
    if best is not None:
        return best
    assert smallest is not None  # the lowest quality was tried
    if not best_effort:
        raise RdcError(
            f"the smallest file this model makes of this image is {len(smallest[0])} bytes; ask "
            f"for at least that instead of {target}, or scale the image down"
        )
    return smallest


def _expected_place(
    sizes: dict[int, int],
    qualities: Sequence[float],
    estimate: Callable[[float], float],
    target: int,
    tolerance: float,
    low: int,
    high: int,
) -> int:
    """The index, strictly between low and high, whose size should be just below the target.

    The estimate is multiplied by a factor: that of the only known size, or interpolated between
    two known sizes, on a logarithmic scale.
    """
    known = sorted(sizes)
    factors = [math.log(sizes[i] / max(estimate(qualities[i]), 1.0)) for i in known]
    wanted = math.log(max(target, 1) * (1 - tolerance / 2))

    def expected(index: int) -> float:
        factor = np.interp(index, known, factors) if known else 0.0
        return math.log(max(estimate(qualities[index]), 1.0)) + factor

    first, last = low + 1, high - 1
    while first < last:
        middle = (first + last + 1) // 2
        if expected(middle) <= wanted:
            first = middle
        else:
            last = middle - 1
    return first
