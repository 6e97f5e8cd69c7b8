"""What the value of one setting must be: the checks that the table of settings is made of.

A check takes a value. It returns "" for a good one, and otherwise what the value must be, as the
rest of a sentence: "data.batch_size must be" "a whole number from 1 to 1048576".
"""

import math
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], str]

LARGEST = 2**31 - 1
"""Steps and sizes are int32 on the devices."""


def whole(least: int, most: int = LARGEST) -> Check:
    """A whole number in a range; true and false are none."""
    return _in_range("a whole number", int, least, most)


def number(least: float = -math.inf, most: float = math.inf) -> Check:
    """A finite number in a range."""
    return _in_range("a finite number", int | float, least, most)


def positive() -> Check:
    """A finite number above 0."""
    wanted = "a finite number above 0"
    return lambda value: "" if not number(0)(value) and value > 0 else wanted


def share() -> Check:
    """A fraction of something."""
    return number(0, 1)


def decay_rate() -> Check:
    """Of a running average: from 0 to below 1."""
    return lambda value: "" if not share()(value) and value < 1 else "a number from 0 to below 1"


def flag() -> Check:
    """True or false."""
    return lambda value: "" if isinstance(value, bool) else "true or false"


def text() -> Check:
    """A string, which may be empty."""
    return lambda value: "" if isinstance(value, str) else "a text"


def filled_text() -> Check:
    """A string of one line with more than blanks in it."""

    def check(value):
        good = isinstance(value, str) and value.strip() and value.isprintable()
        return "" if good else "a text of one line that is not empty"

    return check


def one_of(*names: str) -> Check:
    """One of a few words."""
    return lambda value: "" if value in names else f"one of {', '.join(names)}"


def power_of_two(most: int) -> Check:
    """1, 2, 4, ... up to `most`."""

    def check(value):
        good = not whole(1, most)(value) and value & (value - 1) == 0
        return "" if good else f"a power of two from 1 to {most}"

    return check


def pair(item: Check, rising: bool = False) -> Check:
    """Two values that satisfy `item`; if `rising`, the first below the second."""

    def check(value):
        if not isinstance(value, tuple | list) or len(value) != 2:
            return "two values, such as (1, 2)"
        wrong = item(value[0]) or item(value[1])
        if wrong:
            return f"two values, each {wrong}"
        return "two values, the smaller one first" if rising and value[0] >= value[1] else ""

    return check


def nothing_or(check: Check) -> Check:
    """None, or a value that satisfies `check`."""
    return lambda value: "" if value is None else check(value)


def _in_range(noun: str, kind: Any, least: float, most: float) -> Check:
    def check(value):
        if not isinstance(value, kind) or isinstance(value, bool) or not math.isfinite(value):
            return wanted
        if value > most >= LARGEST:
            return f"{noun} of {most} or less"
        return "" if least <= value <= most else wanted

    if most < LARGEST:
        wanted = f"{noun} from {least} to {most}"
    else:  # the upper limit is one that nobody meets by accident
        wanted = f"{noun} of {least} or more" if least > -math.inf else noun
    return check
