"""Alpha and metadata of an image, as the optional sections of an `.rdc` file, and back.

    image = read_image(path, keep_alpha=True)
    data  = codec.encode(image.pixels, grey=image.grey, extras=extras_of(image))
    image = image_of(codec.decode(data), data)              or codec.decode_image(data)

NumPy and Pillow only, so every back end can use it.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.bitstream.container import ColourMode
from rdc_jax.bitstream.file_reader import FileReader
from rdc_jax.bitstream.sections import MAX_METADATA_BYTES, SectionType
from rdc_jax.errors import RdcError, option
from rdc_jax.images import LoadedImage, alpha_png, colour_profiles, transparency
from rdc_jax.images.formats import ALL_METADATA

_SECTIONS = {"icc": SectionType.ICC, "exif": SectionType.EXIF, "xmp": SectionType.XMP}
MEBIBYTE = 2**20


def extras_of(
    image: LoadedImage, *, metadata: Collection[str] = ALL_METADATA, alpha: str = "lossless"
) -> dict[int, bytes]:
    """Payloads of the optional sections of an image.

    Args:
        image: The image, read with its alpha kept.
        metadata: Which of icc, exif and xmp go into the file.
        alpha: "lossless"; "lossy", 14 levels if that is smaller, with 0 and 255 exact; or "drop",
            which leaves alpha out (the caller has laid the image on a background).

    Raises:
        RdcError: The metadata are too large for a file.
    """
    extras: dict[int, bytes] = {}
    if image.alpha is not None and alpha != "drop":
        extras[SectionType.ALPHA] = transparency.to_png(image.alpha, lossy=alpha == "lossy")
    for kind, section in _SECTIONS.items():
        payload = getattr(image, kind)
        if not payload or kind not in metadata:
            continue
        if len(payload) > MAX_METADATA_BYTES:
            others = ",".join(k for k in _SECTIONS if k != kind)
            raise RdcError(
                f"the image's {kind} has {len(payload) / MEBIBYTE:.1f} MiB, more than the "
                f"{MAX_METADATA_BYTES // MEBIBYTE} MiB that a file may hold; "
                + option(f"leave it out with --metadata {others}", "remove it from the image")
            )
        extras[section] = payload
    return extras


def parts_of(
    source: bytes | FileReader,
    *,
    metadata: Collection[str] = ALL_METADATA,
    max_pixels: int = container.DEFAULT_MAX_PIXELS,
    crop: tuple[int, int, int, int] | None = None,
) -> dict[str, Any]:
    """Reads the optional sections of a file. Only these sections are read and checked.

    Args:
        source: The file's bytes, or a reader.
        metadata: Which of icc, exif and xmp are wanted.
        max_pixels: Larger images are refused.
        crop: (x, y, width, height), the wanted part of the image; None for all.

    Returns:
        grey, alpha, icc, exif and xmp: the fields of a LoadedImage, without its pixels.

    Raises:
        RdcError: The file is damaged.
    """
    reader = source if isinstance(source, FileReader) else FileReader(source, max_pixels=max_pixels)
    header, alpha = reader.header, None
    if SectionType.ALPHA in reader.places:
        png = reader.payload(SectionType.ALPHA)
        alpha = alpha_png.decode(png, header.height, header.width)
        if crop is not None:
            x, y, width, height = crop
            alpha = alpha[y : y + height, x : x + width]
    wanted = [kind for kind in _SECTIONS if kind in metadata and _SECTIONS[kind] in reader.places]
    kept = {kind: reader.payload(_SECTIONS[kind]) or None for kind in wanted}
    grey = header.colour_mode == ColourMode.GREY
    return {"grey": grey, "alpha": alpha, **dict.fromkeys(ALL_METADATA), **kept}


def said_of(section: container.Section) -> dict[str, str]:
    """{"holds": a short description} of an ICC or alpha section, {} for other sections."""
    if section.type == SectionType.ICC:
        return {"holds": colour_profiles.description(section.payload) or "a damaged profile"}
    return {"holds": "8-bit grey PNG"} if section.type == SectionType.ALPHA else {}


def image_of(
    pixels: np.ndarray, data: bytes, *, metadata: Collection[str] = ALL_METADATA
) -> LoadedImage:
    """Joins decoded pixels with the alpha and metadata of their file.

    Args:
        pixels: uint8 [H,W,3], as decoded from the whole file.
        data: The file's bytes.
        metadata: Which of icc, exif and xmp are wanted.
    """
    largest = max(container.DEFAULT_MAX_PIXELS, pixels.shape[0] * pixels.shape[1])
    return LoadedImage(pixels=pixels, **parts_of(data, metadata=metadata, max_pixels=largest))
