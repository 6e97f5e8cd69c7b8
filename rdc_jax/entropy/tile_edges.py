"""Means at the inner borders of tiles, without what the networks expect at the edge of an image.

The analysis network fills up with zeros beyond the last row and column of an image, which changes
the latent there: the more, the brighter or darker the image is. The entropy model has learnt this
change and predicts it at the end of every tile. At an inner border the latent has no such change.
So the prediction left a bright or dark line in flat areas, and a dot where four tiles meet.

The change continues along a border, so it can be told from detail of the image:

    change    d = mean of the last column - mean continued from the columns 3 and 5 before the end
    average   m = average of d over every second of 13 rows, v = variance of d there
    certainty g = max(0, 1 - v / m^2) * max(0, 1 - (m / (3 s))^2), s = predicted deviation
    removed   g m

Columns and rows are taken in steps of two because neighbours belong to different coding passes.
Where four tiles meet, the change is largest and continues nowhere. There, the ends of a last column
or row are continued as far as the change beside them is certain.

Only means change, and values that were not sent and equal them but for the dither. Symbols and the
bytes of files stay the same. Each tile needs only itself, so a crop equals that part of the whole.
"""

import dataclasses

import numpy as np

from rdc_jax.entropy.latent_coding import CodedLatent

ALONG = 7  # elements of an average, every second one along the border
DEVIATIONS = 3.0  # a change as large as this many predicted deviations belongs to the image
SHORTEST = 8  # tiles of fewer latent pixels along a side stay as they are


def without_edges(coded: CodedLatent, right: bool, bottom: bool) -> CodedLatent:
    """Removes the change that belongs to the edge of an image from the end of a tile.

    Args:
        coded: The latent of a tile, with `sent`.
        right: Whether a tile follows on the right.
        bottom: Whether a tile follows below.
    """
    if coded.sent is None or min(coded.mean.shape[:2]) < SHORTEST or not (right or bottom):
        return coded
    mean = coded.mean.copy()
    ends = []
    across, scale = mean.swapaxes(0, 1), coded.scale.swapaxes(0, 1)
    for columns, deviations in [(mean, coded.scale)] * right + [(across, scale)] * bottom:
        removed, certainty = _change_of_last_column(columns, deviations)
        columns[:, -1] -= removed
        ends.append(certainty[-1])
    if right and bottom:
        continued = mean[-1, -3] + mean[-3, -1] - mean[-3, -3]
        mean[-1, -1] += np.maximum(*ends) * (continued - mean[-1, -1])
    moved = np.where(coded.sent, np.float32(0), mean - coded.mean)
    return dataclasses.replace(coded, mean=mean, yhat=coded.yhat + moved)


def _change_of_last_column(mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What to subtract from the last column of means [h,w,C], and the certainty: [h,C] each."""
    change = mean[:, -1] - (2 * mean[:, -3] - mean[:, -5])
    removed, certainty = np.empty_like(change), np.empty_like(change)
    for parity in (0, 1):
        d = change[parity::2].copy()
        d[0], d[-1] = d[1], d[-2]  # the ends differ, see above
        m = running_mean(d, ALONG)
        variance = np.maximum(running_mean(d**2, ALONG) - m**2, 0)
        shown = np.maximum(0, 1 - variance / (m**2 + np.float32(1e-6)))
        certainty[parity::2] = shown * _small(m, scale[parity::2, -1])
        removed[parity::2] = certainty[parity::2] * m
    removed[0] = certainty[0] * change[0]
    return removed, certainty


def _small(change: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """1 for changes far below DEVIATIONS times the scale, 0 for those above."""
    return np.maximum(np.float32(0), 1 - (change / (np.float32(DEVIATIONS) * scale)) ** 2)


def running_mean(values: np.ndarray, count: int) -> np.ndarray:
    """Mean over `count` (odd) neighbours along a line float32 [n,C], ends repeated."""
    padded = np.pad(values, ((count // 2, count // 2), (0, 0)), mode="edge")
    return np.mean(np.lib.stride_tricks.sliding_window_view(padded, count, axis=0), axis=-1)
