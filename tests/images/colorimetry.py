"""The colours that a file should show, by textbook colorimetry, and those that an image shows."""

from __future__ import annotations

import numpy as np
from PIL import Image

from rdc_jax.images import LoadedImage, colour_profiles

SRGB_XY = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
ADOBE_XY = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), (0.3127, 0.3290))
P3_XY = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.3290))
TONES = np.array([[[200, 90, 60], [30, 120, 220], [128, 128, 128], [250, 250, 250]]], np.uint8)


def expected_srgb(values, primaries, curve):
    """sRGB float [...,3], 0 to 255, of values 0 to 255, by textbook colorimetry; no adaptation."""

    def matrix(xy):
        corners = np.array([(x / y, 1, (1 - x - y) / y) for x, y in xy]).T
        return corners[:, :3] * np.linalg.solve(corners[:, :3], corners[:, 3])

    light = curve(np.asarray(values) / 255) @ (np.linalg.inv(matrix(SRGB_XY)) @ matrix(primaries)).T
    light = np.clip(light, 0, 1)
    return 255 * np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)


def srgb_curve(x):
    return np.where(x > 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92)


def bt709_curve(x):
    return np.where(x >= 0.081, ((x + 0.099) / 1.099) ** (1 / 0.45), x / 4.5)


def pq_curve(x):
    power = np.asarray(x) ** (1 / 78.84375)
    light = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (
        1 / 0.1593017578
    )
    return np.minimum(light * 10000 / 203, 1)


def shown(image: LoadedImage) -> np.ndarray:
    """What a viewer with colour management shows, in sRGB [...,3]."""
    if image.icc is None:
        return image.pixels
    pixels = Image.fromarray(image.pixels)
    if colour_profiles.pixel_mode(image.icc) == "L":
        pixels = pixels.convert("L")
    return np.asarray(colour_profiles.to_srgb(pixels, image.icc))
