"""The classical codecs that ship with Pillow, at their default settings, for comparison.

| name     | codec            | quality (higher is better)                       | chroma |
|----------|------------------|--------------------------------------------------|--------|
| jpeg     | JPEG, baseline   | 1 to 95                                          | 4:2:0  |
| jpeg444  | JPEG, baseline   | 1 to 95                                          | 4:4:4  |
| webp     | WebP, lossy      | 0 to 100                                         | 4:2:0  |
| avif     | AVIF             | 0 to 100                                         | 4:2:0  |
| jpeg2000 | JPEG 2000, 9-7   | target PSNR in dB, 20 to 60 in quarters of a dB  | 4:4:4  |

Sizes are those of whole files, which contain no metadata.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, features

from rdc_jax.errors import RdcError

SAVE_OPTIONS = {
    "jpeg": {"format": "JPEG", "subsampling": "4:2:0"},
    "jpeg444": {"format": "JPEG", "subsampling": "4:4:4"},
    "webp": {"format": "WEBP"},
    "avif": {"format": "AVIF"},
    "jpeg2000": {"format": "JPEG2000", "irreversible": True, "quality_mode": "dB"},
}
PILLOW_FEATURES = {"jpeg": "jpg", "jpeg444": "jpg", "webp": "webp", "avif": "avif"}

# Every quality of a codec, in increasing order.
QUALITIES: dict[str, list[float]] = {
    "jpeg": list(range(1, 96)),
    "jpeg444": list(range(1, 96)),
    "webp": list(range(101)),
    "avif": list(range(101)),
    "jpeg2000": [20.0 + step / 4.0 for step in range(161)],
}

# The settings of a rate-distortion curve: 0.1 to 1.5 bpp on common photographs.
LADDERS: dict[str, list[float]] = {
    "jpeg": [5, 10, 15, 25, 40, 60, 75, 85, 92],
    "jpeg444": [5, 10, 15, 25, 40, 60, 75, 85, 92],
    "webp": [0, 5, 12, 25, 45, 65, 80, 88, 94],
    "avif": [15, 25, 35, 45, 55, 65, 75, 85],
    "jpeg2000": [24, 26, 28, 30, 32, 34, 36, 39, 42],
}

# The size may fall at single steps of quality, so this many steps past the bisection are tried.
STEPS_BEYOND = 3


def names() -> list[str]:
    """The codecs that this build of Pillow can write."""
    return [name for name in SAVE_OPTIONS if _is_available(name)]


def encode(name: str, pixels: np.ndarray, quality: float) -> bytes:
    """Encodes an image.

    Args:
        name: A codec of the table above.
        pixels: uint8 [h,w,3] RGB.
        quality: A value on the codec's own scale.

    Returns:
        The file.

    Raises:
        RdcError: The codec is unknown or missing in this Pillow, or the pixels are not uint8 RGB.
    """
    _require(name)
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] != 3:
        raise RdcError(f"baselines code uint8 [h,w,3], not {pixels.dtype} {pixels.shape}")
    options = dict(SAVE_OPTIONS[name])
    if name == "jpeg2000":
        options["quality_layers"] = [float(quality)]
    else:
        options["quality"] = int(quality)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **options)
    return buffer.getvalue()


def decode(name: str, data: bytes) -> np.ndarray:
    """uint8 [h,w,3] of a file that `encode` made with the same name."""
    _require(name)
    with Image.open(io.BytesIO(data), formats=[SAVE_OPTIONS[name]["format"]]) as image:
        return np.asarray(image.convert("RGB"))


def size_matched(name: str, pixels: np.ndarray, target_bytes: int) -> tuple[bytes, float]:
    """The largest file of at most `target_bytes`, and its quality.

    It bisects the codec's whole scale of qualities and then tries a few more settings, because the
    size may fall at single steps.

    Args:
        name: A codec of the table above.
        pixels: uint8 [h,w,3] RGB.
        target_bytes: The largest size allowed.

    Raises:
        RdcError: As `encode`; or the file of the lowest quality is too large.
    """
    _require(name)
    scale = QUALITIES[name]
    best = encode(name, pixels, scale[0]), scale[0]
    if len(best[0]) > target_bytes:
        raise RdcError(
            f"{name} cannot reach {target_bytes} bytes; its smallest file has {len(best[0])}"
        )
    fits, too_large = 0, len(scale)
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        data = encode(name, pixels, scale[middle])
        if len(data) <= target_bytes:
            fits, best = middle, (data, scale[middle])
        else:
            too_large = middle
    for quality in scale[too_large + 1 : too_large + 1 + STEPS_BEYOND]:
        data = encode(name, pixels, quality)
        if len(best[0]) < len(data) <= target_bytes:
            best = data, quality
    return best


def _is_available(name: str) -> bool:
    if name == "jpeg2000":
        return bool(features.check_codec("jpg_2000"))
    feature = PILLOW_FEATURES[name]
    return bool(features.check(feature))


def _require(name: str) -> None:
    if name not in SAVE_OPTIONS:
        raise RdcError(f"unknown codec '{name}'; choose from {', '.join(SAVE_OPTIONS)}")
    if not _is_available(name):
        raise RdcError(f"this build of Pillow cannot write {name}")
