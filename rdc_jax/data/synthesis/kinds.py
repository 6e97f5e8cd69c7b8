"""All kinds of synthetic images, and the kind of each image in a set."""

from collections.abc import Sequence

import numpy as np

from rdc_jax.data.synthesis import (
    applications,
    charts,
    code_screens,
    drawings,
    gradients,
    line_art,
    terminals,
    text_pages,
    web_pages,
)
from rdc_jax.data.synthesis.draws import between
from rdc_jax.data.synthesis.fonts import Font

KINDS = {
    "text": text_pages.draw,
    "web": web_pages.draw,
    "chart": charts.draw,
    "drawing": drawings.draw,
    "code": code_screens.draw,
    "gradient": gradients.draw,
    "application": applications.draw,
    "terminal": terminals.draw,
    "line_art": line_art.draw,
}
ORDER = (
    *("text", "web", "chart", "drawing", "code", "text", "gradient", "application"),
    *("terminal", "text", "web", "chart", "gradient", "line_art", "application", "code"),
)
"""Repeating sequence of kinds, so that every set has about the same shares."""
LEAST_SIDE, MOST_SIDE = 512, 1280


def kind_of(number: int) -> str:
    """Returns the kind of image `number` of any set."""
    return ORDER[number % len(ORDER)]


def draw(
    number: int, seed: int, fonts: Sequence[Font], size: tuple[int, int] | None = None
) -> np.ndarray:
    """Draws one image of a set.

    Args:
        number: Number of the image in its set, 0 or more. It determines the kind.
        seed: Seed of the set, 0 or more.
        fonts: Result of `find_fonts`.
        size: (width, height); None for random sides from LEAST_SIDE to MOST_SIDE.

    Returns:
        uint8 [h, w, 3].
    """
    rng = np.random.default_rng((seed, number))
    own = between(rng, LEAST_SIDE, MOST_SIDE), between(rng, LEAST_SIDE, MOST_SIDE)
    return KINDS[kind_of(number)](rng, size or own, fonts)
