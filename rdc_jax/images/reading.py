"""Reading of image files as upright 8-bit pixels with alpha and metadata."""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from rdc_jax.errors import RdcError, reason
from rdc_jax.images import (
    colour_spaces,
    formats,
    jpeg_data,
    metadata,
    orientation,
    png_chunks,
    tiff_layout,
    transparency,
)
from rdc_jax.images.channels import channels
from rdc_jax.images.image import LoadedImage
from rdc_jax.images.source import Source, source_of

MAX_PIXELS = 178_956_970
"""Largest number of pixels that is read by default. Pillow itself refuses larger images."""

CODED = b"\x9dRDC"  # how an .rdc file begins

_limit_lock = threading.Lock()
_limits_before: list[int | None] = []  # Pillow's limit, once per running read that lifted it


def read_image(
    path_or_file: str | Path | BinaryIO,
    *,
    background: int = transparency.WHITE,
    max_pixels: int = MAX_PIXELS,
    keep_alpha: bool = False,
) -> LoadedImage:
    """Reads any image that Pillow can read as upright 8-bit RGB.

    - Grey is repeated over the channels, and palettes are looked up.
    - 16-bit samples, and float samples in 0..1, are rounded to 8 bits.
    - CMYK and Lab are converted to sRGB, with their ICC profile if they have one.
    - Colours that a file describes without an ICC profile get the profile that says the same.
    - Pixels are also converted to sRGB if the tone curve of their profile is far from that of sRGB,
      such as linear light. Otherwise the values and the profile stay unchanged.
    - Only the first frame of an animation and the first page of a TIFF file are read.

    docs/images.md lists all formats.

    Args:
        path_or_file: Path, "-" for standard input, or a file opened for reading bytes.
        background: Grey value behind transparent pixels, 0 to 255.
        max_pixels: Images with more pixels are refused before they are decoded. Pillow's own limit
            applies too, unless `max_pixels` is above MAX_PIXELS.
        keep_alpha: True to return alpha separately and ignore `background`. Fully transparent
            pixels then take smooth colours from their surroundings.

    Returns:
        The image with its alpha plane and metadata, and notes on what was ignored.

    Raises:
        RdcError: the file is missing, not an image, damaged, too large, needs a plugin that is not
            installed, or has samples that are out of range or stored in a way that is not
            supported.
    """
    name = f"'{path_or_file}'" if isinstance(path_or_file, str | Path) else "the given file"
    try:
        source = source_of(path_or_file)
        name = source.name
        return _read(source, max_pixels, None if keep_alpha else background)
    except RdcError:
        raise
    except FileNotFoundError:
        raise RdcError(f"no such image: {name}") from None
    except Image.DecompressionBombError:
        raise RdcError(f"{name} has too many pixels; scale it down or cut it up") from None
    except Exception as error:  # a decoder may raise anything on a damaged file
        if isinstance(error, OSError) and error.errno is not None:
            raise RdcError(f"cannot open {name}: {reason(error)}") from None
        raise RdcError(f"{name} is a damaged image: {_reason(error)}") from error


