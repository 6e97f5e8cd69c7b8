"""Hitting a file size in few codings: which quality, of the finitely many that differ.

Timesteps are integers, so that a picture has only some hundred different files. An estimate of
their sizes, from the latent alone, says which to code first; the sizes of those that were coded
correct it.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rdc_jax.entropy.entropy_model import STEP_BITS, EntropyModel
from rdc_jax.entropy.latent_coding import Conditions
from rdc_jax.errors import RdcError

TOLERANCE = 0.01  # a file that is so little below the target, relatively, is near enough
NEAR = 0.02  # what users are promised where steps of one timestep allow it
PATIENCE = 3  # codings, after which twice that is near enough
CODINGS = 12  # at most; three are usual
BLOCK = 4  # latent pixels along a side that share a variance in the estimate
SAMPLE = 1 << 15  # blocks of all channels that are looked at, at most


def target_bytes(
    height: int,
    width: int,
    quality: float | None,
    bpp: float | None,
    size: int | None,
) -> int | None:
    """The largest size allowed, in bytes, or None where a quality (or nothing) is given.

    bpp: bits per pixel of the whole file. size: bytes. Raises RdcError if two of the three are
    given, or one that is not above 0.
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
        raise RdcError(f"target bits per pixel {bpp} must be above 0")
    most = math.floor(bpp * height * width / 8)
    return most + (8 * (most + 1) / (height * width) <= bpp)  # the product may be rounded down


def distinct_qualities(
    timesteps_at: Callable[[float], tuple[int, int]], t_min: int, t_max: int
) -> list[float]:
    """Qualities 0..100, ascending, that stand for all different pairs of timesteps.

    timesteps_at(quality) -> (background, region); see `importance.quality_to_timesteps`.
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
    """A function of the quality that guesses the bytes of a latent.

    An element of variance v, quantised with dither at step d, takes about log2(1 + 12 v / d^2) / 2
    bits (a Gaussian's information through uniform noise). v is taken over blocks of BLOCK x BLOCK
    latent pixels, which knows nothing of what the entropy model predicts: right within a third or
    so, and in a moment. Of large latents evenly spread blocks stand for all.

    latent: float [h,w,C]. conditions_at(quality): map and timesteps; all have the same map.
    besides: bytes of the file that are known before.
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
    """The largest file found that is not above `target` bytes, and what `code` says of it.

    code(quality) -> (file, report). qualities: ascending. estimate(quality) -> about how many
    bytes, increasing. Sizes grow with the quality but for small steps back: those may cost a
    nearer file, never the limit. Stops at `tolerance` (relative) below the target, after PATIENCE
    codings at twice that, or when the next quality is known to be too large, or after `most`. If
    even the smallest file is above the target: raises RdcError, or with best_effort returns that.
    """
    sizes: dict[int, int] = {}
    best = smallest = None
    low, high = -1, len(qualities)  # of those known to fit and not to
    while high - low > 1:
        if len(sizes) >= most:
            if best is not None:
                break
            index = 0
        elif len(sizes) in range(5, most, 2):
            index = (low + high) // 2  # the estimate misleads: the interval shrinks all the same
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
    if not best_effort:
        raise RdcError(
            f"the smallest file this model makes of this picture is {len(smallest[0])} bytes; ask "
            f"for at least that instead of {target}, or scale the picture down"
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
    """Where, strictly between low and high, the size is expected to be just below the target.

    The estimate is corrected by a factor: of the one size known, or between two of them its
    logarithm interpolated.
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
