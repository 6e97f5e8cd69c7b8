"""Editors with source code: highlighted text, line numbers, tabs and a list of files."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from rdc_jax.data.synthesis import colours, words
from rdc_jax.data.synthesis.colours import Colour
from rdc_jax.data.synthesis.draws import between, chance, pick
from rdc_jax.data.synthesis.fonts import Face, Font, choose
from rdc_jax.data.synthesis.lettering import Rendering, line_height, width_of, write

PLAIN, KEYWORD, NAME, STRING, NUMBER, COMMENT, MARK = range(7)
Line = list[tuple[str, int]]  # text and its kind


class Theme(NamedTuple):
    """Colours of an editor. `inks` has one colour per kind of text, as numbered above."""

    paper: Colour
    inks: tuple[Colour, ...]


THEMES = (
    Theme((30, 30, 30), ((212, 212, 212), (86, 156, 214), (220, 220, 170), (206, 145, 120),
                         (181, 206, 168), (106, 153, 85), (212, 212, 212))),
    Theme((39, 40, 34), ((248, 248, 242), (249, 38, 114), (166, 226, 46), (230, 219, 116),
                         (174, 129, 255), (117, 113, 94), (248, 248, 242))),
    Theme((40, 44, 52), ((171, 178, 191), (198, 120, 221), (97, 175, 239), (152, 195, 121),
                         (209, 154, 102), (92, 99, 112), (86, 182, 194))),
    Theme((46, 52, 64), ((216, 222, 233), (129, 161, 193), (136, 192, 208), (163, 190, 140),
                         (180, 142, 173), (97, 110, 136), (129, 161, 193))),
    Theme((255, 255, 255), ((0, 0, 0), (0, 0, 255), (121, 94, 38), (163, 21, 21),
                            (9, 134, 88), (0, 128, 0), (0, 0, 0))),
    Theme((255, 255, 255), ((36, 41, 46), (215, 58, 73), (111, 66, 193), (3, 47, 98),
                            (0, 92, 197), (106, 115, 125), (36, 41, 46))),
    Theme((253, 246, 227), ((101, 123, 131), (133, 153, 0), (38, 139, 210), (42, 161, 152),
                            (211, 54, 130), (147, 161, 161), (101, 123, 131))),
    Theme((0, 0, 128), ((255, 255, 0), (255, 255, 255), (255, 255, 0), (0, 255, 255),
                        (0, 255, 255), (192, 192, 192), (255, 255, 0))),
)  # fmt: skip


def draw(rng: np.random.Generator, size: tuple[int, int], fonts: Sequence[Font]) -> np.ndarray:
    """Draws an editor with source code, uint8 [h, w, 3] with `size` = (w, h)."""
    width, height = size
    theme = pick(rng, THEMES)
    image = Image.new("RGB", size, theme.paper)
    face = Face(choose(rng, fonts, kind="mono").path, between(rng, 10, 20))
    rendering = Rendering(lcd=chance(rng, 0.3), aliased=chance(rng, 0.08))
    left, top = 0, 0
    if chance(rng, 0.4):
        left = _files(rng, image, fonts, theme, rendering)
    if chance(rng, 0.5):
        top = _tabs(rng, image, fonts, theme, left)
    right = width - (_overview(rng, image, theme) if chance(rng, 0.25) else 0)
    step, leading = width_of(face, "m", rendering), round(line_height(face) * rng.uniform(1.0, 1.3))
    first, gutter = between(rng, 1, 900), round(5 * step)
    language = pick(rng, (_python, _c, _json, _markup))
    lines = language(rng, (height - top) // leading + 1)
    current = between(rng, 0, 2 * len(lines))
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        y = top + number * leading
        if number == current:
            band = colours.mixed(theme.paper, colours.ink_on(theme.paper), 0.08)
            pen.rectangle((left, y, right - 1, y + leading - 1), band)
        place = (left + gutter - step, y)
        faint = colours.mixed(theme.paper, theme.inks[COMMENT], 0.7)
        write(image, place, str(first + number), face, faint, align="r", rendering=rendering)
        x = float(left + gutter)
        for text, kind in line:
            room = int((right - x) / step)
            if room > 0:
                write(image, (x, y), text[:room], face, theme.inks[kind], rendering=rendering)
            x += step * len(text)
    return np.asarray(image)


def _files(rng, image: Image.Image, fonts, theme: Theme, rendering: Rendering) -> int:
    """Draws a list of files on the left. Returns its width."""
    width = round(image.width * rng.uniform(0.15, 0.28))
    ground = colours.mixed(theme.paper, colours.ink_on(theme.paper), 0.05)
    ImageDraw.Draw(image).rectangle((0, 0, width - 1, image.height), ground)
    face = Face(choose(rng, fonts, kind="sans").path, between(rng, 10, 16))
    y, step = 8, round(face.size * 1.6)
    while y < image.height - step:
        indent = between(rng, 0, 3) * face.size
        ending = pick(rng, (".py", ".c", ".h", ".json", ".md", "", ""))
        name = ("> " if not ending else "  ") + words.identifier(rng) + ending
        while width_of(face, name) > width - indent - 12 and len(name) > 3:
            name = name[:-1]
        ink = theme.inks[pick(rng, (PLAIN, PLAIN, STRING, COMMENT))]
        write(image, (6 + indent, y), name, face, ink, rendering=rendering)
        y += step
    return width


def _tabs(rng, image: Image.Image, fonts, theme: Theme, left: int) -> int:
    """Draws the tabs of open files. Returns their height."""
    height = between(rng, 24, 36)
    pen, x = ImageDraw.Draw(image), left
    strip = colours.mixed(theme.paper, colours.ink_on(theme.paper), 0.1)
    pen.rectangle((left, 0, image.width, height - 1), strip)
    face = Face(choose(rng, fonts, kind="sans").path, height * 2 // 5)
    while x < image.width:
        name = f"{words.identifier(rng)}.{pick(rng, ('py', 'c', 'ts', 'go', 'rs'))}"
        width = round(width_of(face, name)) + 2 * face.size
        if chance(rng, 0.3):
            pen.rectangle((x, 0, x + width, height), theme.paper)
        write(image, (x + face.size, height // 4), name, face, theme.inks[PLAIN])
        pen.line([(x + width, 0), (x + width, height)], theme.paper)
        x += width
        if chance(rng, 0.3):
            break
    return height


def _overview(rng, image: Image.Image, theme: Theme) -> int:
    """Draws the small overview of the whole file on the right. Returns its width."""
    width, pen, indent = between(rng, 50, 90), ImageDraw.Draw(image), 0
    left = image.width - width
    for y in range(0, image.height - 2, 3):
        indent = min(5, max(0, indent + between(rng, -1, 1)))
        x = left + 4 * indent
        for _ in range(between(rng, 0, 4)):
            length = between(rng, 2, 16)
            ink = colours.mixed(theme.paper, pick(rng, theme.inks), 0.6)
            pen.line([(x, y), (min(x + length, image.width), y)], ink)
            x += length + 3
    return width


def _value(rng, style: str) -> Line:
    kind = rng.random()
    if kind < 0.3:
        return [(f"{rng.uniform(0, 1000):.{between(rng, 0, 4)}f}", NUMBER)]
    if kind < 0.55:
        quote = pick(rng, "\"'") if style == "snake" else '"'
        text = " ".join(words.sentence(rng, "English", 1, 5))
        return [(f"{quote}{text}{quote}", STRING)]
    if kind < 0.8:
        call: Line = [(words.identifier(rng, style), NAME), ("(", MARK)]
        return [*call, (words.identifier(rng, style), PLAIN), (")", MARK)]
    return [(words.identifier(rng, style), PLAIN), (pick(rng, " +-*/") + " ", MARK),
            (words.identifier(rng, style), PLAIN)]  # fmt: skip


def _python(rng, count: int) -> list[Line]:
    lines: list[Line] = []
    depth = 0
    while len(lines) < count:
        start: Line = [("    " * depth, PLAIN)]
        kind = rng.random()
        if kind < 0.12:
            lines.append([])
            depth = max(0, depth - between(rng, 0, 2))
        elif kind < 0.22:
            comment = " ".join(words.sentence(rng, "English", 3, 11))
            lines.append([*start, (f"# {comment}", COMMENT)])
        elif kind < 0.32 and depth < 4:
            names = ", ".join(words.identifier(rng) for _ in range(between(rng, 0, 3)))
            lines.append([*start, ("def ", KEYWORD), (words.identifier(rng), NAME),
                          (f"({names}):", PLAIN)])  # fmt: skip
            depth += 1
        elif kind < 0.47 and depth < 4:
            word = pick(rng, ("if ", "for ", "while ", "with "))
            tail = " in " if word == "for " else " == "
            lines.append([*start, (word, KEYWORD), (words.identifier(rng), PLAIN),
                          (tail, KEYWORD), *_value(rng, "snake"), (":", MARK)])  # fmt: skip
            depth += 1
        elif kind < 0.55 and depth:
            lines.append([*start, ("return ", KEYWORD), *_value(rng, "snake")])
            depth -= 1
        else:
            target = words.identifier(rng)
            lines.append([*start, (target, PLAIN), (" = ", MARK), *_value(rng, "snake")])
    return lines


def _c(rng, count: int) -> list[Line]:
    lines: list[Line] = []
    depth = 0
    while len(lines) < count:
        start: Line = [("  " * depth, PLAIN)]
        kind = rng.random()
        if kind < 0.1:
            lines.append([])
        elif kind < 0.2:
            comment = " ".join(words.sentence(rng, "English", 3, 11))
            lines.append([*start, (f"// {comment}", COMMENT)])
        elif kind < 0.4 and depth < 5:
            word = pick(rng, ("if (", "while (", "static int ", "for (int i = 0; i < "))
            tail = ") {" if "(" in word else "(void) {"
            lines.append([*start, (word, KEYWORD), (words.identifier(rng, "camel"), NAME),
                          (tail, MARK)])  # fmt: skip
            depth += 1
        elif kind < 0.6 and depth:
            depth -= 1
            lines.append([("  " * depth + "}", MARK)])
        else:
            kind_of = pick(rng, ("int ", "auto ", "const char *", "double ", "size_t ", ""))
            lines.append([*start, (kind_of, KEYWORD), (words.identifier(rng, "camel"), PLAIN),
                          (" = ", MARK), *_value(rng, "camel"), (";", MARK)])  # fmt: skip
    return lines


def _json(rng, count: int) -> list[Line]:
    lines: list[Line] = [[("{", MARK)]]
    depth = 1
    while len(lines) < count:
        start, kind = ("  " * depth, PLAIN), rng.random()
        key = (f'"{words.identifier(rng, "camel")}"', NAME)
        if kind < 0.2 and depth < 6:
            lines.append([start, key, (": {", MARK)])
            depth += 1
        elif kind < 0.4 and depth > 1:
            depth -= 1
            lines.append([("  " * depth + "},", MARK)])
        else:
            value = (f'"{words.title(rng, "English")}"', STRING)
            if chance(rng, 0.4):
                value = (str(between(rng, 0, 99999)), NUMBER)
            elif chance(rng, 0.2):
                value = (pick(rng, ("true", "false", "null")), KEYWORD)
            lines.append([start, key, (": ", MARK), value, (",", MARK)])
    return lines


def _markup(rng, count: int) -> list[Line]:
    lines: list[Line] = []
    open_tags: list[str] = []
    while len(lines) < count:
        start, kind = ("  " * len(open_tags), PLAIN), rng.random()
        if kind < 0.35 and len(open_tags) < 7:
            tag = pick(rng, ("div", "section", "ul", "li", "table", "tr", "span", "nav"))
            name = words.identifier(rng, "kebab")
            lines.append([start, (f"<{tag}", KEYWORD), (" class=", NAME),
                          (f'"{name}"', STRING), (">", KEYWORD)])  # fmt: skip
            open_tags.append(tag)
        elif kind < 0.6 and open_tags:
            tag = open_tags.pop()
            lines.append([("  " * len(open_tags), PLAIN), (f"</{tag}>", KEYWORD)])
        else:
            text = " ".join(words.sentence(rng, "English", 2, 12))
            lines.append([start, ("<p>", KEYWORD), (text, PLAIN), ("</p>", KEYWORD)])
    return lines
