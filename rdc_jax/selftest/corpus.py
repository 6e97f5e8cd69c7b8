"""The images that settings encode: small ones, each with its coding options."""

from typing import Any

import numpy as np

from rdc_jax import demo
from rdc_jax.images import read_image


def corpus() -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    """Images by name, each as (uint8 pixels [H,W,3] or [H,W], options of `Codec.encode`).

    They are crops of the demo's photograph and synthetic images: odd sides, grey, a region of
    interest, one pixel, noise at the best quality (escapes), the worst quality (skipped elements),
    and tiles. The first one is the smallest.
    """
    photo = read_image(demo.FOLDER / "flower.png").pixels
    mask = read_image(demo.FOLDER / "flower_mask.png").pixels[..., 0] > 127
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:33, 0:17]
    waves = 128 + 100 * np.sin(x[..., None] / [3, 5, 8] + y[..., None] / [6, 4, 9])
    there = slice(200, 328), slice(300, 492)
    strip = slice(240, 287), slice(120, 421)
    return {
        "odd": (waves.astype(np.uint8), dict(quality=70)),
        "pixel": (np.full((1, 1, 3), 77, np.uint8), dict(quality=90)),
        "noise": (rng.integers(0, 256, (32, 40, 3), np.uint8), dict(quality=100, seed=2**32 - 1)),
        "region": (photo[there], dict(quality=40, importance=mask[there], roi_gain=400)),
        "grey": (photo[64:160, 64:160, 1], dict(quality=60, seed=7)),
        "photo": (photo[:256, :384], dict(quality=50)),
        "worst": (photo[there], dict(quality=0)),
        "tiles": (photo[strip], dict(quality=45, tile=256, importance=mask[strip])),
    }