def from_pillow(image: Image.Image, name: str = "the PIL image") -> LoadedImage:
    """Converts an image that Pillow holds, as `read_image` does from a file; alpha is kept.

    Raises RdcError if its samples are out of range, or its file cannot be read.
    """
    try:
        layout = tiff_layout.of_image(image)
        if isinstance(image, tiff_layout.TiffImageFile) and layout is not None:
            tiff_layout.check(image.tag_v2, layout, name)
            if layout.bits == 16 and layout.in_planes:
                raise RdcError(f"{name} is a TIFF file of {layout}; give its path instead")
        copy = image.copy()  # loads the file; the user's image stays as it is
        return _convert(copy, image, lambda: copy, None, name)
    except RdcError:
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise RdcError(f"{name} cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _read(source: Source, max_pixels: int, background: int | None) -> LoadedImage:
    """Opens and converts an image; see `_convert`."""
    with warnings.catch_warnings():
        # Pillow warns of harmless oddities only: real damage raises an exception.
        warnings.filterwarnings("ignore", module=r"PIL\b|pillow_(jxl|heif)\b")
        beginning, name = source.start(32), source.name
        if not beginning:
            raise RdcError(f"{name} is empty; copy it again")
        plugin = formats.plugin_for(beginning)
        if plugin and not formats.register(plugin):
            raise RdcError(f"reading {name} needs {plugin[1]}: {formats.INSTALL} {plugin[1]}")
        cleaned = layout = None
        if beginning.startswith(png_chunks.SIGNATURE):
            cleaned = png_chunks.cleaned(source.data(), name)
            source = Source(cleaned.data, name)
        elif beginning.startswith(tiff_layout.SIGNATURES):
            with source.opened() as file:
                layout = tiff_layout.check_file(file, name)
        try:
            with _pillows_limit_lifted(max_pixels), source.image() as image:
                _check_readable(image, max_pixels, name)
                notes = []
                if cleaned is not None:
                    image.info.update(cleaned.info)
                    notes += cleaned.notes
                return _convert(image, image, source.image, background, name, source, notes)
        except UnidentifiedImageError:
            if layout is not None:
                raise tiff_layout.unsupported(layout, name) from None
            if formats.looks_like_an_image(beginning):
                raise RdcError(f"{name} is a damaged image: its header makes no sense") from None
            if beginning.startswith(CODED):
                raise RdcError(
                    f"{name} is an .rdc file, not an image; make an image of it with `rdc decode`"
                ) from None
            raise RdcError(f"{name} is not an image in a known format") from None


def _check_readable(image: Image.Image, max_pixels: int, name: str) -> None:
    """Raises RdcError for an opened image that is too large or not made of pixels."""
    if image.width * image.height > max_pixels:
        raise RdcError(
            f"{name} has {image.width} x {image.height} pixels, more than the "
            f"limit of {max_pixels}; scale it down or cut it up"
        )
    if image.format == "EPS":  # Pillow would start another program to render it
        raise RdcError(f"{name} is a drawing (EPS); convert it to an image first")


@contextlib.contextmanager
def _pillows_limit_lifted(max_pixels: int) -> Iterator[None]:
    """Lifts Pillow's pixel limit while a caller reads with a higher `max_pixels`.

    Pillow has one limit for all threads. It is restored when the last such read ends.
    """
    if max_pixels <= MAX_PIXELS:
        yield
        return
    with _limit_lock:
        _limits_before.append(Image.MAX_IMAGE_PIXELS)
        Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        with _limit_lock:
            limit = _limits_before.pop()
            if not _limits_before:
                Image.MAX_IMAGE_PIXELS = limit


def _convert(
    image: Image.Image,
    original: Image.Image,
    again: Callable[[], Image.Image],
    background: int | None,
    name: str,
    source: Source | None = None,
    notes: list[str] | None = None,
) -> LoadedImage:
    """Converts an opened image. With `background` None, alpha is kept separately.

    Args:
        image: The image.
        original: The object that knows format and tags: a copy of it may have lost them.
        again: Opens the same image once more.
        background: Grey value behind transparent pixels, or None.
        name: Name of the file, for error messages.
        source: The file, if there is one.
        notes: Notes so far; more are added.
    """
    notes = [] if notes is None else notes
    mode, layout = image.mode, tiff_layout.of_image(original)
    is_upright = orientation.is_decided(original)
    colour, alpha = channels(image, again, layout, name)
    if source is not None and original.format in ("JPEG", "MPO"):
        _check_jpeg(source, np.asarray(image), name, notes)
    held = metadata.of_file(original, image.info, notes)
    colour, held = colour_spaces.usable(colour, held, original, source, notes)
    xmp = None if original.format == "AVIF" else held["xmp"]
    turn = 1 if is_upright else orientation.orientation(held["exif"], xmp)
    pixels = np.array(orientation.upright(colour, turn).convert("RGB"))
    plane = None
    if alpha is not None and np.asarray(alpha).min() < 255:
        plane = np.array(orientation.upright(alpha, turn))
        if background is not None:
            pixels, plane = transparency.laid_on(pixels, plane, background), None
        else:
            pixels = transparency.filled(pixels, plane)
    grey = colour.mode == "L"
    if mode in ("P", "PA"):
        grey = bool(np.all(pixels == pixels[..., :1]))
    upright = metadata.upright(held)
    return LoadedImage(pixels, grey, plane, source_mode=mode, notes=tuple(notes), **upright)


def _check_jpeg(source: Source, pixels: np.ndarray, name: str, notes: list[str]) -> None:
    """Raises RdcError if part of the image is missing."""
    damage = jpeg_data.damage(source.data(), pixels)
    if damage == jpeg_data.MISSING:
        raise RdcError(f"{name} is a damaged image: part of its data is missing")
    if damage == jpeg_data.LEFT_OVER:
        notes.append("may be damaged: it holds more data than its pixels need")
