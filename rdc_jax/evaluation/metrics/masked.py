"""Metrics of a region of a picture, and how visible the border of a region is.

As in `metrics`: 8-bit pictures only, a soft mask weighs, `1 - mask` is the background, and
PSNR of a region is `metrics.masked_psnr`. NumPy and SciPy; only `masked_lpips` needs jax.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

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

# Pixels nearer than this to a border belong neither to it nor to the inside of a region: what
# a decoder's filters spread from the border is not taken for the usual error.
BORDER_MARGIN = 8.0


def masked_ms_ssim(reference: np.ndarray, decoded: np.ndarray, mask: np.ndarray) -> float:
    """MS-SSIM of a region, in [0,1]: `metrics.ms_ssim` with weighed means at every scale.

    A value of the SSIM map belongs to its whole window. It weighs as much as the mask does
    under that window (the mask blurred by the same Gaussian), so no region is too small or too
    near the margin, and where the mask is 1 everywhere the result is `ms_ssim`. From scale to
    scale the mask is averaged 2x2 as the pictures are. Coarse windows of a small region see
    much of what lies around it.

    Args:
      reference: uint8 [h,w] or [h,w,c].
      decoded: uint8, the same shape.
      mask: bool or float [h,w] in [0,1], 1 inside the region.

    Raises:
      RdcError: as `metrics.masked_psnr`.
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

    With a mask of ones near `lpips.measure_lpips`, not equal to it: stages are enlarged to
    the picture before they are averaged. Compiled once for every picture size (seconds).

    Args:
      weights: of `perceptual_weights.load`.
      reference: uint8 [h,w,3], 32 pixels or more on each side.
      decoded: uint8, the same shape.
      mask: bool or float [h,w] in [0,1], 1 inside the region.

    Raises:
      RdcError: as `metrics.masked_psnr`; the pictures have not three channels or are too small.
    """
    reference, decoded = checked_pair(reference, decoded)
    mask = checked_mask(mask, reference.shape[:2])
    x, y = ((picture[None] / 127.5 - 1.0).astype(np.float32) for picture in (reference, decoded))
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

      * The mask, cut at 0.5, parts the picture into regions; so does a map `tau`, and with both
        there are up to four. A border pair is two neighbours of different regions.
      * m_r, the usual jump of region r, is the mean over the pairs of neighbours in r that are
        both more than BORDER_MARGIN pixels from the nearest pixel of a border pair.
      * At a border between regions r and s, errors without a seam jump by
        sqrt((m_r^2 + m_s^2) / 2), which is exact for independent Gaussian errors.
      * The statistic is the mean jump of the border pairs over the mean of what they should
        be. Pairs beside a region without pixels far from its border are left out.

    Equal pictures give 1; a jump where the insides have no error at all gives infinity. Errors
    are larger along the edges of a picture, and the border of a good mask is one: compare with
    the value of the same mask on a decoded picture of one quality. The two pictures may be
    exchanged without effect.

    Args:
      decoded: uint8 [h,w] or [h,w,c].
      reference: uint8, the same shape.
      mask: bool or float [h,w] in [0,1].
      tau: bool or float [h,w] in [0,1], the map from faithful to realistic that the picture was
        decoded with; a number has no borders.

    Raises:
      RdcError: as `metrics.psnr`; a map has another size or range, there is no border, or no
        region reaches further than the margin from it.
    """
    decoded, reference = checked_pair(decoded, reference)
    size = decoded.shape[:2]
    maps = [mask] if tau is None or np.ndim(tau) == 0 else [mask, tau]
    regions = sum(2**i * (checked_map(m, size) >= 0.5).astype(int) for i, m in enumerate(maps))
    far = _far_from_borders(regions)
    error = decoded - reference

    jumps, sides, inside = [], [], []  # of all pairs of neighbours, both directions one after other
    for first, second in (_ROWS, _COLUMNS):
        jumps.append(np.abs(error[first] - error[second]).mean(axis=-1).ravel())
        sides.append(np.stack([regions[first].ravel(), regions[second].ravel()], axis=-1))
        inside.append((far[first] & far[second]).ravel())
    jump, side, away = np.concatenate(jumps), np.concatenate(sides), np.concatenate(inside)

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


def _far_from_borders(regions: np.ndarray) -> np.ndarray:
    """bool [h,w]: more than the margin from every pixel that has a neighbour of another region."""
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
