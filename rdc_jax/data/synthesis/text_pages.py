"""Pages of text: papers, books, slides and receipts. Some look scanned."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from rdc_jax.data.synthesis import colours, words
from rdc_jax.data.synthesis.colours import Colour
from rdc_jax.data.synthesis.draws import between, chance, pick
from rdc_jax.data.synthesis.fonts import Face, Font, choose, languages_of
from rdc_jax.data.synthesis.gradients import smooth_field
from rdc_jax.data.synthesis.lettering import (
    GREY,
    Rendering,
    broken,
    line_height,
    width_of,
    write,
    write_justified,
)

SCANNED_SHARE = 0.2


class Style(NamedTuple):
    """The appearance of a page."""

    language: str
    paper: Colour
    ink: Colour
    accent: Colour
    body: Face
    heading: Face
    leading: int  # distance between lines in pixels
    justified: bool
    rendering: Rendering


def draw(rng: np.random.Generator, size: tuple[int, int], fonts: Sequence[Font]) -> np.ndarray:
    """Draws a page of text, uint8 [h, w, 3] with `size` = (w, h)."""
    page = pick(rng, (_columns, _columns, _columns, _slide, _receipt, _poster))
    image = page(rng, size, fonts)
    return scanned(rng, image) if chance(rng, SCANNED_SHARE) else np.asarray(image)


def scanned(rng: np.random.Generator, image: Image.Image) -> np.ndarray:
    """Makes a page look scanned: slightly turned, soft, unevenly lit and grainy."""
    corner = image.getpixel((0, 0))
    how = dict(resample=Image.Resampling.BICUBIC, fillcolor=corner)
    image = image.rotate(rng.uniform(-2, 2), **how)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
    pixels = np.asarray(image, np.float32)
    height, width = pixels.shape[:2]
    light = 1 - rng.uniform(0, 0.15) * smooth_field(rng, height, width)[..., None]
    grain = rng.normal(0, rng.uniform(1, 5), (height, width, 1))
    return np.clip(np.rint(pixels * light + grain), 0, 255).astype(np.uint8)


def draw_style(
    rng: np.random.Generator, fonts: Sequence[Font], text_size: int, rendering: Rendering = GREY
) -> Style:
    """Draws a random language with matching paper, ink and fonts."""
    language = "English" if chance(rng, 0.4) else pick(rng, languages_of(fonts))
    paper = pick(rng, (colours.WHITE, colours.WHITE, colours.WHITE, colours.pale(rng)))
    ink = pick(rng, (colours.BLACK, colours.BLACK, colours.deep(rng)))
    if chance(rng, 0.2):
        paper, ink = (colours.BLACK if chance(rng, 0.4) else colours.deep(rng)), paper
    body = choose(rng, fonts, language, kind=pick(rng, ("serif", "serif", "sans", None)))
    bold = choose(rng, fonts, language, kind=pick(rng, (body.kind, "sans")), bold=True)
    accent = colours.vivid(rng) if chance(rng, 0.5) else ink
    return Style(
        language=language,
        paper=paper,
        ink=ink,
        accent=colours.mixed(accent, colours.ink_on(paper), 0.3),
        body=Face(body.path, text_size),
        heading=Face(bold.path, round(text_size * rng.uniform(1.1, 1.8))),
        leading=round(text_size * rng.uniform(1.15, 1.7)),
        justified=chance(rng, 0.5),
        rendering=rendering,
    )


def fill(
    rng: np.random.Generator, image: Image.Image, box: tuple[int, int, int, int], style: Style
) -> None:
    """Fills a column (left, top, right, bottom in pixels) with headings, paragraphs and lists."""
    left, y, right, bottom = box
    while y + style.leading <= bottom:
        kind = rng.random()
        if kind < 0.15 and y + 3 * style.leading < bottom:
            lines = broken(
                words.title(rng, style.language, 2, 7).split(), style.heading, right - left
            )
            for line in lines:
                y += line_height(style.heading) // 4
                _line(image, (left, y), line, right - left, style, style.heading, style.accent)
                y += line_height(style.heading)
        elif kind < 0.25:
            for _ in range(between(rng, 2, 5)):
                indent = round(1.6 * style.body.size)
                if y + style.leading <= bottom:
                    size = max(2, style.body.size // 4)
                    x, dot = left + indent // 3, y + style.body.size // 2
                    ImageDraw.Draw(image).ellipse((x, dot, x + size, dot + size), style.ink)
                y = _paragraph(
                    rng, image, (left + indent, y, right, bottom), style, between(rng, 4, 16)
                )
        elif kind < 0.32 and right - left > 120:
            y = _figure(rng, image, (left, y, right, bottom), style)
        else:
            y = _paragraph(rng, image, (left, y, right, bottom), style, between(rng, 25, 110))
        y += round(style.leading * rng.uniform(0.2, 1.0))


def _paragraph(rng, image, box, style: Style, count: int) -> int:
    """Draws a paragraph down to the bottom of the box. Returns y of the next line."""
    left, y, right, bottom = box
    language = words.LANGUAGES[style.language]
    text = words.paragraph(rng, style.language, count)
    lines = broken(text, style.body, right - left, language.joiner)
    for number, line in enumerate(lines):
        if y + style.leading > bottom:
            break
        last = number == len(lines) - 1
        if style.justified and not last and len(line) > 2:
            write_justified(
                image, (left, y), line, right - left, style.body, style.ink,
                rendering=style.rendering,
            )  # fmt: skip
        else:
            _line(image, (left, y), line, right - left, style, style.body, style.ink)
        y += style.leading
    return y


def _line(image, place, line: list[str], width: int, style: Style, face: Face, colour) -> None:
    language = words.LANGUAGES[style.language]
    place = (place[0] + width, place[1]) if language.leftwards else place
    write(
        image, place, language.joiner.join(line), face, colour,
        align="r" if language.leftwards else "l", rendering=style.rendering,
    )  # fmt: skip


def _figure(rng, image, box, style: Style) -> int:
    """Draws a table with rules, or a framed image with a caption."""
    left, y, right, bottom = box
    pen, rows = ImageDraw.Draw(image), between(rng, 3, 7)
    if y + (rows + 2) * style.leading > bottom:
        return y
    if chance(rng, 0.5):
        count = between(rng, 2, 4)
        step = (right - left) / count
        small = style._replace(body=Face(style.body.path, max(7, style.body.size * 5 // 6)))
        for row in range(rows):
            if row in (0, 1) or chance(rng, 0.2):
                pen.line([(left, y), (right, y)], style.ink, 1)
            for column in range(count):
                text = words.word(rng, style.language)
                if row and column:
                    text = f"{rng.uniform(0, 10 ** between(rng, 0, 4)):.2f}"
                place = (left + step * column + 3, y + 1)
                if width_of(small.body, text) < step - 4:
                    write(image, place, text, small.body, style.ink, rendering=style.rendering)
            y += style.leading
        pen.line([(left, y), (right, y)], style.ink, 1)
        return y + style.leading // 2
    low, high = colours.any_colour(rng), colours.any_colour(rng)
    height = rows * style.leading
    field = smooth_field(rng, height, right - left)[..., None]
    pixels = np.array(low) + (np.array(high) - np.array(low)) * field
    image.paste(Image.fromarray(np.rint(pixels).astype(np.uint8)), (left, y))
    pen.rectangle((left, y, right - 1, y + height - 1), outline=style.ink)
    caption = words.sentence(rng, style.language, 3, 7)
    line = broken(caption, style.body, right - left)[0]
    _line(image, (left, y + height + 3), line, right - left, style, style.body, style.ink)
    return y + height + 2 * style.leading


def _columns(rng, size, fonts) -> Image.Image:
    width, height = size
    style = draw_style(rng, fonts, between(rng, 9, 24))
    image = Image.new("RGB", size, style.paper)
    margin, top = round(width * rng.uniform(0.03, 0.12)), round(height * rng.uniform(0.02, 0.1))
    most = max(1, (width - 2 * margin) // (14 * style.body.size))
    count, gutter = between(rng, 1, min(3, most)), 2 * style.body.size
    if chance(rng, 0.5):
        face = Face(style.heading.path, round(style.body.size * rng.uniform(1.8, 3.2)))
        text = words.title(rng, style.language, 3, 8).split()
        for line in broken(text, face, width - 2 * margin):
            _line(image, (margin, top), line, width - 2 * margin, style, face, style.ink)
            top += line_height(face)
        top += style.leading
    step = (width - 2 * margin + gutter) / count
    for column in range(count):
        left = round(margin + column * step)
        fill(rng, image, (left, top, round(left + step - gutter), height - margin), style)
        if column and chance(rng, 0.3):
            x = left - gutter // 2
            ImageDraw.Draw(image).line([(x, top), (x, height - margin)], style.ink, 1)
    number = str(between(rng, 1, 900))
    place = (width / 2, height - margin / 2 - style.body.size)
    write(image, place, number, style.body, style.ink, align="m")
    return image


def _slide(rng, size, fonts) -> Image.Image:
    width, height = size
    style = draw_style(rng, fonts, between(rng, 20, 44))._replace(justified=False)
    image = Image.new("RGB", size, style.paper)
    band = round(height * rng.uniform(0.1, 0.2))
    ground = style.accent if chance(rng, 0.5) else style.paper
    ImageDraw.Draw(image).rectangle((0, 0, width, band), ground)
    face = Face(style.heading.path, band * 2 // 5)
    line = broken(words.title(rng, style.language, 2, 5).split(), face, width * 0.9)[0]
    ink = colours.ink_on(ground)
    _line(image, (width // 20, band // 4), line, width * 9 // 10, style, face, ink)
    y = band + style.leading
    while y + 2 * style.leading < height:
        box = (width // 8, y, width * 15 // 16, height - style.leading // 2)
        mark = style.body.size // 2
        at = (width // 16, y + mark // 2, width // 16 + mark, y + mark // 2 + mark)
        ImageDraw.Draw(image).rectangle(at, style.accent)
        y = _paragraph(rng, image, box, style, between(rng, 3, 12)) + style.leading // 2
    return image


def _receipt(rng, size, fonts) -> Image.Image:
    width, height = size
    face = Face(choose(rng, fonts, kind="mono", bold=chance(rng, 0.3)).path, between(rng, 12, 24))
    paper = pick(rng, (colours.WHITE, colours.pale(rng), colours.deep(rng)))
    ink = colours.ink_on(paper, rng.uniform(0.6, 1.0))
    image = Image.new("RGB", size, paper)
    step = max(1, round(width_of(face, "m")))
    count = max(12, width * 9 // 10 // step)
    left, y = (width - count * step) // 2, face.size
    while y + 2 * face.size < height:
        kind = rng.random()
        if kind < 0.12:
            text = pick(rng, "-=*.") * count
        elif kind < 0.25:
            text = words.title(rng, "English", 1, 3).upper().center(count)
        elif kind < 0.35:
            text = f"{between(rng, 1, 28):02}.{between(rng, 1, 12):02}.{between(rng, 1990, 2030)}"
        else:
            price = f"{rng.uniform(0, 10 ** between(rng, 1, 4)):.2f}"
            text = words.title(rng, "English", 1, 2)[: count - 9].ljust(count - len(price)) + price
        write(image, (left, y), text[:count], face, ink)
        y += round(face.size * 1.35)
    return image


def _poster(rng, size, fonts) -> Image.Image:
    """Draws a few large words, left, right or centred, on one or two colours."""
    width, height = size
    grounds = colours.palette(rng, 2)
    image = Image.new("RGB", size, grounds[0])
    split = round(height * rng.uniform(0.3, 0.9))
    if chance(rng, 0.5):
        ImageDraw.Draw(image).rectangle((0, split, width, height), grounds[1])
    language, align = pick(rng, languages_of(fonts)), pick(rng, "lmr")
    x = {"l": width // 16, "m": width // 2, "r": width * 15 // 16}[align]
    y = height // 20
    while True:
        font = choose(rng, fonts, language, bold=chance(rng, 0.6), italic=chance(rng, 0.2))
        text = words.title(rng, language, 1, 3)
        fits = int(width * 0.85 / (width_of(Face(font.path, 100), text) / 100))
        face = Face(font.path, min(fits, between(rng, 24, height // 4)))
        if y + line_height(face) > height:
            return image
        below = grounds[1] if y > split else grounds[0]
        ink = colours.ink_on(below)
        if chance(rng, 0.3):
            ink = colours.mixed(colours.vivid(rng), ink, 0.35)
        write(image, (x, y), text, face, ink, align=align)
        y += round(line_height(face) * rng.uniform(1.0, 1.4))
