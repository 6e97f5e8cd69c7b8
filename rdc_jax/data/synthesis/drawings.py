"""Flat drawings with few colours and smooth edges: landscapes, shapes, icons, maps, characters."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from rdc_jax.data.synthesis import colours
from rdc_jax.data.synthesis.draws import between, chance, pick
from rdc_jax.data.synthesis.fonts import Font
from rdc_jax.data.synthesis.panels import icon

FINER = 3  # drawings are made at this multiple of their size and averaged


def draw(rng: np.random.Generator, size: tuple[int, int], fonts: Sequence[Font] = ()) -> np.ndarray:
    """Draws a flat drawing without text, uint8 [h, w, 3] with `size` = (w, h)."""
    kind = pick(rng, (_landscape, _landscape, _shapes, _tiles, _icons, _map, _faces, _stripes))
    image = Image.new("RGB", (FINER * size[0], FINER * size[1]))
    kind(rng, image)
    return np.asarray(image.reduce(FINER))


def blob(rng: np.random.Generator, x: float, y: float, radius: float, spread: float = 0.3):
    """Returns the points of a round shape.

    Args:
        rng: Source of all randomness.
        x: Centre in pixels from the left.
        y: Centre in pixels from the top.
        radius: Mean radius in pixels.
        spread: Irregularity, 0..1.
    """
    count = 90
    angles = np.arange(count) * 2 * np.pi / count
    wave = sum(rng.uniform(-1, 1) / k * np.cos(k * angles + rng.uniform(0, 7)) for k in range(2, 6))
    lengths = radius * (1 + spread * wave)
    return [
        (x + length * math.cos(a), y + length * math.sin(a))
        for a, length in zip(angles, lengths, strict=True)
    ]


def polygon(rng: np.random.Generator, x: float, y: float, radius: float, corners: int):
    """Returns the corners of a regular polygon, turned at random.

    Args:
        rng: Source of all randomness.
        x: Centre in pixels from the left.
        y: Centre in pixels from the top.
        radius: Distance of the corners from the centre in pixels.
        corners: Number of corners.
    """
    turn = rng.uniform(0, 2 * np.pi)
    angles = [turn + 2 * np.pi * i / corners for i in range(corners)]
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


def _landscape(rng, image: Image.Image) -> None:
    width, height = image.size
    pen, shades = ImageDraw.Draw(image), colours.palette(rng, 4)
    bands = between(rng, 1, 8)  # a sky in one colour or in flat bands
    for i in range(bands):
        sky = colours.mixed(shades[0], colours.WHITE, 0.7 * i / bands)
        pen.rectangle((0, height * i // bands, width, height), sky)
    radius, x = height * rng.uniform(0.05, 0.16), width * rng.uniform(0.1, 0.9)
    y = height * rng.uniform(0.1, 0.4)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), shades[1])
    for _ in range(between(rng, 0, 5)):
        x, y = width * rng.random(), height * rng.uniform(0.05, 0.35)
        for _ in range(4):
            r = height * rng.uniform(0.02, 0.05)
            dx = rng.uniform(-2, 2) * r
            pen.ellipse((x + dx - 1.5 * r, y - r, x + dx + 1.5 * r, y + r), colours.WHITE)
    count = between(rng, 2, 6)
    for i in range(count):
        base = height * (0.4 + 0.5 * i / count)
        colour = colours.mixed(shades[2], shades[3], i / count)
        if chance(rng, 0.4):
            places = np.linspace(0, 1, 9)
            peaks = [(width * p, base - height * rng.uniform(0, 0.25)) for p in places]
        else:
            xs, phase = np.linspace(0, 1, 80), rng.uniform(0, 7, 2)
            waves = np.sin(xs * rng.uniform(3, 9) + phase[0]) + 0.4 * np.sin(xs * 17 + phase[1])
            peaks = [(width * p, base - height * 0.06 * w) for p, w in zip(xs, waves, strict=True)]
        pen.polygon([(0, height), *peaks, (width, height)], colour)
        for _ in range(between(rng, 0, 6)):
            x, y = peaks[between(rng, 1, len(peaks) - 2)]
            _tree_or_house(rng, pen, x, y, height * rng.uniform(0.04, 0.12))


def _tree_or_house(rng, pen: ImageDraw.ImageDraw, x: float, y: float, size: float) -> None:
    colour = colours.any_colour(rng)
    if chance(rng, 0.35):
        pen.rectangle((x - size / 2, y - size, x + size / 2, y + size), colour)
        roof = [(x - size * 0.65, y - size), (x + size * 0.65, y - size), (x, y - 1.7 * size)]
        pen.polygon(roof, colours.any_colour(rng))
        for dx in (-0.28, 0.12):
            window = (x + dx * size, y - size * 0.7, x + (dx + 0.18) * size, y - size * 0.4)
            pen.rectangle(window, colours.mixed(colours.WHITE, (255, 220, 90), rng.random()))
        return
    pen.rectangle((x - size * 0.06, y - size, x + size * 0.06, y + size * 0.3), (92, 64, 51))
    green = colours.of_hsv(rng.uniform(0.2, 0.45), rng.uniform(0.4, 0.9), rng.uniform(0.3, 0.8))
    if chance(rng, 0.5):
        for i in range(3):
            top = y - size * (1.9 - 0.45 * i)
            half = size * (0.25 + 0.13 * i)
            foot = top + 0.7 * size
            pen.polygon([(x - half, foot), (x + half, foot), (x, top)], green)
    else:
        pen.polygon(blob(rng, x, y - 1.3 * size, 0.6 * size, 0.15), green)


def _shapes(rng, image: Image.Image) -> None:
    """Draws overlapping circles, polygons, rings and blobs, some with outlines."""
    width, height = image.size
    shades = colours.palette(rng, between(rng, 3, 7))
    image.paste(pick(rng, (shades[0], colours.WHITE, colours.BLACK)), (0, 0, width, height))
    pen = ImageDraw.Draw(image)
    outline = pick(rng, (None, None, colours.BLACK, colours.WHITE))
    line = between(rng, 1, 5) * FINER
    for _ in range(between(rng, 8, 60)):
        x, y = width * rng.random(), height * rng.random()
        r, colour = height * 10 ** rng.uniform(-2, -0.6), pick(rng, shades)
        box, kind = (x - r, y - r, x + r, y + r), between(rng, 0, 5)
        if kind == 0:
            pen.ellipse(box, colour, outline, line)
        elif kind == 1:
            pen.polygon(polygon(rng, x, y, r, between(rng, 3, 8)), colour, outline, line)
        elif kind == 2:
            pen.ellipse(box, None, colour, max(line, round(r * rng.uniform(0.1, 0.5))))
        elif kind == 3:
            pen.polygon(blob(rng, x, y, r, rng.uniform(0.1, 0.6)), colour, outline, line)
        elif kind == 4:
            box = (x - r * rng.uniform(0.3, 2), y - r, x + r, y + r)
            pen.rounded_rectangle(box, r * rng.uniform(0, 0.3), colour, outline, line)
        else:
            pen.pieslice(box, *sorted(rng.uniform(0, 360, 2)), colour, outline, line)


def _tiles(rng, image: Image.Image) -> None:
    """Draws a grid of simple shapes in few colours, as on wrapping paper, or a chessboard."""
    width, height = image.size
    shades = colours.palette(rng, between(rng, 2, 5))
    pen, side = ImageDraw.Draw(image), max(6 * FINER, round(height / between(rng, 4, 40)))
    for top in range(0, height, side):
        for left in range(0, width, side):
            square = (left, top, left + side, top + side)
            even = (left // side + top // side) % 2
            pen.rectangle(square, shades[even] if len(shades) < 4 else pick(rng, shades))
            kind, colour = between(rng, 0, 4) if len(shades) > 2 else 9, pick(rng, shades)
            if kind == 0:
                pen.ellipse(square, colour)
            elif kind == 1:
                start = 90 * between(rng, 0, 3)
                corner = (left + side * (start in (90, 180)), top + side * (start > 90))
                x, y = corner[0] - side * (start in (0, 270)), corner[1] - side * (start < 180)
                pen.pieslice((x, y, x + 2 * side, y + 2 * side), start, start + 90, colour)
            elif kind == 2:
                pen.polygon([(left, top), (left + side, top), (left, top + side)], colour)
            elif kind == 3:
                middle = left + side // 2, top + side // 2
                pen.regular_polygon((middle, side // 3), between(rng, 3, 6), fill=colour)


def _icons(rng, image: Image.Image) -> None:
    width, height = image.size
    shades, cell = colours.palette(rng, 5), round(height / between(rng, 3, 9))
    ground = pick(rng, (colours.WHITE, colours.pale(rng), colours.deep(rng)))
    image.paste(ground, (0, 0, width, height))
    pen, plate = ImageDraw.Draw(image), between(rng, 0, 2)
    for top in range(cell // 6, height - cell // 2, cell):
        for left in range(cell // 6, width - cell // 2, cell):
            box, colour = (left, top, left + cell * 2 // 3, top + cell * 2 // 3), pick(rng, shades)
            if plate:
                shape = pen.ellipse if plate == 1 else pen.rectangle
                shape(box, colour)
            inset = cell // 8 if plate else 0
            place = (left + inset, top + inset, box[2] - inset, box[3] - inset)
            icon(rng, image, place, colours.ink_on(colour) if plate else colour)


def _map(rng, image: Image.Image) -> None:
    """Draws areas around random centres, a bent grid of streets and a river, as on a city map."""
    width, height = image.size
    centres = rng.uniform(0, 1, (between(rng, 15, 60), 2)).astype(np.float32)
    x, y = (np.arange(n // 8, dtype=np.float32) / (n // 8) for n in (width, height))
    distances = (np.abs(y - cy)[:, None] + np.abs(x - cx) for cx, cy in centres)
    nearest, least = np.zeros((y.size, x.size), int), np.float32(np.inf)
    for number, distance in enumerate(distances):
        nearest[distance < least] = number
        least = np.minimum(least, distance)
    paper = pick(rng, ((242, 239, 233), (250, 250, 250), (38, 42, 52)))
    shades = [colours.mixed(paper, c, 0.35) for c in colours.palette(rng, 4)] + [paper] * 2
    table = np.array([pick(rng, shades) for _ in centres], np.uint8)
    image.paste(Image.fromarray(table[nearest]).resize(image.size, Image.Resampling.NEAREST))
    pen = ImageDraw.Draw(image)
    xs = np.linspace(0, width, 60)
    ys = height * (0.5 + 0.3 * np.sin(xs / width * rng.uniform(2, 9) + rng.uniform(0, 7)))
    river = list(zip(xs.tolist(), ys.tolist(), strict=True))
    pen.line(river, (170, 211, 223), round(height * rng.uniform(0.01, 0.06)), joint="curve")
    edge = colours.mixed(paper, colours.ink_on(paper), 0.25)
    count = between(rng, 5, 24)
    jitter = rng.normal(0, rng.uniform(0.02, 0.25), (count + 1, count + 1, 2))
    nodes = (np.stack(np.mgrid[0 : count + 1, 0 : count + 1], -1) + jitter) / count
    points = [[(y * width, x * height) for y, x in row] for row in nodes.tolist()]
    streets = [row[between(rng, 0, 3) :] for row in [*points, *zip(*points, strict=True)]]
    widths = [pick(rng, (1, 2, 2, 4, 8)) * FINER for _ in streets]
    for colour, more in ((edge, 2 * FINER), (colours.WHITE, 0)):
        for street, thick in zip(streets, widths, strict=True):
            filling = (250, 220, 120) if thick > 6 * FINER and not more else colour
            pen.line(street, filling, thick + more, joint="curve")


def _faces(rng, image: Image.Image) -> None:
    """Draws simple characters with thick outlines."""
    width, height = image.size
    image.paste(pick(rng, (colours.WHITE, colours.pale(rng), colours.vivid(rng))),
                (0, 0, width, height))  # fmt: skip
    pen = ImageDraw.Draw(image)
    columns, rows = between(rng, 1, 4), between(rng, 1, 3)
    for i in range(columns * rows):
        x, y = width * (i % columns + 0.5) / columns, height * (i // columns + 0.5) / rows
        r = min(width / columns, height / rows) * rng.uniform(0.3, 0.45)
        line = max(FINER, round(r * rng.uniform(0.02, 0.07)))
        skin = pick(rng, (colours.any_colour(rng), (255, 219, 172), (141, 85, 36), (255, 224, 60)))
        for side in (-1, 1):
            ear = (x + side * r * 0.8 - r * 0.3, y - r, x + side * r * 0.8 + r * 0.3, y - r * 0.3)
            pen.ellipse(ear, skin, colours.BLACK, line)
        pen.ellipse((x - r, y - r, x + r, y + r), skin, colours.BLACK, line)
        eye = r * rng.uniform(0.12, 0.25)
        for side in (-1, 1):
            ex, ey = x + side * r * 0.4, y - r * 0.2
            white = (ex - eye, ey - eye, ex + eye, ey + eye)
            pen.ellipse(white, colours.WHITE, colours.BLACK, line)
            p = eye * 0.5
            pen.ellipse((ex - p, ey - p, ex + p, ey + p), colours.any_colour(rng))
        mouth = (x - r * 0.5, y + r * rng.uniform(-0.2, 0.2), x + r * 0.5, y + r * 0.6)
        if chance(rng, 0.5):
            pen.arc(mouth, 10, 170, colours.BLACK, line)
        else:
            pen.chord(mouth, 0, 180, (200, 30, 50), colours.BLACK, line)
        hair = colours.any_colour(rng)
        pen.chord((x - r, y - r * 1.05, x + r, y + r * 0.6), 205, 335, hair, colours.BLACK, line)


def _stripes(rng, image: Image.Image) -> None:
    """Draws parallel stripes, rings or rays in two to six colours."""
    width, height = image.size
    shades, kind = colours.palette(rng, between(rng, 2, 6)), between(rng, 0, 2)
    step = height / between(rng, 4, 80)
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)
    cx, cy = width * rng.random(), height * rng.random()
    if kind == 0:
        angle = pick(rng, (0.0, np.pi / 2, np.pi / 4, rng.uniform(0, np.pi)))
        number = (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y) / step
    elif kind == 1:
        number = np.hypot(x - cx, y - cy) / step
    else:
        number = (np.arctan2(y - cy, x - cx) / (2 * np.pi) + 0.5) * len(shades) * between(rng, 2, 9)
    table = np.array(shades, np.uint8)
    band = np.mod(number, len(shades)).astype(np.uint8) % len(shades)
    image.paste(Image.fromarray(table[np.broadcast_to(band, (height, width))]))
