"""Recognition of screen content: text, screenshots, charts and other drawings.

A camera blurs every edge over one or two pixels and leaves noise beside it. Drawn edges are crisp:
a large step, with two neighbours of exactly the same colour right beside it.
"""

import numpy as np

LARGE_STEP = 64  # of 255, between neighbours along a row
DRAWN_PIXELS = 0.003  # minimum share of pixels at crisp edges; photographs have < 0.001
DRAWN_EDGES = 0.05  # minimum share of large steps that are crisp; photographs have < 0.02


def looks_drawn(pixels: np.ndarray) -> bool:
    """Returns True if an image is, or contains a fair share of, screen content.

    Photographs with JPEG artefacts are not mistaken for screen content. Screen content that went
    through JPEG is recognised in most cases.

    Args:
        pixels: uint8 [H,W,3].
    """
    if pixels.shape[1] < 4:
        return False
    steps = np.zeros((pixels.shape[0], pixels.shape[1] - 1), np.uint8)
    for channel in range(pixels.shape[2]):  # one at a time, to save memory on large images
        plane = pixels[..., channel].astype(np.int16)
        np.maximum(steps, np.abs(np.diff(plane, axis=1)).astype(np.uint8), out=steps)
    large = steps[:, 1:-1] >= LARGE_STEP
    crisp = large & ((steps[:, :-2] == 0) | (steps[:, 2:] == 0))
    count = int(crisp.sum())
    return count >= DRAWN_PIXELS * crisp.size and count >= DRAWN_EDGES * max(1, int(large.sum()))
