"""Terminal windows with monospaced text: listings, logs, process tables, hexadecimal dumps."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from rdc_jax.data.synthesis import colours, words
from rdc_jax.data.synthesis.colours import Colour
from rdc_jax.data.synthesis.draws import between, chance, pick
from rdc_jax.data.synthesis.fonts import Face, Font, choose
from rdc_jax.data.synthesis.lettering import Rendering, line_height, width_of, write

Span = tuple[str, int]  # text and the number of its colour in the theme; 0 is plain text
Line = list[Span]


class Theme(NamedTuple):
    """Background and eight text colours: plain, grey, red, green, yellow, blue, pink, cyan."""

    paper: Colour
    inks: tuple[Colour, ...]


_BRIGHT = ((205, 60, 60), (80, 200, 90), (210, 190, 70), (90, 140, 240), (200, 100, 210))
_SOFT = ((220, 50, 47), (133, 153, 0), (181, 137, 0), (38, 139, 210), (211, 54, 130))
_DARK = ((170, 0, 0), (0, 110, 0), (140, 90, 0), (0, 0, 170), (140, 0, 140))
THEMES = (
    Theme((0, 0, 0), ((204, 204, 204), (110, 110, 110), *_BRIGHT, (70, 200, 210))),
    Theme((12, 12, 12), ((230, 230, 230), (118, 118, 118), *_BRIGHT, (97, 214, 214))),
    Theme((48, 10, 36), ((238, 238, 236), (130, 120, 130), *_BRIGHT, (52, 226, 226))),
    Theme((40, 42, 54), ((248, 248, 242), (98, 114, 164), *_BRIGHT, (139, 233, 253))),
    Theme((0, 43, 54), ((131, 148, 150), (88, 110, 117), *_SOFT, (42, 161, 152))),
    Theme((253, 246, 227), ((101, 123, 131), (147, 161, 161), *_SOFT, (42, 161, 152))),
    Theme((255, 255, 255), ((0, 0, 0), (120, 120, 120), *_DARK, (0, 120, 140))),
    Theme((0, 0, 0), ((60, 255, 80), (30, 130, 40), *((60, 255, 80),) * 6)),  # green phosphor
    Theme((16, 8, 0), ((255, 176, 0), (150, 100, 0), *((255, 176, 0),) * 6)),  # amber
    Theme((0, 0, 168), ((255, 255, 255), (168, 168, 168), *_BRIGHT, (84, 255, 255))),
)


def draw(rng: np.random.Generator, size: tuple[int, int], fonts: Sequence[Font]) -> np.ndarray:
    """Draws a terminal window, uint8 [h, w, 3] with `size` = (w, h)."""
    width, height = size
    theme = pick(rng, THEMES)
    image = Image.new("RGB", size, theme.paper)
    font = choose(rng, fonts, kind="mono", bold=chance(rng, 0.15), symbols=chance(rng, 0.6))
    face = Face(font.path, between(rng, 10, 22))
    rendering = Rendering(lcd=chance(rng, 0.25), aliased=chance(rng, 0.15))
    step, leading = width_of(face, "m", rendering), line_height(face) + between(rng, 0, 2)
    y = _title_bar(rng, image, fonts) if chance(rng, 0.5) else 4
    count = int((width - 8) / step)
    content: list[Line] = []
    while len(content) * leading < height - y:
        kinds = _CONTENTS if font.symbols else _PLAIN_CONTENTS
        content += _prompt(rng) + pick(rng, kinds)(rng, count)
    pen = ImageDraw.Draw(image)
    selected = between(rng, 0, 3 * len(content))  # often beyond the last line, so none is selected
    for number, line in enumerate(content):
        if y + leading > height:
            break
        x, inks = 4.0, theme.inks
        if number == selected:
            pen.rectangle((0, y, width, y + leading - 1), theme.inks[0])
            inks = (theme.paper,) * len(theme.inks)
        for text, ink in line:
            write(image, (x, y), text, face, inks[ink], rendering=rendering)
            x += step * len(text)
        y += leading
    return np.asarray(image)


def _title_bar(rng, image: Image.Image, fonts) -> int:
    """Draws a window's title bar. Returns its height."""
    height = between(rng, 22, 36)
    bar = pick(rng, ((60, 60, 60), (222, 222, 222), (43, 43, 43), (240, 240, 245)))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, image.width, height - 1), bar)
    font = choose(rng, fonts, kind="sans", bold=chance(rng, 0.5))
    title = f"{words.identifier(rng)}@{words.identifier(rng)}: ~/{words.identifier(rng)}"
    face = Face(font.path, height // 2 - 1)
    write(image, (image.width / 2, height // 5), title, face, colours.ink_on(bar, 0.8), align="m")
    for i, colour in enumerate(((255, 95, 86), (255, 189, 46), (39, 201, 63))):
        x = 10 + i * height * 2 // 3
        pen.ellipse((x, height // 3, x + height // 3, height * 2 // 3), colour)
    return height + 3


def _prompt(rng) -> list[Line]:
    command = pick(rng, ("ls -l", "git log", "make -j8", "cat", "grep -rn", "python3", "top"))
    host = f"{words.identifier(rng)[:8]}@{words.identifier(rng)[:6]}"
    return [[(host, 3), (":", 0), (f"~/{words.identifier(rng)}", 5), (f"$ {command} ", 0),
             (words.identifier(rng, "kebab"), 0)]]  # fmt: skip


def _listing(rng, count: int) -> list[Line]:
    lines: list[Line] = []
    for _ in range(between(rng, 5, 25)):
        folder = chance(rng, 0.25)
        rights = ("d" if folder else "-") + "".join(pick(rng, ("rw-", "r-x", "rwx")) for _ in "123")
        day = f"{pick(rng, ('Jan', 'Mar', 'Jul', 'Oct'))} {between(rng, 1, 28):2} "
        clock = f"{between(rng, 0, 23):02}:{between(rng, 0, 59):02} "
        ending = "" if folder else pick(rng, (".txt", ".py", ".png", ".tar.gz", ".md", ""))
        size = int(10 ** rng.uniform(1, 8))
        lines.append([
            (f"{rights} {between(rng, 1, 9)} root users {size:>9} {day}{clock}", 0),
            (words.identifier(rng, pick(rng, ("snake", "kebab"))) + ending, 5 if folder else 0),
        ])  # fmt: skip
    return lines


def _log(rng, count: int) -> list[Line]:
    lines: list[Line] = []
    levels = (("INFO ", 3), ("DEBUG", 1), ("WARN ", 4), ("ERROR", 2))
    for _ in range(between(rng, 5, 25)):
        stamp = f"2024-{between(rng, 1, 12):02}-{between(rng, 1, 28):02} "
        stamp += f"12:{between(rng, 0, 59):02}"
        text = " ".join(words.sentence(rng, "English"))
        level = levels[int(len(levels) * rng.random() ** 2)]
        line = [(f"{stamp}.{between(rng, 0, 999):03} ", 1), level]
        line += [(f" {words.identifier(rng)}", 7), (f": {text}", 0)]
        lines.append(line)
    return lines


def _processes(rng, count: int) -> list[Line]:
    lines: list[Line] = []
    for name in ("CPU", "Mem", "Swp"):
        used = between(rng, 0, 40)
        lines.append([(f"{name}[", 0), ("|" * used, pick(rng, (3, 4, 2))), (" " * (40 - used), 0),
                      (f"{2.5 * used:5.1f}%]", 1)])  # fmt: skip
    lines.append([("  PID USER      PRI  NI   VIRT    RES S  CPU%  MEM%  COMMAND".ljust(count), 7)])
    for _ in range(between(rng, 5, 25)):
        lines.append([
            (f"{between(rng, 1, 99999):5} ", 0), (f"{words.identifier(rng)[:8]:8}", 3),
            (f"  20   0 {between(rng, 1, 9999):5}M {between(rng, 1, 999):5}M R ", 0),
            (f"{rng.uniform(0, 100):5.1f} {rng.uniform(0, 30):5.1f}", 4),
            (f"  /usr/bin/{words.identifier(rng, 'kebab')}", 0),
        ])  # fmt: skip
    return lines


def _dump(rng, count: int) -> list[Line]:
    lines: list[Line] = []
    for number in range(between(rng, 5, 25)):
        data = rng.integers(0, 256, 16)
        shown = "".join(chr(b) if 32 <= b < 127 else "." for b in data)
        digits = " ".join(f"{b:02x}" for b in data)
        lines.append([(f"{16 * number:08x}  ", 1), (digits, 0), (f"  |{shown}|", 3)])
    return lines


def _difference(rng, count: int) -> list[Line]:
    lines: list[Line] = [[(f"diff --git a/{words.identifier(rng)}.py", 0)]]
    lines.append([(f"@@ -{between(rng, 1, 99)},7 +{between(rng, 1, 99)},9 @@", 7)])
    for _ in range(between(rng, 6, 20)):
        sign, ink = pick(rng, ((" ", 0), (" ", 0), ("+", 3), ("-", 2)))
        call = f"{words.identifier(rng)}({words.identifier(rng)}, {between(rng, 0, 99)})"
        text = "    " * between(rng, 0, 3) + words.identifier(rng)
        lines.append([(f"{sign}{text} = {call}", ink)])
    return lines


def _framed(rng, count: int) -> list[Line]:
    """Returns a table drawn with box characters or with plain ones."""
    columns, width = between(rng, 2, 5), between(rng, 8, 14)
    across, down, cross = pick(rng, (("─", "│", "┼"), ("-", "|", "+"), ("═", "║", "╬")))
    rule: Line = [(cross + cross.join([across * width] * columns) + cross, 1)]
    lines = [rule]
    for row in range(between(rng, 4, 12)):
        line: Line = [(down, 1)]
        for _ in range(columns):
            text = words.identifier(rng)[:width] if row == 0 else f"{rng.normal(0, 100):.3f}"
            line += [(text.rjust(width), 4 if row == 0 else 0), (down, 1)]
        lines += [line, rule] if row == 0 else [line]
    return [*lines, rule]


def _progress(rng, count: int) -> list[Line]:
    lines: list[Line] = []
    for _ in range(between(rng, 2, 8)):
        done, length = rng.random(), max(5, count // 3)
        bar = pick(rng, ("█", "#", "=")) * int(done * length)
        rate = f"| {between(rng, 1, 999)}/999 [{rng.uniform(0, 99):.2f}it/s]"
        name = f"{words.identifier(rng)[:16]:16} {done:4.0%}|"
        lines.append([(name, 0), (bar.ljust(length), 3), (rate, 1)])
    return lines


_PLAIN_CONTENTS: tuple[Callable[..., list[Line]], ...] = (
    *(_listing, _log, _processes, _dump, _difference),
)
_CONTENTS = (*_PLAIN_CONTENTS, _framed, _progress)
