"""The appearance of programs: window colours, fonts, round or square corners."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from rdc_jax.data.synthesis import colours, words
from rdc_jax.data.synthesis.colours import Colour
from rdc_jax.data.synthesis.draws import between, chance, pick
from rdc_jax.data.synthesis.fonts import Face, Font, choose, languages_of
from rdc_jax.data.synthesis.lettering import Rendering, width_of, write

_WINDOWS = (
    *((240, 240, 240), (255, 255, 255), (45, 45, 48), (236, 233, 216), (24, 26, 31)),
    (192, 192, 192),
)


class Skin(NamedTuple):
    """The appearance of one program."""

    window: Colour
    field: Colour
    edge: Colour
    ink: Colour
    accent: Colour
    face: Face
    bold: Face
    radius: int
    language: str
    rendering: Rendering


def draw_skin(rng: np.random.Generator, fonts: Sequence[Font]) -> Skin:
    """Draws a random language, a font and matching colours."""
    language = "English" if chance(rng, 0.5) else pick(rng, languages_of(fonts))
    window = pick(rng, (*_WINDOWS, colours.pale(rng)))
    size = between(rng, 10, 17)
    kind = "sans" if chance(rng, 0.9) else "serif"
    font = choose(rng, fonts, language, kind=kind)
    return Skin(
        window=window,
        field=colours.mixed(window, colours.WHITE, 0.08 if colours.is_dark(window) else 0.8),
        edge=colours.mixed(window, colours.ink_on(window), rng.uniform(0.12, 0.4)),
        ink=colours.ink_on(window, rng.uniform(0.75, 1.0)),
        accent=colours.vivid(rng),
        face=Face(font.path, size),
        bold=Face(choose(rng, fonts, language, kind=kind, bold=True).path, size),
        radius=pick(rng, (0, 0, 3, 6, 12)),
        language=language,
        rendering=Rendering(lcd=chance(rng, 0.3), aliased=chance(rng, 0.12)),
    )


def write_short(
    image: Image.Image,
    skin: Skin,
    place: tuple[float, float],
    text: str,
    room: float,
    *,
    bold: bool = False,
    ink: Colour | None = None,
) -> None:
    """Writes one line of text, cut off after `room` pixels.

    Args:
        image: RGB image, changed in place.
        skin: Provides font and colour.
        place: x of the left end and y of the ascenders.
        text: Text without line breaks.
        room: Largest width in pixels.
        bold: True for the bold font.
        ink: Colour of the text; None for the skin's.
    """
    face = skin.bold if bold else skin.face
    width = width_of(face, text, skin.rendering)
    while text and width > room:
        text = text[: min(len(text) - 1, int(len(text) * max(room, 0) / width) + 1)]
        width = width_of(face, text, skin.rendering)
    write(image, place, text, face, ink or skin.ink, rendering=skin.rendering)


def name_of(rng: np.random.Generator, skin: Skin, least: int = 1, most: int = 3) -> str:
    """Returns a few words in the skin's language."""
    return words.title(rng, skin.language, least, most)
