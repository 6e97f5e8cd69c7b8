"""Settings for three usual wishes."""

from typing import NamedTuple


class Preset(NamedTuple):
    """A quality, 0 to 100, and the tau that the file suggests, 0 to 1; None: the model's choice."""

    quality: float
    tau: float | None


PRESETS = {
    "small": Preset(20.0, None),
    "balanced": Preset(50.0, None),
    "faithful": Preset(75.0, 0.0),
}
"""docs/rates.md describes them."""
