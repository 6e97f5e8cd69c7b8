"""Windows of desktop and phone programs: spreadsheets, file managers, chats, settings, mail."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from rdc_jax.data.synthesis import colours, words
from rdc_jax.data.synthesis.draws import between, chance, pick
from rdc_jax.data.synthesis.fonts import Face, Font
from rdc_jax.data.synthesis.lettering import broken, width_of, write
from rdc_jax.data.synthesis.panels import Box, icon, inside, panel
from rdc_jax.data.synthesis.skins import Skin, draw_skin, name_of, write_short
from rdc_jax.data.synthesis.web_pages import thumbnail


def draw(rng: np.random.Generator, size: tuple[int, int], fonts: Sequence[Font]) -> np.ndarray:
    """Draws a window that fills the image, or several on a desktop.

    Returns uint8 [h, w, 3] with `size` = (w, h).
    """
    if chance(rng, 0.5):
        image = Image.new("RGB", size)
        _window(rng, image, (0, 0, *size), fonts)
        return np.asarray(image)
    image = Image.fromarray(thumbnail(rng, size))
    for _ in range(between(rng, 1, 3)):
        width, height = (round(n * rng.uniform(0.5, 0.9)) for n in size)
        left, top = (between(rng, 0, n - m) for n, m in zip(size, (width, height), strict=True))
        box = (left, top, left + width, top + height)
        panel(image, box, colours.BLACK, shadow=between(rng, 6, 24))
        _window(rng, image, box, fonts)
    return np.asarray(image)


def _window(rng, image: Image.Image, box: Box, fonts) -> None:
    skin = draw_skin(rng, fonts)
    left, top, right, bottom = box
    inner = Image.new("RGB", (right - left, bottom - top), skin.window)
    y = 0
    if chance(rng, 0.8):
        y = _title_bar(rng, inner, skin)
    if chance(rng, 0.5):
        y = _menu(rng, inner, skin, y)
    if chance(rng, 0.5):
        y = _tools(rng, inner, skin, y)
    content = pick(rng, (_sheet, _sheet, _files, _chat, _settings, _mail, _board))
    content(rng, inner, skin, (0, y, *inner.size))
    ImageDraw.Draw(inner).rectangle((0, 0, inner.width - 1, inner.height - 1), outline=skin.edge)
    inside(image, box, np.asarray(inner), skin.radius)


def _title_bar(rng, image, skin: Skin) -> int:
    height = between(rng, 22, 38)
    bar = pick(rng, (skin.accent, skin.window, colours.deep(rng)))
    if chance(rng, 0.3):  # a gradient, as was common around the year 2000
        other = np.array(colours.mixed(bar, colours.WHITE, 0.6), np.float32)
        ramp = np.linspace(0, 1, image.width)[None, :, None]
        row = np.rint(np.array(bar) + (other - np.array(bar)) * ramp).astype(np.uint8)
        inside(image, (0, 0, image.width, height), np.repeat(row, height, 0))
    else:
        panel(image, (0, 0, image.width, height), bar)
    ink = colours.ink_on(bar)
    write_short(
        image, skin, (height, height // 5), name_of(rng, skin, 1, 4), image.width / 2, ink=ink
    )
    icon(rng, image, (6, 5, height - 4, height - 5), colours.vivid(rng))
    for i in range(3):
        x = image.width - (i + 1) * height
        icon(rng, image, (x + 8, 8, x + height - 8, height - 8), ink)
    return height


def _menu(rng, image, skin: Skin, y: int) -> int:
    x, height = 8, round(1.8 * skin.face.size)
    for _ in range(between(rng, 4, 9)):
        text = name_of(rng, skin, 1, 1)
        write_short(image, skin, (x, y + height // 6), text, image.width - x)
        x += round(width_of(skin.face, text)) + skin.face.size
    return y + height


def _tools(rng, image, skin: Skin, y: int) -> int:
    height, x = between(rng, 24, 44), 6
    panel(image, (0, y, image.width, y + height), colours.mixed(skin.window, skin.edge, 0.2))
    while x < image.width - height:
        if chance(rng, 0.12):
            ImageDraw.Draw(image).line([(x, y + 4), (x, y + height - 4)], skin.edge)
            x += 6
        ink = skin.ink if chance(rng, 0.5) else colours.vivid(rng)
        icon(rng, image, (x + 4, y + 4, x + height - 4, y + height - 4), ink)
        x += height
        if chance(rng, 0.06):
            break
    return y + height


def _sheet(rng, image, skin: Skin, box: Box) -> None:
    """Draws the cells of a spreadsheet, some coloured, with letters and numbers along the sides."""
    left, top, right, bottom = box
    panel(image, box, skin.field)
    height, pen = round(1.6 * skin.face.size), ImageDraw.Draw(image)
    head = colours.mixed(skin.window, skin.edge, 0.3)
    panel(image, (left, top, right, top + height), head)
    panel(image, (left, top, left + 40, bottom), head)
    x, number = left + 40, 0
    while x < right:
        width, kind, first = between(rng, 50, 140), between(rng, 0, 3), between(rng, 1, 500)
        write_short(image, skin, (x + width // 2, top + 2), chr(65 + number % 26), 20)
        for i, y in enumerate(range(top + height, bottom, height)):
            if chance(rng, 0.05):
                tint = colours.mixed(skin.field, colours.vivid(rng), 0.35)
                panel(image, (x + 1, y + 1, x + width, y + height), tint)
            if number == 0:
                write_short(image, skin, (left + 6, y + 2), str(first + i), 34)
            if chance(rng, 0.8):
                text = words.word(rng, skin.language)
                if kind:
                    text = (f"{rng.normal(0, 10 ** kind):.2f}", f"{between(rng, 0, 99999):,}",
                            f"{100 * rng.random():.1f} %")[kind - 1]  # fmt: skip
                room = min(width_of(skin.face, text, skin.rendering), width - 8)
                place = (x + 4 if kind == 0 else x + width - 4 - room, y + 2)
                write_short(image, skin, place, text, width - 7, bold=i == 0)
        pen.line([(x, top), (x, bottom)], skin.edge)
        x, number = x + width, number + 1
    for y in range(top + height, bottom, height):
        pen.line([(left, y), (right, y)], skin.edge)


def _files(rng, image, skin: Skin, box: Box) -> None:
    """Draws icons with names, or a list with dates and sizes, beside a tree of folders."""
    left, top, right, bottom = box
    step = round(2.2 * skin.face.size)
    split = left + (right - left) // 4
    for i, y in enumerate(range(top + 6, bottom - step, step)):
        indent = 14 * (i % 3)
        icon(rng, image, (left + 6 + indent, y, left + 22 + indent, y + 16), skin.accent)
        write_short(
            image, skin, (left + 28 + indent, y), name_of(rng, skin), split - left - 30 - indent
        )
    panel(image, (split, top, right, bottom), skin.field, outline=skin.edge)
    if chance(rng, 0.5):
        for y in range(top + 6, bottom - step, step):
            if chance(rng, 0.08):
                tint = colours.mixed(skin.field, skin.accent, 0.4)
                panel(image, (split + 1, y - 3, right, y + step - 3), tint)
            icon(rng, image, (split + 8, y, split + 24, y + 16), colours.vivid(rng))
            write_short(image, skin, (split + 32, y), name_of(rng, skin), (right - split) * 0.4)
            date = f"{between(rng, 1, 28):02}.{between(rng, 1, 12):02}.{between(rng, 1990, 2030)}"
            x = split + round((right - split) * 0.55)
            write_short(image, skin, (x, y), date, (right - split) * 0.22)
            x = split + round((right - split) * 0.8)
            write_short(image, skin, (x, y), f"{between(rng, 1, 9999)} KB", right - x)
        return
    cell = between(rng, 70, 130)
    for y in range(top + 8, bottom - cell, cell):
        for x in range(split + 8, right - cell, cell):
            side = cell - 2 * step
            place = (x + step, y, x + step + side, y + side)
            if side > 12 and chance(rng, 0.4):
                inside(image, place, thumbnail(rng, (side, side)))
            else:
                icon(rng, image, place, colours.vivid(rng))
            write_short(image, skin, (x + 4, y + side + 4), name_of(rng, skin), cell - 8)


def _chat(rng, image, skin: Skin, box: Box) -> None:
    """Draws messages in bubbles on both sides."""
    left, top, right, bottom = box
    panel(image, box, pick(rng, (skin.field, skin.window, colours.pale(rng))))
    mine, other = skin.accent, colours.mixed(skin.window, skin.edge, 0.35)
    y, leading = top + 10, round(1.4 * skin.face.size)
    joiner = words.LANGUAGES[skin.language].joiner
    while y < bottom - 2 * leading:
        right_side = chance(rng, 0.5)
        text = words.paragraph(rng, skin.language, between(rng, 1, 20))
        lines = broken(text, skin.face, (right - left) * 0.6, joiner)
        width = round(max(width_of(skin.face, joiner.join(line)) for line in lines)) + 20
        height, colour = len(lines) * leading + 12, mine if right_side else other
        x = right - width - 12 if right_side else left + 48
        panel(image, (x, y, x + width, min(y + height, bottom)), colour, radius=12)
        for i, line in enumerate(lines):
            place = (x + 10, y + 6 + i * leading)
            if place[1] + leading < bottom:
                write_short(
                    image, skin, place, joiner.join(line), width, ink=colours.ink_on(colour)
                )
        if not right_side:
            inside(image, (left + 8, y, left + 40, y + 32), thumbnail(rng, (32, 32)), 16)
        y += height + between(rng, 4, 16)


def _settings(rng, image, skin: Skin, box: Box) -> None:
    """Draws labels with switches, sliders, check boxes, fields and progress bars."""
    left, top, right, bottom = box
    y, step, middle = top + 12, round(2.6 * skin.face.size), (left + right) // 2
    pen, size = ImageDraw.Draw(image), skin.face.size
    while y < bottom - step:
        write_short(image, skin, (left + 16, y), name_of(rng, skin, 2, 5), middle - left - 24)
        kind, on, width = between(rng, 0, 5), chance(rng, 0.5), (right - middle) * 3 // 4
        colour = skin.accent if on else skin.edge
        if kind == 0:
            panel(image, (middle, y, middle + 2 * size, y + size), colour, radius=size // 2)
            x = middle + (size if on else 0)
            knob = (x + 2, y + 2, x + size - 2, y + size - 2)
            panel(image, knob, colours.WHITE, radius=size // 2)
        elif kind == 1:
            x = middle + round(width * rng.random())
            panel(image, (middle, y + size // 2 - 2, middle + width, y + size // 2 + 2), skin.edge)
            panel(image, (middle, y + size // 2 - 2, x, y + size // 2 + 2), skin.accent)
            pen.ellipse((x - 6, y + size // 2 - 6, x + 6, y + size // 2 + 6), skin.field, skin.ink)
        elif kind == 2:
            panel(image, (middle, y, middle + size, y + size), skin.field, outline=skin.edge,
                  radius=min(2, skin.radius))  # fmt: skip
            if on:
                icon(rng, image, (middle + 1, y + 1, middle + size, y + size), skin.accent)
            write_short(image, skin, (middle + 2 * size, y), name_of(rng, skin), width)
        elif kind == 3:
            field = (middle, y - 3, middle + width, y + round(1.5 * size))
            panel(image, field, skin.field, outline=skin.edge, radius=skin.radius // 2)
            write_short(image, skin, (middle + 6, y), name_of(rng, skin, 1, 4), width - 10)
        elif kind == 4:
            for length, shade in ((width, skin.edge), (round(width * rng.random()), skin.accent)):
                bar = (middle, y + 2, middle + length, y + size)
                panel(image, bar, shade, radius=skin.radius // 2)
        else:
            button = (middle, y - 4, middle + width // 2, y + round(1.6 * size))
            panel(image, button, skin.accent, radius=skin.radius, outline=skin.edge)
            ink = colours.ink_on(skin.accent)
            write_short(
                image, skin, (middle + 8, y), name_of(rng, skin, 1, 2), width // 2 - 12, ink=ink
            )
        y += step
        if chance(rng, 0.15):
            pen.line([(left + 12, y - size // 2), (right - 12, y - size // 2)], skin.edge)


def _mail(rng, image, skin: Skin, box: Box) -> None:
    """Draws a list of messages on the left and one message on the right."""
    left, top, right, bottom = box
    split, step = left + (right - left) // 3, round(4.2 * skin.face.size)
    panel(image, box, skin.field)
    for y in range(top, bottom, step):
        if chance(rng, 0.15):
            panel(image, (left, y, split, y + step), colours.mixed(skin.field, skin.accent, 0.3))
        room, line = split - left - 20, round(1.3 * skin.face.size)
        write_short(
            image, skin, (left + 10, y + 4), name_of(rng, skin, 2, 2), room, bold=chance(rng, 0.5)
        )
        preview = " ".join(words.sentence(rng, skin.language))
        faint = colours.mixed(skin.ink, skin.field, 0.4)
        write_short(image, skin, (left + 10, y + 4 + line), preview, room, ink=faint)
        ImageDraw.Draw(image).line([(left, y + step), (split, y + step)], skin.edge)
    ImageDraw.Draw(image).line([(split, top), (split, bottom)], skin.edge)
    y, leading = top + 12, round(1.5 * skin.face.size)
    write_short(
        image, skin, (split + 16, y), name_of(rng, skin, 3, 7), right - split - 30, bold=True
    )
    joiner, y = words.LANGUAGES[skin.language].joiner, y + 2 * leading
    while y < bottom - leading:
        text = words.paragraph(rng, skin.language, between(rng, 5, 60))
        for line in broken(text, skin.face, right - split - 32, joiner):
            if y < bottom - leading:
                write_short(image, skin, (split + 16, y), joiner.join(line), right - split)
            y += leading
        y += leading


def _board(rng, image, skin: Skin, box: Box) -> None:
    """Draws a dashboard of boxes with large numbers and small bars."""
    left, top, right, bottom = box
    cell, gap = between(rng, 110, 220), between(rng, 4, 16)
    for y in range(top + gap, bottom - cell // 2, cell):
        for x in range(left + gap, right - cell // 2, cell):
            colour = pick(rng, (skin.field, skin.field, skin.accent, colours.vivid(rng)))
            tile = (x, y, min(x + cell - gap, right - gap), min(y + cell - gap, bottom - gap))
            panel(image, tile, colour, radius=skin.radius, outline=skin.edge)
            ink, large = colours.ink_on(colour), Face(skin.bold.path, cell // 5)
            write_short(
                image, skin, (x + 8, y + 6), name_of(rng, skin, 1, 2), cell - gap - 16, ink=ink
            )
            number = f"{rng.uniform(0, 10 ** between(rng, 0, 4)):.{between(rng, 0, 1)}f}"
            if y + cell * 3 // 5 < bottom:
                write(image, (x + 8, y + cell // 4), number, large, ink, rendering=skin.rendering)
            for i in range(12):
                bar = round((cell // 4) * rng.random())
                at = x + 8 + i * (cell - gap - 16) // 12
                low = tile[3] - 8
                panel(image, (at, low - bar, at + (cell - gap) // 18, low), ink)
