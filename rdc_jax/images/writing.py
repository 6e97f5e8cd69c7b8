"""Writing of image files: pixels, alpha and metadata in any supported format."""

import dataclasses
import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from rdc_jax.errors import RdcError, option
from rdc_jax.images import colour_profiles, formats, transparency
from rdc_jax.images.atomic_files import atomic_write
from rdc_jax.images.formats import ALL_METADATA, Format
from rdc_jax.images.image import LoadedImage
from rdc_jax.images.metadata import DIRECTORIES, EXIF_PREFIX, XMP_TAG, descriptive, exif_of_srgb


def write_image(
    path: str | Path, pixels: np.ndarray, *, grey: bool = False, overwrite: bool = False
) -> None:
    """Writes pixels without metadata in the format of the path's extension.

    Args:
        path: Output file.
        pixels: uint8 [height, width, 3].
        grey: True to store one channel instead of three (webp and ppm always have three).
        overwrite: True to replace an existing file.

    Raises:
        RdcError: as `write_loaded_image`.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] != 3 or 0 in pixels.shape:
        raise RdcError(f"give pixels uint8 [H,W,3] to write, not {pixels.dtype} {pixels.shape}")
    write_loaded_image(path, LoadedImage(pixels, grey), overwrite=overwrite)


def write_loaded_image(
    path: str | Path, image: LoadedImage, *, overwrite: bool = False
) -> list[str]:
    """Writes an image with alpha and metadata in the format of the path's extension.

    png, webp, tif, bmp, ppm and jxl are lossless. jpg, avif and heic are written at quality 95
    with full chroma resolution.

    Args:
        path: Output file.
        image: The image to write.
        overwrite: True to replace an existing file.

    Returns:
        One note for each part of the image that the format cannot store.

    Raises:
        RdcError: the extension is unknown, a plugin is not installed, the image or its metadata
            is too large for the format, or the file cannot be written (see `atomic_write`).
    """
    if not isinstance(path, str | os.PathLike):
        raise RdcError(f"give the path of the image to write, not {path!r:.60}")
    formats.of_extension(Path(path).suffix, str(path))
    data, notes = image_bytes(image, Path(path).suffix)
    atomic_write(path, data, overwrite=overwrite)
    return notes


def image_bytes(image: LoadedImage, extension: str, **options: Any) -> tuple[bytes, list[str]]:
    """Encodes an image with alpha and metadata as a file.

    If the format has no alpha, the image is composited over white. If the format cannot store an
    ICC profile, the colours are converted to sRGB.

    Args:
        image: The image to encode.
        extension: File name extension of the format, such as ".png".
        **options: Options for Pillow's writer, in addition to the options of the format.

    Returns:
        The bytes of the file, and one note for each part that the format cannot store.

    Raises:
        RdcError: as `write_loaded_image`, except that no file is written.
    """
    pixels = image.pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels must be uint8 [h, w, 3], got {pixels.dtype} {pixels.shape}")
    chosen = formats.of_extension(extension)
    chosen = dataclasses.replace(chosen, options={**chosen.options, **options})
    image, notes = _what_fits(image, chosen)
    return _saved(image, chosen), notes


def _what_fits(image: LoadedImage, chosen: Format) -> tuple[LoadedImage, list[str]]:
    notes = []
    if image.alpha is not None and not chosen.alpha:
        flat = transparency.laid_on(image.pixels, image.alpha)
        image = dataclasses.replace(image, pixels=flat, alpha=None)
        notes.append(f"{chosen.name} has no transparency, so the image is laid on white")
    mode = colour_profiles.pixel_mode(image.icc) if image.icc else None
    # A grey profile cannot describe a file of three channels.
    unfit = "icc" not in chosen.metadata or (mode == "L" and not chosen.grey)
    if image.icc and unfit:
        source = Image.fromarray(image.pixels)
        converted = colour_profiles.to_srgb(
            source.convert("L") if mode == "L" else source, image.icc
        )
        if converted is not None:
            exif = exif_of_srgb(image.exif) if image.exif else None
            image = dataclasses.replace(image, pixels=np.array(converted), exif=exif)
    unheld = set(ALL_METADATA) - set(chosen.metadata) | ({"icc"} if unfit else set())
    lost = [kind for kind in ALL_METADATA if getattr(image, kind) and kind in unheld]
    if lost:
        absent: dict[str, Any] = dict.fromkeys(lost)
        image = dataclasses.replace(image, **absent)
        notes.append(
            f"{chosen.name} files cannot hold {' '.join(lost)}"
            + (", so colours are converted to sRGB" if "icc" in lost else "")
        )
    return image, notes


def _saved(image: LoadedImage, chosen: Format) -> bytes:
    encoder_input = Image.fromarray(image.pixels)
    # An RGB profile cannot describe a grey file, so three channels are stored.
    of_colour = image.icc and colour_profiles.pixel_mode(image.icc) == "RGB"
    if image.grey and chosen.grey and not of_colour:
        encoder_input = encoder_input.convert("L")
    if image.alpha is not None:
        encoder_input.putalpha(Image.fromarray(image.alpha))
    encoded = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\b|pillow_(jxl|heif)\b")
            options = {**chosen.options, **_with_metadata(image, chosen)}
            encoder_input.save(encoded, chosen.name, **options)
    except Exception as error:  # plugins raise their own exception types
        height, width = image.pixels.shape[:2]
        reason = " ".join(str(error).split()) or type(error).__name__
        held = [kind for kind in chosen.metadata if getattr(image, kind)]
        kinds = ",".join(held)
        advice = option(f"--metadata chooses among {kinds}", f"leave out some of {kinds}")
        hint = f"; {advice}" if held else ""
        raise RdcError(
            f"cannot store {width} x {height} pixels as {chosen.name}: {reason}{hint}"
        ) from None
    return encoded.getvalue()


def _with_metadata(image: LoadedImage, chosen: Format) -> dict[str, Any]:
    """Returns the options that make Pillow store the metadata in the file."""
    options: dict[str, Any] = {}
    if image.icc:
        options["icc_profile"] = image.icc
    if chosen.name == "TIFF":
        tags = _tiff_tags(image)
        if any(tag in tags for tag in DIRECTORIES):  # Pillow omits them from compressed files
            options["compression"] = "raw"
        return options | ({"exif": tags} if len(tags) else {})
    if image.exif:
        options["exif"] = EXIF_PREFIX + image.exif
    if image.xmp and chosen.name == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", image.xmp)
        options["pnginfo"] = chunks
    elif image.xmp:
        options["xmp"] = image.xmp
    return options


def _tiff_tags(image: LoadedImage) -> Image.Exif:
    """Returns the EXIF tags that a TIFF file keeps in its own directory, and XMP as a tag."""
    tags = Image.Exif()
    if image.exif:
        tags.load(EXIF_PREFIX + image.exif)
        tags = descriptive(tags) or Image.Exif()
    if image.xmp:
        tags[XMP_TAG] = image.xmp
    return tags
