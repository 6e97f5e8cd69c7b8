"""Sizes of files for people to read, in units of 1000, as --target-size counts them."""

import os
from pathlib import Path

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def of_file(path: str) -> int | None:
    """Bytes of a file; None for what has no size, such as standard input."""
    return os.path.getsize(path) if Path(path).is_file() else None


def readable(size: int) -> str:
    """Three digits and a unit: 640 bytes, 12.4 kB, 1.05 MB."""
    number, unit = float(size), 0
    while number >= 999.5 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    if unit == 0:
        return f"{size} byte{'s' * (size != 1)}"
    decimals = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{decimals}f} {UNITS[unit]}"


def change(before: int, after: int) -> str:
    """From one size to another: 1.05 MB -> 12.4 kB (85x smaller)."""
    return f"{readable(before)} -> {readable(after)} ({_ratio(before, after)})"


def _ratio(before: int, after: int) -> str:
    if min(before, after) == 0:
        return "no ratio"
    times, word = (before / after, "smaller") if before >= after else (after / before, "larger")
    if times < 1.05:
        return "about the same"
    return f"{times:.0f}x {word}" if times >= 9.95 else f"{times:.1f}x {word}"
