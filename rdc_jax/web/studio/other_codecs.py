"""JPEG, WebP and AVIF at the size of our file, for the other side of the slider."""

import dataclasses
from typing import Any

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.report.sizes import size_text
from rdc_jax.images import LoadedImage

NAMES = {"jpeg": "JPEG", "webp": "WebP", "avif": "AVIF"}


def available() -> dict[str, str]:
    """The codecs that this build of Pillow can write: key and name."""
    written = baselines.names()
    return {key: name for key, name in NAMES.items() if key in written}


def at_size(original: LoadedImage, key: Any, size: int) -> tuple[LoadedImage, dict[str, Any]]:
    """The image as another codec shows it in as many bytes.

    Args:
        original: The image; its alpha and profile are kept as they are, and not counted.
        key: One of `available`.
        size: Most bytes of the file.

    Returns:
        The decoded image, and "codec", "bytes", "quality" and "note". If the codec cannot make such
        a small file, its smallest one is shown and the note says so.

    Raises:
        RdcError: The codec is unknown or not available.
    """
    if key not in available():
        raise RdcError(f"cannot compare with {key!r:.40}; choose from {', '.join(available())}")
    scale, note = baselines.QUALITIES[key], ""
    try:
        data, quality = baselines.size_matched(key, original.pixels, size)
    except RdcError:  # even its smallest file is larger
        quality = scale[0]
        data = baselines.encode(key, original.pixels, quality)
        note = (
            f"{NAMES[key]} cannot make a file this small: its smallest takes "
            f"{size_text(len(data))}, {len(data) / size:.2g} times as much."
        )
    shown = dataclasses.replace(original, pixels=np.asarray(baselines.decode(key, data)))
    return shown, {"codec": NAMES[key], "bytes": len(data), "quality": quality, "note": note}
