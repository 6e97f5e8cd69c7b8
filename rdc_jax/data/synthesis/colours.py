"""Colours as 8-bit RGB triples: random harmonious colours, and readable ink on a background."""

import colorsys

import numpy as np

from rdc_jax.data.synthesis.draws import pick

Colour = tuple[int, int, int]
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
_HARMONIES = (
    *((0.0, 0.04, 0.08, -0.05), (0.0, 0.5, 0.06, 0.45)),
    *((0.0, 0.33, 0.67), (0.0, 0.42, 0.58)),
)
_GOLDEN = 0.618034  # hues in steps of the golden ratio stay far apart


def of_hsv(hue: float, saturation: float, value: float) -> Colour:
    """Converts HSV to a colour.

    Args:
        hue: Any number; 1 is a full turn.
        saturation: 0..1.
        value: 0..1.
    """
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def any_colour(rng: np.random.Generator) -> Colour:
    """Draws a colour of any hue."""
    return of_hsv(rng.random(), rng.uniform(0.1, 1.0), rng.uniform(0.25, 1.0))


def pale(rng: np.random.Generator) -> Colour:
    """Draws a light colour for backgrounds."""
    return of_hsv(rng.random(), rng.uniform(0.0, 0.15), rng.uniform(0.9, 1.0))


def deep(rng: np.random.Generator) -> Colour:
    """Draws a dark colour for text or dark backgrounds."""
    return of_hsv(rng.random(), rng.uniform(0.0, 0.6), rng.uniform(0.05, 0.25))


def vivid(rng: np.random.Generator) -> Colour:
    """Draws a saturated colour."""
    return of_hsv(rng.random(), rng.uniform(0.55, 1.0), rng.uniform(0.6, 1.0))


def palette(rng: np.random.Generator, count: int) -> list[Colour]:
    """Draws `count` colours that look deliberate: few hues, or all hues at similar strength."""
    start, saturation, value = rng.random(), rng.uniform(0.2, 0.95), rng.uniform(0.5, 1.0)
    offsets = pick(rng, (*_HARMONIES, None))
    colours = []
    for i in range(count):
        hue = start + (i * _GOLDEN if offsets is None else offsets[i % len(offsets)])
        s = np.clip(saturation + rng.uniform(-0.25, 0.2), 0, 1)
        v = np.clip(value + rng.uniform(-0.35, 0.3), 0.08, 1)
        colours.append(of_hsv(hue, float(s), float(v)))
    return colours


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """Mixes two colours.

    Args:
        a: First colour.
        b: Second colour.
        share: Share of b, 0..1.
    """
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def is_dark(colour: Colour) -> bool:
    """Returns True if white text is readable on the colour."""
    return colour[0] * 0.3 + colour[1] * 0.59 + colour[2] * 0.11 < 128


def ink_on(background: Colour, strength: float = 1.0) -> Colour:
    """Returns black or white for text on a background, fainter for a strength below 1."""
    return mixed(background, WHITE if is_dark(background) else BLACK, strength)
