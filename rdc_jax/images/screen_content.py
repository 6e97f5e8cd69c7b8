"""Telling drawings (text, screenshots, charts) from photographs, which the models were trained on.

A camera blurs every edge over a pixel or two and leaves noise beside it. Drawn edges are crisp: a
large step, and right beside it two neighbours of exactly the same colour.
"""

import numpy as np

LARGE_STEP = 64  # of 255, between neighbours along a row
DRAWN_PIXELS = 0.003  # least share of all pixels that are at crisp edges; photographs: < .001
DRAWN_EDGES = 0.05  # least share of the large steps that are crisp; photographs: < .02


def looks_drawn(pixels: np.ndarray) -> bool:
    """Whether uint8 pixels [H,W,3] are a drawing, or hold enough of one for its edges to matter.

    Photographs with their own JPEG artefacts are not taken for drawings; drawings that went
    through JPEG mostly are.
    """
    if pixels.shape[1] < 4:
        return False
    steps = np.zeros((pixels.shape[0], pixels.shape[1] - 1), np.uint8)
    for channel in range(pixels.shape[2]):  # one at a time: large pictures in little memory
        plane = pixels[..., channel].astype(np.int16)
        np.maximum(steps, np.abs(np.diff(plane, axis=1)).astype(np.uint8), out=steps)
    large = steps[:, 1:-1] >= LARGE_STEP
    crisp = large & ((steps[:, :-2] == 0) | (steps[:, 2:] == 0))
    count = int(crisp.sum())
    return count >= DRAWN_PIXELS * crisp.size and count >= DRAWN_EDGES * max(1, int(large.sum()))
