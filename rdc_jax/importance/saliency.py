"""Saliency: a guess at what people look at, without a network. The detector "contrast".

    border contrast     colours far from those along the image's sides      (whole objects)
  x spectral residual   deviations from a smooth log spectrum               (detail)
  x centre prior        photographers put the subject near the centre

The first two are combined by their geometric mean. The centre prior is a broad Gaussian.

Sources: Wei et al., Geodesic saliency using background priors, 2012, and Zhang et al., Minimum
barrier salient object detection, 2015 (the border as a sample of the background); Hou and Zhang,
Saliency detection: a spectral residual approach, 2007; Judd et al., Learning to predict where
humans look, 2009 (the centre).
"""

import numpy as np
from scipy import ndimage

from rdc_jax.images.reduction import reduced

SIDE = 96  # longer side, in pixels, at which saliency is computed
BORDER = 0.06  # width of the border that represents the background, as share of each side
IMPORTANT_AREA = 0.25  # share of the image where the mask is 0.5 or more
SOFTNESS = 0.15  # half the width of the ramp from unimportant to important, as share of the ranks
CENTRE_SIGMA = 0.33  # standard deviation of the centre prior, as share of each side
TINY = 1e-6


def salient(pixels: np.ndarray) -> np.ndarray:
    """Returns a soft importance mask of an image.

    Args:
        pixels: uint8 [h,w,3] or [h,w].

    Returns:
        float32 [h,w] in [0,1]. About a quarter of the area is 0.5 or more. In an image without
        contrast, the centre is important.
    """
    height, width = pixels.shape[:2]
    colour = opponent_colours(reduced(pixels, SIDE) / 255.0)
    size = colour.shape[1::-1]
    blur = 0.02 * max(size)
    contrast = ndimage.gaussian_filter(border_contrast(colour), blur)
    residual = ndimage.gaussian_filter(spectral_residual(colour), 2.0 * blur)
    found = np.sqrt(_to_unit(contrast) * _to_unit(residual)) + TINY
    found *= centre_prior(*found.shape)
    smooth = ndimage.gaussian_filter(found, blur)
    ranks = ndimage.zoom(_ranks(smooth), (height / size[1], width / size[0]), order=1)
    ranks = _fitted(ranks, height, width)
    low, high = (1.0 - IMPORTANT_AREA + sign * SOFTNESS for sign in (-1, 1))
    return np.clip((ranks - low) / (high - low), 0.0, 1.0).astype(np.float32)


def opponent_colours(rgb: np.ndarray) -> np.ndarray:
    """Converts RGB [h,w,3] in [0,1] to luma, red-green and blue-yellow, [h,w,3]."""
    r, g, b = np.moveaxis(rgb, -1, 0)
    return np.stack([0.3 * r + 0.6 * g + 0.1 * b, r - g, b - (r + g) / 2.0], axis=-1)


def border_contrast(colour: np.ndarray) -> np.ndarray:
    """Returns the distance of each colour [h,w,3] to the most similar side of the border, [h,w].

    It is the smallest of four Mahalanobis distances, one per side. Separate sides allow different
    backgrounds, such as sky above and grass below, and an object may touch one side.
    """
    height, width, channels = colour.shape
    rows, columns = (max(1, round(BORDER * side)) for side in (height, width))
    sides = [colour[:rows], colour[-rows:], colour[:, :columns], colour[:, -columns:]]
    distances = []
    for side in sides:
        sample = side.reshape(-1, channels)
        centred = sample - sample.mean(axis=0)
        covariance = centred.T @ centred / len(sample) + 1e-3 * np.eye(channels)
        difference = colour - sample.mean(axis=0)
        inverse = np.linalg.inv(covariance)
        distances.append(np.einsum("hwi,ij,hwj->hw", difference, inverse, difference))
    return np.sqrt(np.min(distances, axis=0))


def spectral_residual(colour: np.ndarray) -> np.ndarray:
    """Returns the energy [h,w] left after removing a smooth log spectrum, summed over channels."""
    spectrum = np.fft.fft2(colour, axes=(0, 1))
    log_amplitude = np.log(np.abs(spectrum) + 1e-8)
    expected = ndimage.uniform_filter(log_amplitude, (3, 3, 1), mode="wrap")
    phase = np.exp(1j * np.angle(spectrum))
    back = np.fft.ifft2(np.exp(log_amplitude - expected) * phase, axes=(0, 1))
    weight = colour.std(axis=(0, 1))  # a channel without contrast holds only noise
    return np.sum(np.abs(back) ** 2 * weight, axis=-1)


def centre_prior(height: int, width: int) -> np.ndarray:
    """Returns a Gaussian [height,width] that is 1 at the centre."""
    row, column = ((np.arange(n) + 0.5) / n - 0.5 for n in (height, width))
    square = row[:, None] ** 2 + column[None] ** 2
    return np.exp(-0.5 * square / CENTRE_SIGMA**2)


def _to_unit(values: np.ndarray) -> np.ndarray:
    """Scales values to [0,1]. The 99th percentile and all above become 1."""
    low, high = values.min(), np.quantile(values, 0.99)
    return np.clip((values - low) / max(high - low, TINY), 0.0, 1.0)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Returns for each value the share of values below it, in [0,1)."""
    order = np.argsort(values, axis=None, kind="stable")
    ranks = np.empty(values.size)
    ranks[order] = np.arange(values.size) / values.size
    return ranks.reshape(values.shape)


def _fitted(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Brings an array to [height,width]: crops it, or repeats its last row and column."""
    missing = [(0, max(0, n - m)) for n, m in zip((height, width), values.shape, strict=True)]
    return np.pad(values, missing, mode="edge")[:height, :width]
