"""Reading of image files as upright 8-bit pixels with alpha and metadata."""

import contextlib
import functools
import io
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from rdc_jax.errors import RdcError
from rdc_jax.images import (
    colour_profiles,
    formats,
    metadata,
    orientation,
    transparency,
    wide_samples,
)
from rdc_jax.images.image import LoadedImage

MAX_PIXELS = 178_956_970
"""Largest number of pixels that is read by default. Pillow itself refuses larger images."""

_GREY_MODES = ("1", "L", "LA", "La", "F", *wide_samples.GREY_MODES)
_OTHER_SPACES = ("CMYK", "LAB", "HSV", "YCbCr")
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
    - Pixels are also converted to sRGB if the tone curve of their profile is far from that of sRGB,
      such as linear light. Otherwise the values and the profile stay unchanged.
    - Only the first frame of an animation and the first page of a TIFF file are read.

    docs/images.md lists all formats.

    Args:
        path_or_file: path, "-" for standard input, or a file opened for reading bytes.
        background: grey value behind transparent pixels, 0 to 255.
        max_pixels: images with more pixels are refused before they are decoded. Pillow's own limit
            applies too, unless `max_pixels` is above MAX_PIXELS.
        keep_alpha: True to return alpha separately and ignore `background`. Fully transparent
            pixels then take smooth colours from their surroundings.

    Returns:
        The image with its alpha plane and metadata.

    Raises:
        RdcError: the file is missing, not an image, damaged, too large, needs a plugin that is not
            installed, or has samples out of range.
    """
    source, name = _source_of(path_or_file)
    try:
        if not isinstance(source, io.BytesIO) and not Path(source).is_file():
            source = io.BytesIO(Path(source).read_bytes())  # a pipe can be read only once
        return _read(source, max_pixels, None if keep_alpha else background, name)
    except RdcError:
        raise
    except FileNotFoundError:
        raise RdcError(f"no such image: {name}") from None
    except (IsADirectoryError, PermissionError) as error:
        raise RdcError(f"cannot open {name}: {error.strerror}") from None
    except Image.DecompressionBombError:
        raise RdcError(f"{name} has too many pixels; scale it down or cut it up") from None
    except Exception as error:  # a decoder may raise anything on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RdcError(f"{name} is a damaged image: {reason}") from error


def from_pillow(image: Image.Image, name: str = "the PIL image") -> LoadedImage:
    """Converts an image that Pillow holds, as `read_image` does from a file; alpha is kept.

    Raises RdcError if its samples are out of range, or its file cannot be read.
    """
    try:
        copy = image.copy()  # loads the file; the user's image stays as it is
        return _convert(copy, lambda: copy, None, name)
    except RdcError:
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RdcError(f"{name} cannot be read: {reason}") from error


def _source_of(path_or_file: str | Path | BinaryIO) -> tuple[str | Path | io.BytesIO, str]:
    """Returns a path or the bytes of an open file, and the name to use in error messages."""
    if str(path_or_file) == "-":
        return io.BytesIO(sys.stdin.buffer.read()), "standard input"
    if isinstance(path_or_file, str | Path):
        return path_or_file, f"'{path_or_file}'"
    if not hasattr(path_or_file, "read"):
        raise RdcError(f"give the path of an image or an open file, not {path_or_file!r:.60}")
    name = f"'{getattr(path_or_file, 'name', 'the given file')}'"
    if isinstance(path_or_file, io.TextIOBase):
        raise RdcError(f"{name} is open as text; open it for reading bytes, with mode 'rb'")
    return io.BytesIO(path_or_file.read()), name


def _read(
    source: str | Path | io.BytesIO, max_pixels: int, background: int | None, name: str
) -> LoadedImage:
    """Opens and converts an image; see `_convert`."""
    with warnings.catch_warnings():
        # Pillow warns of harmless oddities only: real damage raises an exception.
        warnings.filterwarnings("ignore", module=r"PIL\b|pillow_(jxl|heif)\b")
        beginning = _beginning(source)
        plugin = formats.plugin_for(beginning)
        if plugin and not formats.register(plugin):
            raise RdcError(f"reading {name} needs {plugin[1]}: {formats.EXTRA}")
        again = functools.partial(_opened, source)
        try:
            with _pillows_limit_lifted(max_pixels), again() as image:
                _check_readable(image, max_pixels, name)
                return _convert(image, again, background, name)
        except UnidentifiedImageError:
            hint = ""
            if beginning[:4] in (b"II*\0", b"MM\0*"):
                hint = " of TIFF; store it with 8 or 16 bits per channel, grey or RGB"
            raise RdcError(f"{name} is not an image in a known format{hint}") from None


def _opened(source: str | Path | io.BytesIO) -> ImageFile.ImageFile:
    if isinstance(source, io.BytesIO):
        return Image.open(io.BytesIO(source.getbuffer()))
    return Image.open(source)


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


def _beginning(path_or_file: str | Path | io.BytesIO) -> bytes:
    if isinstance(path_or_file, io.BytesIO):
        return bytes(path_or_file.getbuffer()[:32])
    with open(path_or_file, "rb") as file:
        return file.read(32)


def _convert(
    image: Image.Image, again: Callable[[], Image.Image], background: int | None, name: str
) -> LoadedImage:
    """Converts an opened image. With `background` None, alpha is kept separately.

    `again` opens the same file once more, and `name` is for error messages.
    """
    mode = image.mode
    wide = wide_samples.read(image, again, name)
    colour, alpha = _of_samples(*wide) if wide else _of_octets(image)
    held = metadata.of_file(image)
    colour, held["icc"] = _with_usable_profile(colour, held["icc"])
    turn = orientation.orientation(image)
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
    return LoadedImage(pixels=pixels, grey=grey, alpha=plane, source_mode=mode, **held)


def _of_samples(
    samples: np.ndarray, alpha: np.ndarray | None
) -> tuple[Image.Image, Image.Image | None]:
    grey = samples.shape[-1] == 1
    colour = Image.fromarray(samples[..., 0] if grey else np.ascontiguousarray(samples))
    return colour, None if alpha is None else Image.fromarray(np.ascontiguousarray(alpha))


def _of_octets(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Splits an image of 8 bits or fewer into colour and alpha.

    Colour has mode RGB or L; CMYK, LAB, HSV and YCbCr stay unchanged. Alpha has mode L.
    """
    image.load()
    if image.mode in _OTHER_SPACES:
        return image, None
    colour = "L" if image.mode in _GREY_MODES else "RGB"
    if not image.has_transparency_data:
        return image.convert(colour), None
    apart = image.convert("RGBA")
    return apart.convert("RGB").convert(colour), apart.getchannel("A")


def _with_usable_profile(
    colour: Image.Image, profile: bytes | None
) -> tuple[Image.Image, bytes | None]:
    """Converts pixels to sRGB where the codec needs it; otherwise keeps pixels and profile.

    Returns an image of mode RGB or L, and its profile or None for sRGB.
    """
    if colour.mode in ("RGB", "L"):
        if not profile or not colour_profiles.unusual_tones(profile):
            return colour, profile
        converted = colour_profiles.to_srgb(colour, profile)
        if converted is None:
            return colour, profile
        return converted.convert(colour.mode), None
    converted = None
    if profile or colour.mode == "LAB":
        converted = colour_profiles.to_srgb(colour, profile)
    return (colour.convert("RGB") if converted is None else converted), None
