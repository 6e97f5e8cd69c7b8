"""Boxes of user interfaces with smooth round corners, outlines and shadows, and small icons."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from rdc_jax.data.synthesis.colours import BLACK, Colour
from rdc_jax.data.synthesis.draws import between, chance, pick

Box = tuple[int, int, int, int]
FINER = 4  # shapes are drawn at this multiple of their size and averaged


def panel(
    image: Image.Image,
    box: Box,
    fill: Colour | None,
    *,
    radius: int = 0,
    outline: Colour | None = None,
    shadow: int = 0,
) -> None:
    """Draws a rectangle.

    Args:
        image: RGB image, changed in place.
        box: Left, top, right, bottom; right and bottom are exclusive. Empty boxes draw nothing.
        fill: Colour of the inside; None to leave it unchanged.
        radius: Radius of the corners in pixels.
        outline: Colour of an outline of one pixel; None for no outline.
        shadow: Blur in pixels of a soft shadow; 0 for no shadow.
    """
    left, top, right, bottom = box
    if right - left < 2 or bottom - top < 2:
        return
    if shadow:
        image.paste(BLACK, None, _shadow(image.size, box, radius, shadow))
    if not radius:
        ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), fill, outline)
        return
    if outline is not None:
        image.paste(outline, box, _mask(box, radius))
        inner = (left + 1, top + 1, right - 1, bottom - 1)
        if fill is not None:
            panel(image, inner, fill, radius=max(1, radius - 1))
    elif fill is not None:
        image.paste(fill, box, _mask(box, radius))


def inside(image: Image.Image, box: Box, pixels: np.ndarray, radius: int = 0) -> None:
    """Pastes pixels with rounded corners.

    Args:
        image: RGB image, changed in place.
        box: Its first two values are left and top of the pixels.
        pixels: uint8 [h, w, 3].
        radius: Radius of the corners in pixels.
    """
    box = (box[0], box[1], box[0] + pixels.shape[1], box[1] + pixels.shape[0])
    image.paste(Image.fromarray(pixels), box[:2], _mask(box, radius) if radius else None)


def icon(rng: np.random.Generator, image: Image.Image, box: Box, colour: Colour) -> None:
    """Draws a small pictogram of one to three strokes or shapes into the box."""
    side = min(box[2] - box[0], box[3] - box[1])
    if side < 4:
        return
    mask = Image.new("L", (FINER * side, FINER * side))
    pen, n = ImageDraw.Draw(mask), FINER * side
    width = max(FINER, round(n * rng.uniform(0.06, 0.16)))
    for _ in range(between(rng, 1, 3)):
        a, d = n * rng.uniform(0.05, 0.3), n * rng.uniform(0.7, 0.95)
        b, c = n * rng.uniform(0.3, 0.45), n * rng.uniform(0.55, 0.7)
        shape = between(rng, 0, 5)
        if shape == 0:
            pen.ellipse((a, a, d, d), outline=255, width=width)
        elif shape == 1:
            pen.rounded_rectangle((a, b, d, c + width), width, outline=255, width=width)
        elif shape == 2:
            pen.line([(a, c), (b, d), (d, a)], 255, width, joint="curve")
        elif shape == 3:
            for i in range(3):
                y = n * (0.25 + 0.25 * i)
                pen.line([(a, y), (d, y)], 255, width)
        elif shape == 4:
            pen.polygon([(a, d), (d, d), ((a + d) / 2, a)], 255 if chance(rng, 0.5) else None, 255)
        else:
            pen.pieslice((a, a, d, d), *pick(rng, ((30, 330), (180, 360), (0, 90))), fill=255)
    mask = mask.resize((side, side), Image.Resampling.BOX)
    image.paste(colour, (box[0], box[1], box[0] + side, box[1] + side), mask)


def _mask(box: Box, radius: int) -> Image.Image:
    width, height = box[2] - box[0], box[3] - box[1]
    mask = Image.new("L", (FINER * width, FINER * height))
    edge = (0, 0, FINER * width - 1, FINER * height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(edge, FINER * radius, fill=255)
    return mask.resize((width, height), Image.Resampling.BOX)


def _shadow(size: tuple[int, int], box: Box, radius: int, blur: int) -> Image.Image:
    mask = Image.new("L", size)
    moved = (box[0], box[1] + blur // 2, box[2], box[3] + blur // 2)
    ImageDraw.Draw(mask).rounded_rectangle(moved, radius, fill=70)
    return mask.filter(ImageFilter.GaussianBlur(blur))
