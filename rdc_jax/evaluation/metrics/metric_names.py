"""The table of metrics: their titles, which way is better, and how values are written."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

NOT_METRICS = (
    "bpp", "bytes", "map_bytes", "setting", "settings", "quality", "q", "encoding_time",
    "decoding_time",
)  # fmt: skip


class Family(NamedTuple):
    """What metrics have in common whose names start alike."""

    direction: int  # 1: higher is better, -1: lower is better, 0: neither
    digits: str  # format of a value
    unit: str = ""


# The one table of metrics, by the start of a name. Other modules take directions, units and
# digits from here.
FAMILIES = {
    "psnr": Family(1, ".2f", "dB"),
    "ms-ssim": Family(1, ".4f"),
    "ssimulacra2": Family(1, ".2f"),
    "vmaf": Family(1, ".2f"),
    "lpips": Family(-1, ".4f"),
    "dists": Family(-1, ".4f"),
    "butteraugli": Family(-1, ".4g"),
    "fd-": Family(-1, ".4g"),
    "kid": Family(-1, ".4g"),
    "fid": Family(-1, ".4g"),
    "seam": Family(-1, ".4g"),
    "colour": Family(-1, ".4g"),
    "added-pattern": Family(-1, ".4g"),
    "bpp": Family(0, ".4f"),
}
UNKNOWN = Family(0, ".4g")
TITLES = {
    "psnr-rgb": "PSNR (RGB)", "psnr": "PSNR", "ms-ssim-rgb": "MS-SSIM (RGB)",
    "ms-ssim": "MS-SSIM", "lpips-alex": "LPIPS (AlexNet)", "lpips-vgg": "LPIPS (VGG)",
    "dists": "DISTS", "ssimulacra2": "SSIMULACRA 2", "butteraugli": "Butteraugli", "vmaf": "VMAF",
    "fid": "FID/256", "kid": "KID/256",
    "fd-alexnet": "Fréchet distance (AlexNet)", "kid-alexnet": "Kernel distance (AlexNet)",
    "fd-vgg16": "Fréchet distance (VGG)", "kid-vgg16": "Kernel distance (VGG)",
    "seam": "Seam at the mask's border", "colour": "colour error",
    "added-pattern": "added pattern", "bpp": "bits per pixel",
}  # fmt: skip
LPIPS_BACKBONES = {"lpips-alex": "alexnet", "lpips-vgg": "vgg16"}
INCEPTION = "inception"
NETWORK_OF_SET_METRIC = {
    "fd-alexnet": "alexnet", "kid-alexnet": "alexnet", "fd-vgg16": "vgg16", "kid-vgg16": "vgg16",
    "fid": INCEPTION, "kid": INCEPTION,
}  # fmt: skip
REGIONS = {"roi": "inside the region", "background": "outside the region"}
MISSING = "–"


def canonical(metric: str) -> str:
    """The name without its region, with hyphens: training logs "lpips_alex" for "lpips-alex"."""
    return metric.rpartition("/")[2].replace("_", "-")


def family(metric: str) -> Family:
    """The row of `FAMILIES` for a metric; `UNKNOWN` for a name that no row starts."""
    name = canonical(metric)
    return next((row for start, row in FAMILIES.items() if name.startswith(start)), UNKNOWN)


def direction(metric: str) -> int:
    """1 where higher is better, -1 where lower is better, 0 for an unknown metric."""
    return family(metric).direction


def short_title(metric: str) -> str:
    """A metric's name for readers, without unit and region: "psnr" is "PSNR"."""
    return TITLES.get(canonical(metric), metric.rpartition("/")[2])


def title(metric: str) -> str:
    """A metric's name for readers: "roi/psnr-rgb" is "PSNR (RGB), dB, inside the region"."""
    region, unit = metric.rpartition("/")[0], family(metric).unit
    known = canonical(metric) in TITLES
    parts = [short_title(metric), unit if known else "", REGIONS.get(region, region)]
    return ", ".join(part for part in parts if part)


def difference_unit(metric: str) -> str:
    """Unit of a difference at equal rate: dB, points of a score, per cent of a distance."""
    row = family(metric)
    return row.unit or ("points" if row.direction > 0 else "%")


def better(metric: str) -> str:
    """Which way is better, in words; empty for an unknown metric."""
    return {1: "higher is better", -1: "lower is better", 0: ""}[direction(metric)]


def number(value: Any) -> float | None:
    """A finite number as a float; None for anything else that JSON may contain."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond the range of floats
        return None


def figure_text(metric: str, value: Any) -> str:
    """A metric's value with the digits that carry meaning; a dash for anything but a number."""
    value = number(value)
    return MISSING if value is None else format(value, family(metric).digits)


def setting_text(value: Any) -> str:
    """A codec's setting: 40.0 is "40"; other values stay as they are."""
    value = MISSING if value is None else value
    return f"{value:g}" if isinstance(value, int | float) else str(value)
