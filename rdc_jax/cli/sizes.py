"""Sizes of files before and after, in words."""

import os
from pathlib import Path

from rdc_jax.evaluation.report.sizes import size_text


def of_file(path: str) -> int | None:
    """Bytes of a file; None for what has no size, such as standard input."""
    return os.path.getsize(path) if Path(path).is_file() else None


def change(before: int, after: int) -> str:
    """From one size to another: 1.05 MB -> 12.4 kB (85x smaller)."""
    return f"{size_text(before)} -> {size_text(after)} ({_ratio(before, after)})"


def _ratio(before: int, after: int) -> str:
    if min(before, after) == 0:
        return "no ratio"
    times, word = (before / after, "smaller") if before >= after else (after / before, "larger")
    if times < 1.05:
        return "about the same"
    return f"{times:.0f}x {word}" if times >= 9.95 else f"{times:.1f}x {word}"
