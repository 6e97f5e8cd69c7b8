"""Timing of a call, and an image for timings."""

import statistics
import time
from collections.abc import Callable

import numpy as np

WIDTH, HEIGHT = 768, 512


def synthetic_image(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """uint8 [height,width,3]: grey 1/f noise, as in photographs, with a little colour.

    It is the same each time and takes about as many bits as a photograph at middle qualities.
    """
    rng = np.random.default_rng(0)
    row = np.fft.fftfreq(height)[:, None] * height
    column = np.fft.fftfreq(width)[None] * width
    radius = np.maximum(np.hypot(row, column), 1.0)[..., None]
    noise = rng.normal(size=(height, width, 1)) + 0.2 * rng.normal(size=(height, width, 3))
    spectrum = np.fft.fft2(noise, axes=(0, 1)) / radius**1.4
    plane = np.fft.ifft2(spectrum, axes=(0, 1)).real
    return np.clip(128 + 45 * plane / plane.std(), 0, 255).astype(np.uint8)


def median_seconds(function: Callable, repeats: int, warm_up: int = 1) -> float:
    """Median wall time of a call.

    Args:
        function: The call, without arguments.
        repeats: Number of timed calls.
        warm_up: Number of calls before those, which are not timed.
    """
    times = []
    for trial in range(warm_up + repeats):
        start = time.perf_counter()
        function()
        if trial >= warm_up:
            times.append(time.perf_counter() - start)
    return statistics.median(times)
