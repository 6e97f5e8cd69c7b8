"""The numbers on the page: quality of a decoded image, and the contents of a file."""

import math
from typing import Any

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.bitstream.file_reader import FileReader
from rdc_jax.bitstream.framing import CRC_BYTES
from rdc_jax.bitstream.sections import SectionType, section_name
from rdc_jax.evaluation.metrics.distortion import masked_psnr, psnr
from rdc_jax.images import LoadedImage
from rdc_jax.web.studio import images


def distances(
    original: LoadedImage | None, decoded: np.ndarray, mask: np.ndarray | None
) -> dict[str, float | None]:
    """PSNR in dB of the image, and inside and outside of the mask.

    The weight of a pixel's error is its alpha, so fully transparent pixels are ignored. On a
    background they would count as free of error and improve the result.

    Args:
        original: The original, or None if it is not known.
        decoded: uint8 [H,W,3].
        mask: uint8 of any size, 255 = important; None for no mask.

    Returns:
        "psnr", "psnr_inside" and "psnr_outside"; None where not known.
    """
    found: dict[str, float | None] = dict.fromkeys(("psnr", "psnr_inside", "psnr_outside"))
    if original is None:
        return found
    everywhere = None if original.alpha is None else original.alpha / np.float32(255)
    weights = {"psnr": everywhere}
    if mask is not None:
        inside = images.resized(mask, *decoded.shape[:2]) / np.float32(255)
        for name, part in (("psnr_inside", inside), ("psnr_outside", 1 - inside)):
            weights[name] = part if everywhere is None else part * everywhere
    for name, weight in weights.items():
        if weight is None:
            found[name] = _finite(psnr(original.pixels, decoded))
        elif weight.any():
            found[name] = _finite(masked_psnr(original.pixels, decoded, weight))
    return found


def _finite(value: float) -> float | None:
    """None for infinity, which JSON does not have."""
    return value if math.isfinite(value) else None


def contents(reader: FileReader, levels: np.ndarray, side: int) -> dict[str, Any]:
    """Size, header, parts and importance map of a file.

    Args:
        reader: The file.
        levels: Importance level of each pixel of the latent, uint8 [h,w].
        side: Side of a latent pixel in pixels of the image.

    Returns:
        The fields of the answer. "importance" is the map as an image, None for a uniform map;
        "extent" is the size that it covers, [width, height] in pixels.
    """
    header = reader.header
    parts = {"header": min(place.offset for place in reader.places.values())}
    for kind, place in reader.places.items():  # the last one may be truncated
        end = min(place.end + CRC_BYTES, reader.size)
        parts[section_name(kind).lower()] = end - place.offset
    shown = None
    if header.num_levels > 1:
        grey = np.rint(255.0 / (header.num_levels - 1) * levels).astype(np.uint8)
        shown = images.data_url(grey)
    return {
        "bytes": reader.size,
        "bpp": 8 * reader.size / (header.width * header.height),
        "width": header.width,
        "height": header.height,
        "alpha": SectionType.ALPHA in reader.places,
        "fields": container.described(header),
        "parts": parts,
        "importance": shown,
        "extent": [side * n for n in levels.shape[::-1]],
    }
