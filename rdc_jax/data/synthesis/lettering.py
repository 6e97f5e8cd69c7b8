"""Text in images: measuring, breaking into lines, and drawing as printers and screens do."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from rdc_jax.data.synthesis.colours import Colour
from rdc_jax.data.synthesis.fonts import Face, load

_LCD_FILTER = np.array([1, 2, 3, 2, 1], np.float32) / 9  # FreeType's default, reduces fringes


class Rendering(NamedTuple):
    """How glyphs become pixels.

    Attributes:
        lcd: True for separate coverage of each third of a pixel, which causes coloured fringes.
        aliased: True for a coverage of only 0 or 1, as on old screens.
    """

    lcd: bool = False
    aliased: bool = False


GREY = Rendering()


def width_of(face: Face, text: str, rendering: Rendering = GREY) -> float:
    """Returns the width of a line of text in pixels, which can be fractional for LCD text."""
    if rendering.lcd:
        return load(_thrice(face)).getlength(text) / 3
    return load(face).getlength(text)


def line_height(face: Face) -> int:
    """Returns the height of a line of text in pixels."""
    return sum(load(face).getmetrics())


def write(
    image: Image.Image,
    place: tuple[float, float],
    text: str,
    face: Face,
    colour: Colour,
    *,
    align: str = "l",
    rendering: Rendering = GREY,
) -> None:
    """Draws one line of text.

    Args:
        image: RGB image, changed in place.
        place: x of the left end, middle or right end of the text, and y of its ascenders.
        text: Text without line breaks.
        face: Font and size.
        colour: Colour of the text.
        align: The meaning of x: "l" for left, "m" for middle, "r" for right.
        rendering: How glyphs become pixels.
    """
    if align != "l":
        share = 0.5 if align == "m" else 1.0
        place = (place[0] - width_of(face, text, rendering) * share, place[1])
    if rendering.lcd and text.strip():
        _write_lcd(image, place, text, face, colour)
        return
    pen = ImageDraw.Draw(image)
    pen.fontmode = "1" if rendering.aliased else "L"
    whole = round(place[0]), round(place[1])  # text usually starts at whole pixels
    pen.text(whole, text, colour, font=load(face))


def broken(words: Sequence[str], face: Face, width: float, joiner: str = " ") -> list[list[str]]:
    """Breaks words into lines of at most `width` pixels. A longer word gets its own line.

    Args:
        words: The words.
        face: Font and size.
        width: Width of the lines in pixels.
        joiner: Text between two words.
    """
    lines: list[list[str]] = [[]]
    space, used = width_of(face, joiner) if joiner else 0.0, 0.0
    for word in words:
        needed = width_of(face, word)
        if lines[-1] and used + space + needed > width:
            lines.append([])
        used = needed if not lines[-1] else used + space + needed
        lines[-1].append(word)
    return lines


def write_justified(
    image: Image.Image,
    place: tuple[float, float],
    words: Sequence[str],
    width: float,
    face: Face,
    colour: Colour,
    **how,
) -> None:
    """Draws the words of one line, spread over the whole width.

    Args:
        image: RGB image, changed in place.
        place: x of the left end and y of the ascenders.
        words: The words of the line.
        width: Width of the line in pixels.
        face: Font and size.
        colour: Colour of the text.
        **how: Further arguments of `write`.
    """
    widths = [width_of(face, word) for word in words]
    gap = (width - sum(widths)) / max(1, len(words) - 1)
    x = place[0]
    for word, own in zip(words, widths, strict=True):
        write(image, (x, place[1]), word, face, colour, **how)
        x += own + gap


def _thrice(face: Face) -> Face:
    return Face(face.path, 3 * face.size)


def _write_lcd(
    image: Image.Image, place: tuple[float, float], text: str, face: Face, colour: Colour
) -> None:
    large = load(_thrice(face))
    left, top, right, bottom = large.getbbox(text)
    x, y = round(place[0]) + left // 3 - 1, round(place[1]) + top // 3 - 1
    width, height = -(-right // 3) - left // 3 + 2, -(-bottom // 3) - top // 3 + 2
    mask = Image.new("L", (3 * width, 3 * height))
    start = 3 * (round(place[0]) - x), 3 * (round(place[1]) - y)
    ImageDraw.Draw(mask).text(start, text, 255, font=large)
    rows = np.asarray(mask.resize((3 * width, height), Image.Resampling.BOX), np.float32) / 255
    padded = np.pad(rows, ((0, 0), (2, 2)))
    cover = sum(w * padded[:, i : i + 3 * width] for i, w in enumerate(_LCD_FILTER))
    cover = cover.reshape(height, width, 3)
    box = (x, y, x + width, y + height)
    under = np.asarray(image.crop(box), np.float32)
    blended = under + (np.array(colour, np.float32) - under) * cover
    image.paste(Image.fromarray(np.rint(blended).astype(np.uint8)), box[:2])
