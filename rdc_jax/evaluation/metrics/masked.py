"""Metrics of a region of an image, and how visible the border of a region is.

As in `distortion`, images have 8 bits, a soft mask is a weight, `1 - mask` is the background, and
PSNR of a region is `distortion.masked_psnr`. Only `masked_lpips` needs JAX.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.distortion import (
    blur,
    checked_map,
    checked_mask,
    checked_pair,
    halve,
    ms_ssim_weights_and_window,
    ssim_map,
)

# Pixels nearer than this to a border count neither as border nor as the inside of a region, so
# that errors spread by the decoder's filters are not taken for the usual error.
BORDER_MARGIN = 8.0


def masked_ms_ssim(reference: np.ndarray, decoded: np.ndarray, mask: np.ndarray) -> float:
    """MS-SSIM of a region, in [0,1]: `distortion.ms_ssim` with weighted means at every scale.

    A value of the SSIM map describes its whole window. Its weight is the mask blurred by the same
    Gaussian, so no region is too small or too near the margin, and a mask of ones gives `ms_ssim`.
    Between scales the mask is averaged over 2x2 pixels like the images. The coarse windows of a
    small region include much of its surroundings.

    Args:
        reference: uint8 [h,w] or [h,w,c].
        decoded: uint8, the same shape.
        mask: bool or float [h,w] in [0,1], 1 inside the region.

    Raises:
        RdcError: As `distortion.masked_psnr`.
    """
    reference, decoded = checked_pair(reference, decoded)
    mask = checked_mask(mask, reference.shape[:2])[..., None]
    weights, window = ms_ssim_weights_and_window(min(reference.shape[:2]))

    product = np.ones(reference.shape[-1])
    for scale, weight in enumerate(weights):
        last = scale == len(weights) - 1
        share = blur(mask, window)
        values = ssim_map(reference, decoded, window, with_luminance=last)
        mean = np.sum(share * values, axis=(0, 1)) / np.sum(share)
        product *= np.maximum(mean, 0.0) ** weight
        if not last:
            reference, decoded = halve(reference), halve(decoded)
            mask = halve(mask) / halve(np.ones_like(mask))  # the zeros of an odd side left out
    return float(product.mean())


def masked_lpips(
    weights: dict[str, Any], reference: np.ndarray, decoded: np.ndarray, mask: np.ndarray
) -> float:
    """LPIPS of a region: the mean of `lpips.lpips_map` with the mask as weight.

    A mask of ones gives a value near `lpips.measure_lpips` but not equal to it, because stages are
    enlarged to the image before they are averaged. Compiled once per image size (seconds).

    Args:
        weights: Of `lpips_weights.load`.
        reference: uint8 [h,w,3], 32 pixels or more on each side.
        decoded: uint8, the same shape.
        mask: bool or float [h,w] in [0,1], 1 inside the region.

    Raises:
        RdcError: As `distortion.masked_psnr`; or images without three channels, or too small.
    """
    reference, decoded = checked_pair(reference, decoded)
    mask = checked_mask(mask, reference.shape[:2])
    x, y = ((image[None] / PIXEL_RANGE - 1.0).astype(np.float32) for image in (reference, decoded))
    values = np.asarray(_jitted_lpips_map()(weights, x, y)[0], dtype=np.float64)
    return float(np.sum(mask * values) / np.sum(mask))


def seam_statistic(
    decoded: np.ndarray,
    reference: np.ndarray,
    mask: np.ndarray,
    tau: np.ndarray | float | None = None,
) -> float:
    """How much the error jumps at the borders of the mask: about 1 where there is no seam.

    The error is e = decoded - reference, and the jump between two pixels that are neighbours
    in a row or a column is the mean over the channels of |e_p - e_q|.

      * The mask, thresholded at 0.5, divides the image into regions, and so does a map `tau`; both
        together give up to four regions. A border pair is two neighbours in different regions.
      * m_r, the usual jump of region r, is the mean over the pairs of neighbours in r that are
        both more than BORDER_MARGIN pixels from the nearest pixel of a border pair.
      * At a border between regions r and s, errors without a seam jump by
        sqrt((m_r^2 + m_s^2) / 2), which is exact for independent Gaussian errors.
      * The statistic is the mean jump of the border pairs divided by the mean of these expected
        jumps. Pairs next to a region without pixels far from its border are left out.

    Equal images give 1. A jump between regions without any error gives infinity. Errors are larger
    along the edges of objects, and the border of a good mask is such an edge: compare with the
    value of the same mask on an image decoded at one quality. The order of the two images does not
    matter.

    Args:
        decoded: uint8 [h,w] or [h,w,c].
        reference: uint8, the same shape.
        mask: bool or float [h,w] in [0,1].
        tau: bool or float [h,w] in [0,1], the map from faithful to realistic used for decoding; a
            number has no borders.

    Raises:
        RdcError: As `distortion.psnr`; or a map has another size or range, there is no border, or
            no region reaches further than the margin from it.
    """
    decoded, reference = checked_pair(decoded, reference)
    size = decoded.shape[:2]
    maps = [mask] if tau is None or np.ndim(tau) == 0 else [mask, tau]
    regions = sum(2**i * (checked_map(m, size) >= 0.5).astype(int) for i, m in enumerate(maps))
    jump, side, away = _neighbours(decoded - reference, regions)
    usual = np.full(2 ** len(maps), np.nan)
    for region in range(len(usual)):
        members = away & np.all(side == region, axis=-1)
        if members.any():
            usual[region] = jump[members].mean()
    expected = np.sqrt(np.mean(usual[side] ** 2, axis=-1))
    border = (side[:, 0] != side[:, 1]) & np.isfinite(expected)
    if not border.any():
        raise RdcError(
            f"the mask's regions reach no further than {BORDER_MARGIN:g} pixels from its border"
        )
    found, without_seam = jump[border].mean(), expected[border].mean()
    if without_seam == 0.0:
        return 1.0 if found == 0.0 else float("inf")
    return float(found / without_seam)


_ROWS = np.s_[:-1, :], np.s_[1:, :]
_COLUMNS = np.s_[:, :-1], np.s_[:, 1:]


def _neighbours(
    error: np.ndarray, regions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of neighbours, those of columns first and then those of rows.

    Args:
        error: float [h,w,c].
        regions: Number of the region of every pixel, int [h,w].

    Returns:
        The jump of the error, float [n]; the two regions, int [n,2]; and whether both pixels are
        far from every border, bool [n].
    """
    far = _far_from_borders(regions)
    jumps, sides, inside = [], [], []
    for first, second in (_ROWS, _COLUMNS):
        jumps.append(np.abs(error[first] - error[second]).mean(axis=-1).ravel())
        sides.append(np.stack([regions[first].ravel(), regions[second].ravel()], axis=-1))
        inside.append((far[first] & far[second]).ravel())
    return np.concatenate(jumps), np.concatenate(sides), np.concatenate(inside)


def _far_from_borders(regions: np.ndarray) -> np.ndarray:
    """bool [h,w]: further than the margin from every pixel with a neighbour in another region."""
    border = np.zeros(regions.shape, bool)
    for first, second in (_ROWS, _COLUMNS):
        differs = regions[first] != regions[second]
        border[first] |= differs
        border[second] |= differs
    if not border.any():
        raise RdcError("the mask has no border: it needs values on both sides of 0.5")
    return ndimage.distance_transform_edt(~border) > BORDER_MARGIN


@functools.cache
def _jitted_lpips_map() -> Callable:
    import jax

    from rdc_jax.models import lpips

    return jax.jit(lpips.lpips_map)
