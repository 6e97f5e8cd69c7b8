"""Smooth images: skies, radial and conic gradients, meshes, soft spots, shaded balls."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from rdc_jax.data.synthesis import colours
from rdc_jax.data.synthesis.draws import between, chance, pick
from rdc_jax.data.synthesis.fonts import Font


def draw(rng: np.random.Generator, size: tuple[int, int], fonts: Sequence[Font] = ()) -> np.ndarray:
    """Draws a smooth image without text, uint8 [h, w, 3] with `size` = (w, h)."""
    width, height = size
    kind = pick(rng, (_linear, _sky, _radial, _conic, _mesh, _spots, _balls))
    return rounded(rng, kind(rng, height, width))


def rounded(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Rounds to 8 bits at random in one of three usual ways: plain, dithered or with slight noise.

    Args:
        rng: Source of all randomness.
        image: floats [h, w, 3], 0 to 255.

    Returns:
        uint8 [h, w, 3].
    """
    kind = rng.random()
    if kind < 0.3:
        image = image + rng.uniform(-0.5, 0.5, image.shape)
    elif kind < 0.6:
        noise = rng.normal(0, 1, (*image.shape[:2], 3 if chance(rng, 0.5) else 1))
        image = image + rng.uniform(0.5, 4.0) * noise
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def smooth_field(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Returns a smooth random surface, float32 [height, width] in 0..1."""
    nodes = rng.random((between(rng, 2, 5), between(rng, 2, 5))).astype(np.float32)
    image = Image.fromarray(nodes).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(image), 0, 1)


def coloured(rng: np.random.Generator, place: np.ndarray, stops: int) -> np.ndarray:
    """Maps a field in 0..1 to random colours at random stops, floats [..., 3] in 0 to 255."""
    table = np.array(colours.palette(rng, stops), np.float64)
    where = np.linspace(0, 1, stops)
    where[1:-1] += rng.uniform(-0.3, 0.3, stops - 2) / stops
    return np.stack([np.interp(place, where, table[:, c]) for c in range(3)], -1)


def _axes(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns pixel centres y [h, 1] and x [1, w], divided by the longer side."""
    longer = max(height, width)
    return (np.arange(height)[:, None] + 0.5) / longer, (np.arange(width)[None] + 0.5) / longer


def _unit(field: np.ndarray) -> np.ndarray:
    return (field - field.min()) / (np.ptp(field) + 1e-9)


def _linear(rng, height: int, width: int) -> np.ndarray:
    y, x = _axes(height, width)
    angle = rng.uniform(0, 2 * np.pi)
    return coloured(rng, _unit(np.cos(angle) * x + np.sin(angle) * y), between(rng, 2, 6))


def _sky(rng, height: int, width: int) -> np.ndarray:
    """Draws a sky with a bright horizon, the glow of a sun or moon, and maybe thin clouds."""
    y, x = _axes(height, width)
    y, x = y / y[-1], x / x[0, -1]
    hue = pick(rng, (0.58, 0.6, 0.62, 0.03, 0.08, 0.95)) + rng.uniform(-0.03, 0.03)
    night = chance(rng, 0.25)
    top = colours.of_hsv(rng.uniform(0.55, 0.68), rng.uniform(0.4, 0.9), 0.2 if night else 0.75)
    low = colours.of_hsv(hue, rng.uniform(0.1, 0.6), 0.35 if night else rng.uniform(0.8, 1.0))
    fall = np.broadcast_to(y ** rng.uniform(0.6, 2.0), (height, width))[..., None]
    image = np.array(top) + (np.array(low) - np.array(top)) * fall
    cy, cx, spread = rng.uniform(0.1, 1.0), rng.uniform(0, 1), rng.uniform(0.02, 0.3)
    glow = np.exp(-np.hypot(y - cy, (x - cx) * width / height) / spread)[..., None]
    image += (np.array([255, rng.uniform(200, 255), rng.uniform(120, 255)]) - image) * glow
    if chance(rng, 0.5):
        cloud = np.clip(smooth_field(rng, height, width) * 2 - rng.uniform(0.6, 1.2), 0, 1)
        image += (rng.uniform(150, 255) - image) * cloud[..., None] * rng.uniform(0.2, 0.8)
    return image


def _radial(rng, height: int, width: int) -> np.ndarray:
    y, x = _axes(height, width)
    stretch = rng.uniform(0.5, 2.0)
    distance = np.hypot(y - rng.uniform(0, 1), (x - rng.uniform(0, 1)) * stretch)
    return coloured(rng, _unit(distance) ** rng.uniform(0.5, 1.5), between(rng, 2, 6))


def _conic(rng, height: int, width: int) -> np.ndarray:
    y, x = _axes(height, width)
    turn = np.arctan2(y - rng.uniform(0.1, 0.9), x - rng.uniform(0.1, 0.9)) / (2 * np.pi) + 0.5
    return coloured(rng, np.abs(2 * turn - 1), between(rng, 2, 5))


def _mesh(rng, height: int, width: int) -> np.ndarray:
    fields = [smooth_field(rng, height, width)[..., None] for _ in range(between(rng, 1, 3))]
    image = np.array(colours.any_colour(rng), np.float64)
    for field in fields:
        image = image + (np.array(colours.vivid(rng)) - image) * field
    return image


def _spots(rng, height: int, width: int) -> np.ndarray:
    """Draws overlapping soft discs, like lights out of focus."""
    y, x = _axes(height, width)
    image = np.broadcast_to(np.array(colours.deep(rng), np.float64), (height, width, 3))
    for _ in range(between(rng, 4, 20)):
        radius, edge = rng.uniform(0.02, 0.25), rng.uniform(0.003, 0.1)
        distance = np.hypot(y - rng.uniform(0, 1), x - rng.uniform(0, 1))
        cover = np.clip((radius - distance) / edge + 0.5, 0, 1)[..., None] * rng.uniform(0.1, 0.7)
        image = image + (np.array(colours.vivid(rng)) - image) * cover
    return image


def _balls(rng, height: int, width: int) -> np.ndarray:
    """Draws shaded balls with sharp outlines on a smooth background."""
    y, x = _axes(height, width)
    image = _linear(rng, height, width)
    for _ in range(between(rng, 1, 6)):
        radius = rng.uniform(0.05, 0.3)
        dy, dx = (y - rng.uniform(0, 1)) / radius, (x - rng.uniform(0, 1)) / radius
        square = dy * dy + dx * dx
        cover = np.clip((1 - np.sqrt(square)) * radius * max(height, width) + 0.5, 0, 1)[..., None]
        facing = np.sqrt(np.clip(1 - square, 0, 1))
        light = np.clip(0.6 * facing - 0.5 * dy - 0.4 * dx, 0, None)
        shine = np.clip(light, 0, 1) ** 30 * rng.uniform(0, 200)
        colour = np.array(colours.vivid(rng)) * (0.15 + light[..., None]) + shine[..., None]
        image = image + (np.clip(colour, 0, 255) - image) * cover
    return image
