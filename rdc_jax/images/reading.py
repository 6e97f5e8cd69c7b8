"""Any picture file -> upright 8-bit pixels with alpha and metadata."""

import contextlib
import io
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

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
"""Largest image that is read by default; Pillow itself refuses more."""

_GREY_MODES = ("1", "L", "LA", "La", "F", *wide_samples.GREY_MODES)
_OTHER_SPACES = ("CMYK", "LAB", "HSV", "YCbCr")
_limit_lock = threading.Lock()
_limits_before: list[int | None] = []  # Pillow's, one for each read that goes on with it lifted


def read_image(
    path_or_file: str | Path | BinaryIO,
    *,
    background: int = transparency.WHITE,
    max_pixels: int = MAX_PIXELS,
    keep_alpha: bool = False,
) -> LoadedImage:
    """Reads any image that Pillow can read as upright 8-bit RGB.

    Grey is repeated over the channels, palettes are looked up, 16-bit samples and float samples of
    0..1 are rounded to 8 bits. CMYK and Lab are taken to sRGB, through their profile if they have
    one, and so are pixels whose profile has a tone curve far from sRGB's, such as linear light;
    other profiles are kept with the values as they are. Of an animation the first frame is read,
    of a TIFF file the first page. docs/pictures.md has the table.

    Args:
        path_or_file: path, "-" for standard input, or a file opened for reading bytes.
        background: grey value 0 to 255 below transparent pixels.
        max_pixels: larger images are refused before they are decoded. Pillow's own limit holds,
            too, unless this is above MAX_PIXELS.
        keep_alpha: keep transparency apart, nothing laid on the background; pixels that are
            transparent altogether take smooth colours of their neighbourhood.

    Raises:
        RdcError: the file is missing, not an image, damaged, too large, needs a plugin that is not
            installed, or holds samples out of range.
    """
    if str(path_or_file) == "-":
        path_or_file, name = io.BytesIO(sys.stdin.buffer.read()), "standard input"
    elif isinstance(path_or_file, str | Path):
        name = f"'{path_or_file}'"
    else:
        name = f"'{getattr(path_or_file, 'name', 'the given file')}'"
        path_or_file = io.BytesIO(path_or_file.read())

    beginning = b""
    try:
        if not isinstance(path_or_file, io.BytesIO) and not Path(path_or_file).is_file():
            path_or_file = io.BytesIO(Path(path_or_file).read_bytes())  # a pipe is read once
        with warnings.catch_warnings():
            # Damage is an error or harmless.
            warnings.filterwarnings("ignore", module=r"PIL\b|pillow_(jxl|heif)\b")
            beginning = _beginning(path_or_file)
            plugin = formats.plugin_for(beginning)
            if plugin and not formats.register(plugin):
                raise RdcError(f"reading {name} needs {plugin[1]}: {formats.EXTRA}")

            def opened() -> Image.Image:
                if isinstance(path_or_file, io.BytesIO):
                    return Image.open(io.BytesIO(path_or_file.getbuffer()))
                return Image.open(path_or_file)

            with _pillows_limit_lifted(max_pixels), opened() as picture:
                if picture.width * picture.height > max_pixels:
                    raise RdcError(
                        f"{name} has {picture.width} x {picture.height} pixels, more than the "
                        f"limit of {max_pixels}; scale it down or cut it up"
                    )
                if picture.format == "EPS":  # Pillow would start another program to draw it
                    raise RdcError(f"{name} is a drawing (EPS); make a picture of it first")
                return _convert(picture, opened, None if keep_alpha else background, name)
    except RdcError:
        raise
    except UnidentifiedImageError:
        mend = ""
        if beginning[:4] in (b"II*\0", b"MM\0*"):
            mend = " of TIFF; store it with 8 or 16 bits per channel, grey or RGB"
        raise RdcError(f"{name} is not an image in a known format{mend}") from None
    except FileNotFoundError:
        raise RdcError(f"no such image: {name}") from None
    except (IsADirectoryError, PermissionError) as error:
        raise RdcError(f"cannot open {name}: {error.strerror}") from None
    except Image.DecompressionBombError:
        raise RdcError(f"{name} has too many pixels; scale it down or cut it up") from None
    except Exception as error:  # a decoder may raise anything on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RdcError(f"{name} is a damaged image: {reason}") from error


@contextlib.contextmanager
def _pillows_limit_lifted(max_pixels: int) -> Iterator[None]:
    """Lets Pillow open what a caller wants who expects more than by default.

    Pillow has one limit for all threads: it comes back when the last of these reads ends.
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
    picture: Image.Image, again: Callable[[], Image.Image], background: int | None, name: str
) -> LoadedImage:
    """The picture of an opened file; background None: alpha is kept."""
    mode = picture.mode
    wide = wide_samples.read(picture, again, name)
    colour, alpha = _of_samples(*wide) if wide else _of_octets(picture)
    held = metadata.of_file(picture)
    colour, held["icc"] = _with_usable_profile(colour, held["icc"])
    turn = orientation.orientation(picture)
    pixels = np.array(orientation.upright(colour, turn).convert("RGB"))
    plane = None
    if alpha is not None and alpha.getextrema()[0] < 255:
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


def _of_octets(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colour (RGB, L, or another space as it is) and alpha (L) of a file of 8 bits or fewer."""
    picture.load()
    if picture.mode in _OTHER_SPACES:
        return picture, None
    colour = "L" if picture.mode in _GREY_MODES else "RGB"
    if not picture.has_transparency_data:
        return picture.convert(colour), None
    apart = picture.convert("RGBA")
    return apart.convert("RGB").convert(colour), apart.getchannel("A")


def _with_usable_profile(
    colour: Image.Image, profile: bytes | None
) -> tuple[Image.Image, bytes | None]:
    """Pixels RGB or L as they are with their profile, or in sRGB without one."""
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
