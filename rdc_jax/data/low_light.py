"""Simulation of photographs taken with too little light: darker and noisy."""

import numpy as np

STOPS = (1.0, 4.0)
"""Range of the darkening in stops (factors of 2)."""
SHOT_NOISE = (3e-5, 6e-4)
"""Range of the variance of the shot noise per unit of light. The brightest light is 1."""
READ_NOISE = (1e-4, 8e-4)
"""Range of the standard deviation of the read noise. The brightest light is 1."""
CAST = 0.06
"""Standard deviation of the logarithm of each channel's gain."""
SMOOTH_SHARE = 0.5
"""Share of the images whose noise is correlated between neighbours, as after demosaicing."""

_SRGB = np.arange(256, dtype=np.float32) / 255
_LINEAR = np.where(_SRGB <= 0.04045, _SRGB / 12.92, ((_SRGB + 0.055) / 1.055) ** 2.4)
_LINEAR = _LINEAR.astype(np.float32)


def darken(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Reduces exposure by 1 to 4 stops at random, adds a slight colour cast and sensor noise.

    All steps work in linear light. The result has the sRGB curve again.

    Args:
        rng: Source of all randomness.
        image: uint8 [h, w, 3], sRGB.

    Returns:
        uint8 [h, w, 3].
    """
    gain = 2.0 ** -rng.uniform(*STOPS) * np.exp(rng.normal(0, CAST, 3))
    shot, read = (np.exp(rng.uniform(*np.log(limits))) for limits in (SHOT_NOISE, READ_NOISE))
    light = _LINEAR[image] * gain.astype(np.float32)
    noise = rng.standard_normal(image.shape, np.float32)
    if rng.random() < SMOOTH_SHARE:
        noise = _smoothed(noise)
    light += noise * np.sqrt(np.float32(shot) * light + np.float32(read) ** 2)
    return _to_srgb(light)


def _smoothed(noise: np.ndarray) -> np.ndarray:
    """Blurs white noise [h, w, 3] with (1, 2, 1) along both axes and keeps its variance."""
    for axis in (0, 1):
        wide = np.pad(noise, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="wrap")
        n = noise.shape[axis]
        before, middle, after = (wide.take(range(i, i + n), axis) for i in range(3))
        noise = (before + 2 * middle + after) / np.float32(np.sqrt(6))
    return noise


def _to_srgb(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * curve).astype(np.uint8)
