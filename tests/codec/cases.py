"""Images and masks that several tests of the codec use."""

import numpy as np

HEIGHT, WIDTH = 64, 112
DEFAULT_TAU, DEFAULT_STEPS = 0.3, 2  # of the random fusion module


def smooth(height, width, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / rng.uniform(20, 60) + y / rng.uniform(20, 60)) for _ in range(3)]
    return np.rint(128 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


def right_part(height, width, start):
    mask = np.zeros((height, width), bool)
    mask[:, start:] = True
    return mask


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int))


def photograph(height, width, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 90 * np.sin(x / rng.uniform(9, 40) + y / rng.uniform(9, 40)) for _ in range(3)]
    noise = rng.normal(0, 6, (height, width, 3))
    return np.clip(np.stack(planes, axis=-1) + noise, 0, 255).astype(np.uint8)


def left_half(height, width):
    mask = np.zeros((height, width), bool)
    mask[:, : width // 2] = True
    return mask
