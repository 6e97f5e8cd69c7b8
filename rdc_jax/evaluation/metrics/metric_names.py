"""What metrics are called, which way is better, and how their values are written."""

from __future__ import annotations

import html
import math
from typing import Any

NOT_METRICS = (
    "bpp", "bytes", "map_bytes", "setting", "settings", "quality", "q", "encoding_time",
    "decoding_time",
)  # fmt: skip
LOWER_IS_BETTER = ("lpips", "dists", "butteraugli", "fd-", "kid", "fid", "seam")
HIGHER_IS_BETTER = ("psnr", "ms-ssim", "ssimulacra2", "vmaf")
TITLES = {
    "psnr-rgb": "PSNR (RGB), dB", "psnr": "PSNR, dB", "ms-ssim-rgb": "MS-SSIM (RGB)",
    "ms-ssim": "MS-SSIM", "lpips-alex": "LPIPS (AlexNet)", "lpips-vgg": "LPIPS (VGG)",
    "dists": "DISTS", "ssimulacra2": "SSIMULACRA 2", "butteraugli": "Butteraugli", "vmaf": "VMAF",
    "fid": "FID/256", "kid": "KID/256",
    "fd-alexnet": "Fréchet distance (AlexNet)", "kid-alexnet": "Kernel distance (AlexNet)",
    "fd-vgg16": "Fréchet distance (VGG)", "kid-vgg16": "Kernel distance (VGG)",
    "seam": "Seam at the mask's border",
}  # fmt: skip
INCEPTION = "inception"
NETWORK_OF_SET_METRIC = {
    "fd-alexnet": "alexnet", "kid-alexnet": "alexnet", "fd-vgg16": "vgg16", "kid-vgg16": "vgg16",
    "fid": INCEPTION, "kid": INCEPTION,
}  # fmt: skip
REGIONS = {"roi": "inside the region", "background": "outside the region"}
MISSING = "–"


def direction(metric: str) -> int:
    """1 where more is better, -1 where less is, 0 for a metric nobody here knows."""
    name = metric.rpartition("/")[2]
    return name.startswith(HIGHER_IS_BETTER) - name.startswith(LOWER_IS_BETTER)


def title(metric: str) -> str:
    """A metric's name for readers: "roi/psnr-rgb" is "PSNR (RGB), dB, inside the region"."""
    region, _, name = metric.rpartition("/")
    words = [TITLES.get(name, name), *([REGIONS.get(region, region)] if region else [])]
    return ", ".join(words)


def better(metric: str) -> str:
    """Which way is better, in words; empty for an unknown metric."""
    return {1: "higher is better", -1: "lower is better", 0: ""}[direction(metric)]


def number(value: Any) -> float | None:
    """A finite number as float; None for all else that JSON may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond the range of floats
        return None


def text(value: Any) -> str:
    """Any value as text that is safe in HTML, in attributes too, and can be stored as UTF-8."""
    return html.escape(str(value).encode("utf-8", "replace").decode("utf-8"))


def figure_text(metric: str, value: Any) -> str:
    """A metric's value with the digits that mean something."""
    value = number(value)
    if value is None:
        return MISSING
    name = metric.rpartition("/")[2]
    if name.startswith(("ms-ssim", "lpips", "dists", "bpp")):
        return f"{value:.4f}"
    return f"{value:.2f}" if name.startswith(("psnr", "ssimulacra2", "vmaf")) else f"{value:.4g}"


def setting_text(value: Any) -> str:
    """A codec's setting: 40.0 is "40"; what is no number stands as it is."""
    value = MISSING if value is None else value
    return f"{value:g}" if isinstance(value, int | float) else str(value)
