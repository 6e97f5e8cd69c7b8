"""Pixels, alpha and metadata -> a picture file of any format."""

import dataclasses
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from rdc_jax.errors import RdcError
from rdc_jax.images import colour_profiles, formats, transparency
from rdc_jax.images.atomic_files import atomic_write
from rdc_jax.images.formats import ALL_METADATA, Format
from rdc_jax.images.image import LoadedImage
from rdc_jax.images.metadata import DIRECTORIES, EXIF_PREFIX, XMP_TAG, descriptive


def write_image(
    path: str | Path, pixels: np.ndarray, *, grey: bool = False, overwrite: bool = False
) -> None:
    """Writes bare pixels in the format of the path's extension; see `write_loaded_image`.

    Args:
        path: output file.
        pixels: uint8 [height, width, 3].
        grey: store one luma channel instead of three (webp and ppm always have three).
        overwrite: replace an existing file.
    """
    write_loaded_image(path, LoadedImage(pixels, grey), overwrite=overwrite)


def write_loaded_image(
    path: str | Path, picture: LoadedImage, *, overwrite: bool = False
) -> list[str]:
    """Writes a picture in the format of the path's extension; returns what that left out.

    png, webp, tif, bmp, ppm and jxl are lossless; jpg, avif and heic have quality 95, full chroma.

    Raises:
        RdcError: unknown extension, a plugin that is not installed, image or metadata too large
            for the format, or see `atomic_write`.
    """
    formats.of_extension(Path(path).suffix, str(path))
    data, notes = image_bytes(picture, Path(path).suffix)
    atomic_write(path, data, overwrite=overwrite)
    return notes


def image_bytes(picture: LoadedImage, extension: str, **options: Any) -> tuple[bytes, list[str]]:
    """A picture as a file of the format with this extension (".png"), and notes of what is lost.

    options: of Pillow's writer, on top of the format's own. Where the format has no alpha, the
    picture is laid on white; where it holds no ICC profile, the colours are taken to sRGB. Raises
    RdcError as `write_loaded_image`.
    """
    pixels = picture.pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels must be uint8 [h, w, 3], got {pixels.dtype} {pixels.shape}")
    chosen = formats.of_extension(extension)
    chosen = dataclasses.replace(chosen, options={**chosen.options, **options})
    picture, notes = _what_fits(picture, chosen)
    return _saved(picture, chosen), notes


def _what_fits(picture: LoadedImage, chosen: Format) -> tuple[LoadedImage, list[str]]:
    notes = []
    if picture.alpha is not None and not chosen.alpha:
        flat = transparency.laid_on(picture.pixels, picture.alpha)
        picture = dataclasses.replace(picture, pixels=flat, alpha=None)
        notes.append(f"{chosen.name} has no transparency, so the picture is laid on white")
    if picture.icc and "icc" not in chosen.metadata:
        mode = colour_profiles.pixel_mode(picture.icc)
        source = Image.fromarray(picture.pixels)
        converted = colour_profiles.to_srgb(
            source.convert("L") if mode == "L" else source, picture.icc
        )
        if converted is not None:
            picture = dataclasses.replace(picture, pixels=np.array(converted))
    lost = [kind for kind in ALL_METADATA if getattr(picture, kind) and kind not in chosen.metadata]
    if lost:
        picture = dataclasses.replace(picture, **dict.fromkeys(lost))
        notes.append(
            f"{chosen.name} files cannot hold {' '.join(lost)}"
            + (", so colours are taken to sRGB" if "icc" in lost else "")
        )
    return picture, notes


def _saved(picture: LoadedImage, chosen: Format) -> bytes:
    image = Image.fromarray(picture.pixels)
    # A profile of three channels does not describe one.
    of_colour = picture.icc and colour_profiles.pixel_mode(picture.icc) == "RGB"
    if picture.grey and chosen.grey and not of_colour:
        image = image.convert("L")
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    encoded = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\b|pillow_(jxl|heif)\b")
            options = {**chosen.options, **_with_metadata(picture, chosen)}
            image.save(encoded, chosen.name, **options)
    except Exception as error:  # plugins have exceptions of their own
        height, width = picture.pixels.shape[:2]
        reason = " ".join(str(error).split()) or type(error).__name__
        held = [kind for kind in chosen.metadata if getattr(picture, kind)]
        mend = f"; --metadata chooses among {','.join(held)}" if held else ""
        raise RdcError(
            f"cannot store {width} x {height} pixels as {chosen.name}: {reason}{mend}"
        ) from None
    return encoded.getvalue()


def _with_metadata(picture: LoadedImage, chosen: Format) -> dict[str, Any]:
    """Pillow's options that put the metadata in the file."""
    options: dict[str, Any] = {}
    if picture.icc:
        options["icc_profile"] = picture.icc
    if chosen.name == "TIFF":
        tags = _tiff_tags(picture)
        if any(tag in tags for tag in DIRECTORIES):  # Pillow writes none in compressed files
            options["compression"] = "raw"
        return options | ({"exif": tags} if len(tags) else {})
    if picture.exif:
        options["exif"] = EXIF_PREFIX + picture.exif
    if picture.xmp and chosen.name == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", picture.xmp)
        options["pnginfo"] = chunks
    elif picture.xmp:
        options["xmp"] = picture.xmp
    return options


def _tiff_tags(picture: LoadedImage) -> Image.Exif:
    """The tags of an EXIF block that TIFF keeps among its own, and XMP, which is one of them."""
    tags = Image.Exif()
    if picture.exif:
        tags.load(EXIF_PREFIX + picture.exif)
        tags = descriptive(tags) or Image.Exif()
    if picture.xmp:
        tags[XMP_TAG] = picture.xmp
    return tags
