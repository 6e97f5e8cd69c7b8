"""The metrics of single images that `rdc eval` can report, for whole images and for a region.

    metrics = metric_set.choose(["psnr-rgb", "lpips-alex"])
    metrics["psnr-rgb"].whole(reference, decoded)            uint8 [h,w,3] twice -> float
    metrics["psnr-rgb"].masked(reference, decoded, mask)     mask [h,w] in [0,1]; may be None

Names are those of CompressAI's result files where these have one (psnr-rgb, ms-ssim-rgb).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import distortion, dists, external
from rdc_jax.evaluation.metrics.masked import masked_lpips, masked_ms_ssim, seam_statistic
from rdc_jax.evaluation.metrics.metric_names import (
    LPIPS_BACKBONES,
    NETWORK_OF_SET_METRIC,
    direction,
)
from rdc_jax.models import lpips, lpips_weights

DEFAULT = ("psnr-rgb", "ms-ssim-rgb", "lpips-alex", "lpips-vgg", "dists", "ssimulacra2")

Whole = Callable[[np.ndarray, np.ndarray], float]
Masked = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


class Metric(NamedTuple):
    """How two images are compared; `masked` compares a region, None where that has no meaning."""

    whole: Whole
    masked: Masked | None


def names() -> list[str]:
    """Every name that `choose` knows, whether installed or not."""
    return ["psnr-rgb", "ms-ssim-rgb", *LPIPS_BACKBONES, "dists", *external.TOOLS]


def higher_is_better(name: str) -> bool:
    """Whether a larger value is better; the name may have a region ("roi/psnr-rgb")."""
    return direction(name) >= 0


def as_quality(name: str, values: Sequence[float]) -> list[float]:
    """The values, negated where lower is better, so that curves rise."""
    return [float(v) if higher_is_better(name) else -float(v) for v in values]


def choose(wanted: Sequence[str]) -> tuple[dict[str, Metric], dict[str, str]]:
    """The wanted metrics, and for each unavailable one the reason.

    Metrics of sets of images (`set_distances`) are ignored. Raises RdcError for an unknown name.
    """
    found: dict[str, Metric] = {}
    missing: dict[str, str] = {}
    for name in wanted:
        if name in NETWORK_OF_SET_METRIC:
            continue
        if name not in names():
            known = ", ".join([*names(), *NETWORK_OF_SET_METRIC])
            raise RdcError(f"unknown metric '{name}'; choose from {known}")
        try:
            found[name] = _make(name)
        except RdcError as error:
            missing[name] = str(error)
    return found, missing


def _make(name: str) -> Metric:
    if name == "psnr-rgb":
        return Metric(distortion.psnr, distortion.masked_psnr)
    if name == "ms-ssim-rgb":
        return Metric(distortion.ms_ssim, masked_ms_ssim)
    if name in LPIPS_BACKBONES:
        weights = lpips_weights.load(LPIPS_BACKBONES[name])
        return Metric(partial(lpips.measure_lpips, weights), partial(masked_lpips, weights))
    if name == "dists":
        networks = lpips_weights.load("vgg16"), dists.load_parameters()
        return Metric(partial(dists.measure_dists, *networks), None)
    external.require(name)
    return Metric(partial(external.measure, name), None)


def measure(
    chosen: dict[str, Metric],
    reference: np.ndarray,
    decoded: np.ndarray,
    mask: np.ndarray | None = None,
) -> dict[str, float]:
    """All chosen metrics of a decoded image.

    Metrics that need a larger image are omitted.

    Args:
        chosen: Metrics by name (`choose`).
        reference: The original, uint8 [h,w,3].
        decoded: uint8, the same shape.
        mask: float [h,w] in [0,1], or None.

    Returns:
        Values by name. With a mask there are also "roi/..." and "background/..." of every metric
        that has them, and "seam", the jump of the error at the mask's border (`seam_statistic`).
    """
    figures: dict[str, float] = {}
    regions = {} if mask is None else {"roi": mask, "background": 1.0 - mask}
    for name, metric in chosen.items():
        try:
            figures[name] = metric.whole(reference, decoded)
            for region, weight in regions.items():
                if metric.masked is not None and weight.any():
                    figures[f"{region}/{name}"] = metric.masked(reference, decoded, weight)
        except RdcError:
            continue
    if mask is not None and 0 < (mask > 0.5).mean() < 1:
        figures["seam"] = seam_statistic(decoded, reference, mask)
    return figures
