"""Line art: sketches, hatching, mazes, plans, diagrams, halftones, mostly black on white."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from rdc_jax.data.synthesis import colours, words
from rdc_jax.data.synthesis.drawings import FINER, blob, polygon
from rdc_jax.data.synthesis.draws import between, chance, pick
from rdc_jax.data.synthesis.fonts import Face, Font, choose
from rdc_jax.data.synthesis.gradients import smooth_field
from rdc_jax.data.synthesis.lettering import width_of, write


def draw(rng: np.random.Generator, size: tuple[int, int], fonts: Sequence[Font]) -> np.ndarray:
    """Draws line art, uint8 [h, w, 3] with `size` = (w, h)."""
    ink, paper = colours.BLACK, colours.WHITE
    if chance(rng, 0.35):
        ink, paper = colours.deep(rng), colours.pale(rng)
    if chance(rng, 0.2):
        ink, paper = paper, pick(rng, (colours.BLACK, (20, 60, 130), ink))
    image = Image.new("RGB", (FINER * size[0], FINER * size[1]), paper)
    kinds = (_sketch, _hatching, _maze, _spirals, _plan, _diagram, _diagram, _halftone, _contours)
    pick(rng, kinds)(rng, image, ink, fonts)
    return np.asarray(image.reduce(FINER))


def _stroke(rng, pen: ImageDraw.ImageDraw, points, ink, width: int) -> None:
    """Draws a Catmull-Rom curve through the points, with varying width as from a brush."""
    p = np.array([points[0], *points, points[-1]], float)
    t = np.linspace(0, 1, 12)[:, None]
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                       + (3 * b - a - 3 * c + d) * t**3)  # fmt: skip
        thick = max(FINER, round(width * rng.uniform(0.6, 1.4)))
        pen.line([tuple(xy) for xy in curve], ink, thick, joint="curve")


def _sketch(rng, image: Image.Image, ink, fonts) -> None:
    width, height = image.size
    pen, line = ImageDraw.Draw(image), between(rng, 1, 4) * FINER
    for _ in range(between(rng, 6, 40)):
        x, y, r = width * rng.random(), height * rng.random(), height * rng.uniform(0.03, 0.3)
        kind = between(rng, 0, 3)
        if kind == 0:
            points = blob(rng, x, y, r, rng.uniform(0.1, 0.6))[::6]
            _stroke(rng, pen, [*points, points[0]], ink, line)
        elif kind == 1:
            points = [(x + r * rng.normal(), y + r * rng.normal()) for _ in range(6)]
            _stroke(rng, pen, points, ink, line)
        elif kind == 2:
            corners = polygon(rng, x, y, r, between(rng, 3, 7))
            pen.line([*corners, corners[0]], ink, line)
        else:  # a plant: a stem with leaves
            turn = rng.uniform(-0.5, 0.5)
            for i in range(8):
                side = 1 if i % 2 else -1
                y0 = y - i * r / 5
                leaf = (x + turn * i * r / 6, y0)
                tip = (leaf[0] + side * r * 0.5, y0 - r * rng.uniform(0.1, 0.4))
                bow = ((leaf[0] + tip[0]) / 2, min(y0, tip[1]) - r * 0.15)
                _stroke(rng, pen, [leaf, bow, tip, leaf], ink, line)
            pen.line([(x, y), (x + turn * 7 * r / 6, y - 7 * r / 5)], ink, line)


def _hatching(rng, image: Image.Image, ink, fonts) -> None:
    """Draws parallel lines whose width follows a smooth image, as in engravings."""
    width, height = image.size
    tone = smooth_field(rng, height // 8, width // 8)
    pen, step = ImageDraw.Draw(image), between(rng, 4, 12) * FINER
    for y in range(0, height + step, step):
        for x in range(0, width, 8):
            value = tone[min(y // 8, tone.shape[0] - 1), min(x // 8, tone.shape[1] - 1)]
            bend = round(step * math.sin(x / height * 9))
            half = value * step * 0.45
            pen.rectangle((x, y + bend - half, x + 8, y + bend + half), ink)


def _maze(rng, image: Image.Image, ink, fonts) -> None:
    width, height = image.size
    cell, thick = between(rng, 7, 30) * FINER, between(rng, 1, 3) * FINER
    pen, diagonal = ImageDraw.Draw(image), chance(rng, 0.5)
    for top in range(0, height, cell):
        for left in range(0, width, cell):
            right, bottom = left + cell, top + cell
            if diagonal:
                ends = ((left, top, right, bottom), (left, bottom, right, top))
            else:
                ends = ((left, top, right, top), (left, top, left, bottom))
            pen.line(pick(rng, ends), ink, thick)


def _spirals(rng, image: Image.Image, ink, fonts) -> None:
    """Draws curves of a spirograph."""
    width, height = image.size
    pen = ImageDraw.Draw(image)
    for _ in range(between(rng, 1, 5)):
        t = np.linspace(0, 2 * np.pi * between(rng, 8, 40), 2500)
        a, b = rng.uniform(0.1, 0.3, 2) * height
        ratio, grow = rng.uniform(1.5, 9), np.linspace(rng.uniform(0.1, 1), 1, t.size)
        x = width * rng.uniform(0.3, 0.7) + grow * (a * np.cos(t) + b * np.cos(ratio * t))
        y = height * rng.uniform(0.3, 0.7) + grow * (a * np.sin(t) - b * np.sin(ratio * t))
        colour = ink if chance(rng, 0.6) else colours.vivid(rng)
        pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), colour, FINER)


def _plan(rng, image: Image.Image, ink, fonts) -> None:
    """Draws a plan: walls, dashed axes, circles and dimensions with numbers."""
    width, height = image.size
    pen, thin = ImageDraw.Draw(image), FINER
    face = Face(choose(rng, fonts, kind="sans").path, between(rng, 9, 14) * FINER)
    for _ in range(between(rng, 3, 10)):
        x0, x1 = np.sort(rng.uniform(0.05, 0.95, 2)) * width
        y0, y1 = np.sort(rng.uniform(0.05, 0.95, 2)) * height
        pen.rectangle((x0, y0, x1, y1), outline=ink, width=pick(rng, (1, 2, 4)) * FINER)
        for x in np.arange(x0, x1, 12 * FINER):
            pen.line([(x, (y0 + y1) / 2), (x + 7 * FINER, (y0 + y1) / 2)], ink, thin)
        r = min(x1 - x0, y1 - y0) * rng.uniform(0.1, 0.4)
        cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
        pen.ellipse((cx - r, cy - r, cx + r, cy + r), outline=ink, width=2 * FINER)
        y = y0 - 12 * FINER
        pen.line([(x0, y), (x1, y)], ink, thin)
        for x, way in ((x0, 1), (x1, -1)):
            pen.line([(x, y - 5 * FINER), (x, y0)], ink, thin)
            tip = way * 6 * FINER
            pen.polygon([(x, y), (x + tip, y - 2 * FINER), (x + tip, y + 2 * FINER)], ink)
        text = f"{(x1 - x0) / FINER:.1f}"
        write(image, ((x0 + x1) / 2, y - 1.3 * face.size), text, face, ink, align="m")


def _diagram(rng, image: Image.Image, ink, fonts) -> None:
    """Draws boxes with words, joined by arrows."""
    width, height = image.size
    pen, line = ImageDraw.Draw(image), between(rng, 1, 2) * FINER
    face = Face(choose(rng, fonts, kind=pick(rng, ("sans", "serif", "mono"))).path,
                between(rng, 10, 18) * FINER)  # fmt: skip
    columns, rows = between(rng, 2, 5), between(rng, 3, 8)
    fills = [image.getpixel((0, 0)), *(colours.pale(rng) for _ in range(2))]
    middles = [
        (width * (c + rng.uniform(0.4, 0.6)) / columns, height * (r + rng.uniform(0.4, 0.6)) / rows)
        for r in range(rows)
        for c in range(columns)
        if chance(rng, 0.85)
    ]
    for (x0, y0), (x1, y1) in itertools.pairwise(middles):
        path = [(x0, y0), (x1, y0), (x1, y1)] if chance(rng, 0.6) else [(x0, y0), (x1, y1)]
        pen.line(path, ink, line, joint="curve")
        angle = math.atan2(path[-1][1] - path[-2][1], path[-1][0] - path[-2][0])
        x, y = (path[-1][i] * 0.5 + path[-2][i] * 0.5 for i in (0, 1))
        tip = [(x + 9 * FINER * math.cos(angle + a), y + 9 * FINER * math.sin(angle + a))
               for a in (0.0, 2.5, -2.5)]  # fmt: skip
        pen.polygon(tip, ink)
    for x, y in middles:
        text = words.title(rng, "English", 1, 2)
        w = min(width_of(face, text) / 2 + face.size, 0.48 * width / columns)
        h, fill = face.size * rng.uniform(0.9, 1.4), pick(rng, fills)
        box, shape = (x - w, y - h, x + w, y + h), between(rng, 0, 3)
        if shape == 0:
            pen.ellipse(box, fill, ink, line)
        elif shape == 1:
            pen.polygon([(x - w, y), (x, y - 1.5 * h), (x + w, y), (x, y + 1.5 * h)], fill)
            corners = [(x - w, y), (x, y - 1.5 * h), (x + w, y), (x, y + 1.5 * h), (x - w, y)]
            pen.line(corners, ink, line)
        else:
            pen.rounded_rectangle(box, h * 0.4 * (shape == 2), fill, ink, line)
        colour = ink if fill == fills[0] else colours.ink_on(fill)
        if width_of(face, text) < 1.8 * w:
            write(image, (x, y - 0.65 * face.size), text, face, colour, align="m")


def _halftone(rng, image: Image.Image, ink, fonts) -> None:
    """Draws dots on a turned grid. Their size follows a smooth image."""
    width, height = image.size
    tone = smooth_field(rng, height // 8, width // 8)
    pen, step, angle = ImageDraw.Draw(image), between(rng, 4, 14) * FINER, rng.uniform(0, 1.5)
    reach = (width + height) // step
    c, s = math.cos(angle), math.sin(angle)
    for i in range(-reach, reach):
        for j in range(-reach, reach):
            x, y = step * (c * i - s * j), step * (s * i + c * j)
            if 0 <= x < width and 0 <= y < height:
                row, column = min(int(y) // 8, len(tone) - 1), min(int(x) // 8, tone.shape[1] - 1)
                r = step * 0.7 * float(tone[row, column])
                pen.ellipse((x - r, y - r, x + r, y + r), ink)


def _contours(rng, image: Image.Image, ink, fonts) -> None:
    """Draws contour lines of a smooth surface, as on hiking maps."""
    width, height = image.size
    field = sum(smooth_field(rng, height, width) for _ in range(3)) * rng.uniform(6, 30)
    slope = np.hypot(*np.gradient(field)) + 1e-6
    distance = np.abs(field - np.round(field)) / slope
    line = distance < rng.uniform(0.4, 1.2) * FINER
    image.paste(ink, (0, 0, width, height), Image.fromarray(line.astype(np.uint8) * 255))
