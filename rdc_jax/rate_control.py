"""Hitting a file size by bisecting the one scalar that shifts all timesteps: quality."""

from collections.abc import Callable


def search_quality(
    bits_at: Callable[[float], float],
    target_bits: float,
    *,
    tolerance: float = 0.005,
    evaluations: int = 12,
) -> float:
    """The highest quality (0..100) found whose file does not exceed target_bits.

    bits_at(quality) -> bits of the file, increasing in quality up to rounding. Stops early when
    within `tolerance` (relative) below the target. If even quality 0 is too large, returns 0; if
    quality 100 fits, returns 100: the caller says so to the user.
    """
    low, high = 0.0, 100.0
    if bits_at(high) <= target_bits:
        return high
    best = low
    for _ in range(evaluations):
        middle = (low + high) / 2
        bits = bits_at(middle)
        if bits > target_bits:
            high = middle
            continue
        low = best = middle
        if bits >= target_bits * (1 - tolerance):
            break
    return best
