"""Distortion of a decoded image: PSNR, PSNR inside a mask, MS-SSIM. NumPy and SciPy only.

Every metric takes two 8-bit images, because a viewer sees rounded pixels. Floats are refused: a
metric of unrounded pixels is not comparable with the literature. `masked` uses the parts of MS-SSIM
and the checks of images and masks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from rdc_jax.errors import RdcError

PEAK = 255.0

# Wang, Simoncelli, Bovik: Multi-scale structural similarity for image quality assessment,
# 2003; the weight of each scale, finest first.
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW_SIZE = 11
WINDOW_SIGMA = 1.5
C1 = (0.01 * PEAK) ** 2
C2 = (0.03 * PEAK) ** 2

# ITU-R BT.601, as in JPEG.
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])


def psnr(reference: np.ndarray, decoded: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over all samples; infinite for equal images.

    Args:
        reference: uint8 [h,w] or [h,w,c].
        decoded: uint8, the same shape.

    Raises:
        RdcError: The images are not uint8, differ in shape or are empty.
    """
    reference, decoded = checked_pair(reference, decoded)
    return _psnr_of_error(np.mean((reference - decoded) ** 2))


def masked_psnr(reference: np.ndarray, decoded: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB of a region: squared errors averaged with the mask as weight.

    For the background pass `1 - mask`.

    Args:
        reference: uint8 [h,w] or [h,w,c].
        decoded: uint8, the same shape.
        mask: bool or float [h,w] in [0,1], 1 inside the region.

    Raises:
        RdcError: As `psnr`; or the mask has another size or range, or is empty.
    """
    reference, decoded = checked_pair(reference, decoded)
    weight = checked_mask(mask, reference.shape[:2])
    error = np.mean((reference - decoded) ** 2, axis=-1)
    return _psnr_of_error(np.sum(weight * error) / np.sum(weight))


def ms_ssim(reference: np.ndarray, decoded: np.ndarray, luma: bool = False) -> float:
    """Multi-scale structural similarity in [0,1], 1 for equal images.

    The result is the mean over the channels, as the literature on learned compression reports
    MS-SSIM of RGB; or the value of the luma alone. It uses an 11x11 Gaussian window of sigma 1.5
    without padding, and five scales made by 2x2 means. An odd side is padded with one row of zeros
    at both ends before the mean, as in pytorch-msssim (CompressAI's tool).

    Small images: five scales need more than 160 pixels on the shorter side. Below that, the
    coarsest scales are omitted and the remaining weights are rescaled to sum to one. Below 11
    pixels there is one scale, with the largest odd window that fits. Such values are comparable
    only at the same size.

    Args:
        reference: uint8 [h,w] or [h,w,c].
        decoded: uint8, the same shape.
        luma: Whether to compare the BT.601 luma (not rounded) of three-channel images.

    Raises:
        RdcError: As `psnr`; or `luma` of an image without three channels.
    """
    reference, decoded = checked_pair(reference, decoded)
    if luma:
        if reference.shape[-1] != 3:
            raise RdcError(f"luma needs three channels, not {reference.shape[-1]}")
        reference = (reference @ LUMA_WEIGHTS)[..., None]
        decoded = (decoded @ LUMA_WEIGHTS)[..., None]
    weights, window = ms_ssim_weights_and_window(min(reference.shape[:2]))

    product = np.ones(reference.shape[-1])
    for scale, weight in enumerate(weights):
        last = scale == len(weights) - 1
        values = ssim_map(reference, decoded, window, with_luminance=last)
        product *= np.maximum(values.mean(axis=(0, 1)), 0.0) ** weight
        if not last:
            reference, decoded = halve(reference), halve(decoded)
    return float(product.mean())


def ms_ssim_scales(shorter_side: int) -> int:
    """Number of scales that `ms_ssim` uses: as many as the window allows, at most 5."""
    scales = 1
    while scales < len(MS_SSIM_WEIGHTS) and shorter_side > (WINDOW_SIZE - 1) * 2**scales:
        scales += 1
    return scales


def ms_ssim_weights_and_window(shorter_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Exponents of the scales that `ms_ssim` uses, finest first, and the window of all scales.

    Returns:
        weights: float64 [scales].
        window: float64 [odd size], a Gaussian that sums to one; the filter is its outer product.
    """
    scales = ms_ssim_scales(shorter_side)
    weights = np.array(MS_SSIM_WEIGHTS[:scales])
    if scales < len(MS_SSIM_WEIGHTS):  # the five published weights sum to 1.0001; they are kept
        weights /= weights.sum()
    size = min(WINDOW_SIZE, shorter_side - (shorter_side + 1) % 2)
    position = np.arange(size) - size // 2
    window = np.exp(-(position**2) / (2.0 * WINDOW_SIGMA**2))
    return weights, window / window.sum()


def ssim_map(x: np.ndarray, y: np.ndarray, window: np.ndarray, with_luminance: bool) -> np.ndarray:
    """SSIM, or only its contrast-structure term, where the window fits: float64 [h,w,c].

    Args:
        x: float64 [H,W,c] in 0..255.
        y: The same shape.
        window: Of `ms_ssim_weights_and_window`; h = H - size + 1, and w likewise.
        with_luminance: Whether to return full SSIM, which MS-SSIM uses at the coarsest scale.
    """
    mean_x, mean_y = blur(x, window), blur(y, window)
    variance_x = blur(x * x, window) - mean_x**2
    variance_y = blur(y * y, window) - mean_y**2
    covariance = blur(x * y, window) - mean_x * mean_y
    structure = (2.0 * covariance + C2) / (variance_x + variance_y + C2)
    if not with_luminance:
        return structure
    luminance = (2.0 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance * structure


def blur(image: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Separable filter of [h,w,c], only where the window fits."""
    margin = len(window) // 2
    for axis in (0, 1):
        image = ndimage.correlate1d(image, window, axis=axis)
    height, width = image.shape[:2]
    return image[margin : height - margin, margin : width - margin]


def halve(image: np.ndarray) -> np.ndarray:
    """2x2 means of [h,w,c]; an odd side is first padded with zeros at both ends."""
    odd_rows, odd_columns = (side % 2 for side in image.shape[:2])
    image = np.pad(image, ((odd_rows, odd_rows), (odd_columns, odd_columns), (0, 0)))
    height, width = (side // 2 * 2 for side in image.shape[:2])
    image = image[:height, :width]
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4.0


def checked_pair(reference: np.ndarray, decoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Checks both images; returns them as float64 [h,w,c]."""
    reference, decoded = np.asarray(reference), np.asarray(decoded)
    if reference.dtype != np.uint8 or decoded.dtype != np.uint8:
        raise RdcError(f"metrics need 8-bit images, not {reference.dtype}, {decoded.dtype}")
    if reference.shape != decoded.shape:
        raise RdcError(f"images differ in shape: {reference.shape} and {decoded.shape}")
    if reference.ndim not in (2, 3) or reference.size == 0:
        raise RdcError(f"not an image: an array of shape {reference.shape}")
    if reference.ndim == 2:
        reference, decoded = reference[..., None], decoded[..., None]
    return reference.astype(np.float64), decoded.astype(np.float64)


def checked_map(values: Any, size: tuple[int, int]) -> np.ndarray:
    """Checks a map of an image of that size, such as a mask; returns float64 [h,w] in [0,1]."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape != size:
        raise RdcError(f"mask is {values.shape}, the image is {size}")
    if not (values.min() >= 0.0 and values.max() <= 1.0):
        raise RdcError("mask values must lie in [0,1]")
    return values


def checked_mask(mask: Any, size: tuple[int, int]) -> np.ndarray:
    """As `checked_map`, but a mask of zeros is refused too."""
    mask = checked_map(mask, size)
    if mask.sum() == 0.0:
        raise RdcError("the mask selects nothing")
    return mask


def _psnr_of_error(mean_squared_error: float) -> float:
    if mean_squared_error == 0.0:
        return float("inf")
    return float(10.0 * np.log10(PEAK**2 / mean_squared_error))
