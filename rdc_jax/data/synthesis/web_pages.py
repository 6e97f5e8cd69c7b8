"""Web pages in a browser: bars, headings, text with links, cards, forms, tables."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from rdc_jax.data.synthesis import colours, drawings, gradients, text_pages, words
from rdc_jax.data.synthesis.colours import Colour
from rdc_jax.data.synthesis.draws import between, chance, pick
from rdc_jax.data.synthesis.fonts import Face, Font, choose
from rdc_jax.data.synthesis.lettering import Rendering, broken, line_height, width_of, write
from rdc_jax.data.synthesis.panels import Box, icon, inside, panel


class Look(NamedTuple):
    """The appearance of a page. `radius` is the radius of all corners in pixels."""

    style: text_pages.Style
    bold: Face
    card: Colour
    edge: Colour
    radius: int


def draw(rng: np.random.Generator, size: tuple[int, int], fonts: Sequence[Font]) -> np.ndarray:
    """Draws a web page, uint8 [h, w, 3] with `size` = (w, h)."""
    look = _look(rng, fonts)
    image = Image.new("RGB", size, look.style.paper)
    y = _browser_bar(rng, image, look) if chance(rng, 0.35) else 0
    y = _menu(rng, image, look, y)
    margin = pick(rng, (0, size[0] // 24, size[0] // 10)) + 12
    left, right = margin, size[0] - margin
    if chance(rng, 0.35):
        width = (right - left) // 4
        _side(rng, image, look, (left, y + 16, left + width, size[1]))
        left += width + 24
    parts = (_hero, _cards, _cards, _article, _article, _table, _form, _comments)
    y += 16
    while y < size[1] - 2 * look.style.leading:
        y = pick(rng, parts)(rng, image, look, (left, y, right, size[1])) + between(rng, 12, 36)
    return np.asarray(image)


def thumbnail(
    rng: np.random.Generator, size: tuple[int, int], fonts: Sequence[Font] = ()
) -> np.ndarray:
    """Draws a small image for a card, uint8 [h, w, 3] with `size` = (w, h)."""
    return pick(rng, (gradients, drawings)).draw(rng, (max(8, size[0]), max(8, size[1])), fonts)


def _look(rng, fonts) -> Look:
    rendering = Rendering(lcd=chance(rng, 0.35))
    style = text_pages.draw_style(rng, fonts, between(rng, 11, 18), rendering)
    font = choose(rng, fonts, style.language, kind=pick(rng, ("sans", "sans", "serif")))
    bold = choose(rng, fonts, style.language, kind=font.kind, bold=True)
    style = style._replace(body=Face(font.path, style.body.size), justified=False)
    return Look(
        style=style,
        bold=Face(bold.path, style.body.size),
        card=colours.mixed(style.paper, colours.ink_on(style.paper), rng.uniform(0.0, 0.07)),
        edge=colours.mixed(style.paper, colours.ink_on(style.paper), rng.uniform(0.08, 0.25)),
        radius=pick(rng, (0, 0, 4, 8, 14)),
    )


def _lines(image, look: Look, box: Box, text: Sequence[str], face: Face, ink: Colour) -> int:
    """Writes as many words as fit into the box. Returns y below the text."""
    left, y, right, bottom = box
    language = words.LANGUAGES[look.style.language]
    leading = max(line_height(face), round(face.size * 1.4))
    for line in broken(text, face, right - left, language.joiner):
        if y + leading > bottom:
            break
        side, x = ("r", right) if language.leftwards else ("l", left)
        joined = language.joiner.join(line)
        write(image, (x, y), joined, face, ink, align=side, rendering=look.style.rendering)
        y += leading
    return y


def _title(rng, look: Look, least: int = 2, most: int = 6) -> list[str]:
    return words.title(rng, look.style.language, least, most).split()


def _button(rng, image, look: Look, place: tuple[int, int], colour: Colour) -> int:
    """Draws a button. Returns x of its right end."""
    face = look.style.body
    text = words.title(rng, look.style.language, 1, 2)
    width, height = round(width_of(face, text)) + 2 * face.size, 2 * face.size
    box = (place[0], place[1], place[0] + width, place[1] + height)
    plain = chance(rng, 0.3)
    panel(image, box, None if plain else colour, radius=look.radius,
          outline=look.edge if plain else None)  # fmt: skip
    ink = look.style.ink if plain else colours.ink_on(colour)
    middle = (place[0] + width / 2, place[1] + face.size * 0.35)
    write(image, middle, text, face, ink, align="m", rendering=look.style.rendering)
    return box[2]


def _browser_bar(rng, image, look: Look) -> int:
    height = between(rng, 60, 84)
    bar = pick(rng, ((222, 225, 230), (53, 54, 58), (240, 240, 244)))
    ink, face = colours.ink_on(bar, 0.75), Face(look.style.body.path, 12)
    panel(image, (0, 0, image.width, height), bar)
    x = between(rng, 8, 80)
    for i in range(between(rng, 1, 6)):
        tab = (x, 8, x + between(rng, 100, 200), height // 2)
        front = colours.mixed(bar, colours.WHITE, 0.15 if colours.is_dark(bar) else 0.9)
        panel(image, tab, front if i == 0 or chance(rng, 0.2) else None, radius=7)
        icon(rng, image, (x + 8, 14, x + 22, 28), colours.vivid(rng))
        write(image, (x + 28, 13), words.title(rng, "English", 1, 2)[:12], face, ink)
        x = tab[2] + 4
    for i in range(3):
        icon(rng, image, (10 + 30 * i, height // 2 + 8, 26 + 30 * i, height // 2 + 24), ink)
    field = (110, height // 2 + 5, image.width - 60, height - 5)
    panel(image, field, colours.mixed(bar, colours.ink_on(bar), 0.06), radius=10)
    address = f"https://www.{words.identifier(rng, 'kebab')}.org/{words.identifier(rng, 'kebab')}"
    write(image, (124, height // 2 + 8), address, face, ink, rendering=look.style.rendering)
    return height


def _menu(rng, image, look: Look, y: int) -> int:
    height = between(rng, 36, 76)
    ground = pick(rng, (look.style.paper, look.style.accent, colours.deep(rng), look.card))
    panel(image, (0, y, image.width, y + height), ground)
    ImageDraw.Draw(image).line([(0, y + height), (image.width, y + height)], look.edge)
    ink, x = colours.ink_on(ground, 0.9), 20 + height
    inset = height // 5
    icon(rng, image, (16, y + inset, 16 + height, y + height - inset), ink)
    name = Face(look.bold.path, height * 2 // 5)
    text = words.title(rng, look.style.language, 1, 1)
    write(image, (x, y + height // 4), text, name, ink, rendering=look.style.rendering)
    x += round(width_of(name, text)) + 30
    middle = y + height // 2 - look.style.body.size * 2 // 3
    while x < image.width - 160:
        text = words.title(rng, look.style.language, 1, 1)
        write(image, (x, middle), text, look.style.body, ink, rendering=look.style.rendering)
        x += round(width_of(look.style.body, text)) + between(rng, 16, 34)
    return y + height


def _hero(rng, image, look: Look, box: Box) -> int:
    left, y, right, bottom = box
    height = min(between(rng, 120, 320), bottom - y)
    if height < 60:
        return bottom
    pixels = thumbnail(rng, (right - left, height))
    inside(image, (left, y, right, y + height), pixels, look.radius)
    ink = colours.ink_on(tuple(pixels.reshape(-1, 3).mean(0).astype(int).tolist()))
    face = Face(look.bold.path, between(rng, 20, 44))
    inner = (left + 24, y + height // 5, (left + right) // 2 + 100, y + height)
    below = _lines(image, look, inner, _title(rng, look), face, ink)
    if below + 40 < y + height:
        x = _button(rng, image, look, (left + 24, below + 8), look.style.accent)
        _button(rng, image, look, (x + 12, below + 8), colours.vivid(rng))
    return y + height


def _cards(rng, image, look: Look, box: Box) -> int:
    left, y, right, bottom = box
    count, gap = between(rng, 2, 5), between(rng, 8, 24)
    width = (right - left + gap) // count - gap
    image_height = round(width * rng.uniform(0.4, 0.8)) if chance(rng, 0.75) else 0
    height = image_height + look.style.leading * between(rng, 3, 7)
    shadow, centred = between(rng, 3, 10) if chance(rng, 0.4) else 0, chance(rng, 0.3)
    for i in range(count):
        x = left + i * (width + gap)
        card = (x, y, x + width, min(y + height, bottom))
        panel(image, card, look.card, radius=look.radius, outline=look.edge, shadow=shadow)
        if image_height and y + image_height < bottom:
            area = (x + 6, y + 6, x + width - 6, y + image_height)
            inside(image, area, thumbnail(rng, (area[2] - area[0], area[3] - area[1])), look.radius)
        elif centred and y + 40 < bottom:
            icon(rng, image, (x + width // 2 - 16, y + 8, x + width // 2 + 16, y + 40), look.edge)
        inner = (x + 10, y + image_height + 8, x + width - 10, min(y + height, bottom) - 6)
        below = _lines(image, look, inner, _title(rng, look), look.bold, look.style.ink)
        faint = colours.mixed(look.style.ink, look.style.paper, 0.35)
        text = words.paragraph(rng, look.style.language, 30)
        small = Face(look.style.body.path, max(8, look.style.body.size - 2))
        _lines(image, look, (inner[0], below, inner[2], inner[3]), text, small, faint)
    return min(y + height, bottom)


def _article(rng, image, look: Look, box: Box) -> int:
    left, y, right, bottom = box
    face = Face(look.bold.path, round(look.style.body.size * rng.uniform(1.3, 2.2)))
    y = _lines(image, look, box, _title(rng, look, 3, 8), face, look.style.ink) + 6
    end = min(bottom, y + between(rng, 120, 500))
    text_pages.fill(rng, image, (left, y, right, end), look.style)
    link = pick(rng, ((0, 0, 238), (26, 13, 171), (9, 105, 218), look.style.accent))
    if colours.is_dark(look.style.paper):
        link = colours.mixed(link, colours.WHITE, 0.5)
    for _ in range(between(rng, 0, 4)):
        if end + look.style.leading > bottom:
            break
        text = words.title(rng, look.style.language, 2, 6)
        write(image, (left, end), text, look.style.body, link, rendering=look.style.rendering)
        line = end + look.style.body.size + 3
        width = width_of(look.style.body, text, look.style.rendering)
        ImageDraw.Draw(image).line([(left, line), (left + width, line)], link)
        end += look.style.leading
    return end


def _table(rng, image, look: Look, box: Box) -> int:
    left, y, right, bottom = box
    columns, height = between(rng, 3, 7), round(look.style.leading * rng.uniform(1.1, 1.8))
    step, banded = (right - left) / columns, chance(rng, 0.5)
    for row in range(between(rng, 4, 12)):
        if y + height > bottom:
            break
        ground = look.style.accent if row == 0 else look.card if banded and row % 2 else None
        panel(image, (left, y, right, y + height), ground)
        ImageDraw.Draw(image).line([(left, y + height), (right, y + height)], look.edge)
        ink = look.style.ink if ground is None else colours.ink_on(ground)
        for column in range(columns):
            text = words.word(rng, look.style.language)
            if row and column:
                text = f"{rng.uniform(0, 10 ** between(rng, 1, 5)):,.{between(rng, 0, 2)}f}"
            if width_of(look.style.body, text) < step - 8:
                face = look.bold if row == 0 else look.style.body
                place = (round(left + column * step) + 6, y + (height - face.size) // 2 - 1)
                write(image, place, text, face, ink, rendering=look.style.rendering)
        y += height
    return y


def _form(rng, image, look: Look, box: Box) -> int:
    left, y, right, bottom = box
    width, size = min(right - left, between(rng, 220, 460)), look.style.body.size
    for _ in range(between(rng, 2, 5)):
        if y + 4 * size > bottom:
            break
        _lines(image, look, (left, y, right, bottom), _title(rng, look, 1, 3), look.style.body,
               look.style.ink)  # fmt: skip
        field = (left, y + round(1.5 * size), left + width, y + round(3.5 * size))
        panel(image, field, look.card, radius=look.radius, outline=look.edge)
        if chance(rng, 0.6):
            text = words.title(rng, look.style.language, 1, 3)
            place = (left + 8, field[1] + round(0.4 * size))
            write(image, place, text, look.style.body, look.edge, rendering=look.style.rendering)
        y += 4 * size + 8
    if y + 3 * size < bottom:
        _button(rng, image, look, (left, y), look.style.accent)
        y += 3 * size
    return y


def _comments(rng, image, look: Look, box: Box) -> int:
    left, y, right, bottom = box
    for _ in range(between(rng, 1, 4)):
        if y + 50 > bottom:
            break
        inside(image, (left, y, left + 40, y + 40), thumbnail(rng, (40, 40)), 20)
        inner = (left + 52, y, right, bottom)
        below = _lines(image, look, inner, _title(rng, look, 2, 2), look.bold, look.style.accent)
        text = words.paragraph(rng, look.style.language, between(rng, 6, 40))
        inner = (left + 52, below, right, bottom)
        y = max(y + 48, _lines(image, look, inner, text, look.style.body, look.style.ink)) + 12
    return y


def _side(rng, image, look: Look, box: Box) -> None:
    left, y, right, bottom = box
    panel(image, box, look.card, radius=look.radius, outline=look.edge)
    y += 10
    while y < bottom - 2 * look.style.leading:
        if chance(rng, 0.2):
            face, ink = look.bold, look.style.ink
        else:
            face, ink = look.style.body, look.style.accent
            icon(rng, image, (left + 8, y, left + 8 + face.size, y + face.size), ink)
        inner = (left + 16 + face.size, y, right - 8, bottom)
        y = _lines(image, look, inner, _title(rng, look, 1, 3), face, ink)
        y += look.style.leading // 3
