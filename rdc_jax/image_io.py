"""Image files in and out, and the one place where 8-bit pixels meet the model's range."""

import io
import os
import secrets
import stat
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rdc_jax.errors import RdcError

MAX_PIXELS = 178_956_970
"""Largest image that is read by default; Pillow itself refuses more."""

_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N")
_WIDE_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_FORMATS = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
    ".bmp": ("BMP", {}),
    ".ppm": ("PPM", {}),
}


@dataclass(frozen=True)
class Picture:
    """A decoded image file.

    Attributes:
        pixels: uint8 [height, width, 3], RGB, upright.
        grey: whether the file held one luma channel (its three channels here are equal).
        icc: ICC profile of the pixels, if the file has one that still applies to them.
        exif: EXIF block with its orientation tag removed (it is applied to the pixels).
        xmp: XMP packet, its orientation removed too.
        source_mode: Pillow's name of the file's pixel layout, such as "RGB", "P" or "I;16".
    """

    pixels: np.ndarray
    grey: bool
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    source_mode: str


def read_image(
    path_or_file: str | Path | BinaryIO, *, background: int = 255, max_pixels: int = MAX_PIXELS
) -> Picture:
    """Reads any image that Pillow can read as upright 8-bit RGB.

    Grey is repeated over the channels and palettes are looked up. 16-bit grey is scaled to 8 bits
    and rounded; of 16-bit colour Pillow keeps the high bytes. Transparent pixels are composited
    over `background`. CMYK and other colour spaces are converted without their profile, which
    is dropped. Of an animation the first frame is read.

    Args:
        path_or_file: path, "-" for standard input, or a file opened for reading bytes.
        background: grey value 0 to 255 below transparent pixels.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        RdcError: the file is missing, not an image, damaged, too large, or holds float pixels.
    """
    if str(path_or_file) == "-":
        path_or_file = io.BytesIO(sys.stdin.buffer.read())
        name = "standard input"
    elif isinstance(path_or_file, str | Path):
        name = f"'{path_or_file}'"
    else:
        name = f"'{getattr(path_or_file, 'name', 'the given file')}'"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\b")  # damage is an error or harmless
            with Image.open(path_or_file) as picture:
                if picture.width * picture.height > max_pixels:
                    raise RdcError(
                        f"{name} has {picture.width} x {picture.height} pixels, more than the "
                        f"limit of {max_pixels}; scale it down or cut it up"
                    )
                return _convert(picture, background, name)
    except RdcError:
        raise
    except UnidentifiedImageError:
        raise RdcError(f"{name} is not an image in a known format") from None
    except FileNotFoundError:
        raise RdcError(f"no such image: {name}") from None
    except (IsADirectoryError, PermissionError) as error:
        raise RdcError(f"cannot open {name}: {error.strerror}") from None
    except Image.DecompressionBombError:
        raise RdcError(f"{name} has too many pixels; scale it down or cut it up") from None
    except Exception as error:  # a decoder may raise anything on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RdcError(f"{name} is a damaged image: {reason}") from error


def checked_pixels(pixels: np.ndarray, grey: bool = False) -> tuple[np.ndarray, bool]:
    """Pixels as an encoder takes them, uint8 [height, width, 3], and whether they are grey.

    Args:
        pixels: uint8 [height, width, 3], or [height, width] for grey.
        grey: whether three channels are known to be equal.

    Raises:
        RdcError: something else was given, such as a path.
    """
    if isinstance(pixels, str | os.PathLike):
        raise RdcError(
            "encoding takes pixels, not a path: pass "
            f"rdc_jax.image_io.read_image({str(pixels)!r}).pixels"
        )
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise RdcError(f"pixels must be uint8 [H,W,3], not {pixels.dtype} {pixels.shape}")
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=-1), True
    if pixels.shape[-1] != 3:
        raise RdcError(f"pixels must have 3 channels, not {pixels.shape[-1]}")
    return pixels, grey


def _convert(picture: Image.Image, background: int, name: str) -> Picture:
    mode = picture.mode
    if mode == "F":
        raise RdcError(f"{name} holds float pixels; convert it to 8 or 16 bits per channel")
    picture.load()
    picture = ImageOps.exif_transpose(picture)
    info = picture.info
    if mode in _WIDE_MODES:
        wide = np.clip(np.asarray(picture).astype(np.int64), 0, 65535)
        picture = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
        behind = Image.new("RGBA", picture.size, (background,) * 3 + (255,))
        picture = Image.alpha_composite(behind, picture)
    pixels = np.array(picture.convert("RGB"))
    grey = mode in _GREY_MODES
    if mode == "P":
        grey = bool(np.all(pixels == pixels[..., :1]))
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
    same_colours = mode in (*_GREY_MODES, "P", "PA", "RGB", "RGBA", "RGBa", "RGBX")
    return Picture(
        pixels=pixels,
        grey=grey,
        icc=(info.get("icc_profile") or None) if same_colours else None,
        exif=info.get("exif") or None,
        xmp=xmp.encode() if isinstance(xmp, str) else xmp or None,
        source_mode=mode,
    )


def write_image(
    path: str | Path, pixels: np.ndarray, *, grey: bool = False, overwrite: bool = False
) -> None:
    """Writes pixels in the format of the path's extension: png, jpg, webp, tif, bmp or ppm.

    All but jpg (quality 95, full chroma) are lossless.

    Args:
        path: output file.
        pixels: uint8 [height, width, 3].
        grey: store one luma channel instead of three (webp and ppm always have three).
        overwrite: replace an existing file.

    Raises:
        RdcError: unknown extension, image too large for the format, or see `atomic_write`.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels must be uint8 [h, w, 3], got {pixels.dtype} {pixels.shape}")
    path = Path(path)
    try:
        file_format, options = _FORMATS[path.suffix.lower()]
    except KeyError:
        raise RdcError(
            f"cannot tell the image format of '{path}'; end its name in one of {' '.join(_FORMATS)}"
        ) from None
    picture = Image.fromarray(pixels)
    if grey and file_format != "PPM":
        picture = picture.convert("L")
    encoded = io.BytesIO()
    try:
        picture.save(encoded, file_format, **options)
    except (OSError, ValueError) as error:
        raise RdcError(
            f"cannot store {pixels.shape[1]} x {pixels.shape[0]} pixels as {file_format}: {error}"
        ) from None
    atomic_write(path, encoded.getvalue(), overwrite=overwrite)


def to_model(pixels: np.ndarray) -> np.ndarray:
    """uint8 pixels -> float32 in [-1, 1], x / 127.5 - 1; jitted code uses the same formula."""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1.0)


def to_pixels(values: np.ndarray) -> np.ndarray:
    """Model values -> uint8 pixels: the inverse of `to_model`, rounded and clipped to [0, 255].

    Raises:
        RdcError: when a value is not a number.
    """
    scaled = (np.asarray(values, np.float32) + np.float32(1.0)) * np.float32(127.5)
    if np.isnan(scaled).any():
        raise RdcError("the reconstruction has values that are not numbers; check the weights")
    return np.clip(np.round(scaled), 0, 255).astype(np.uint8)


def atomic_write(path: str | Path, data: bytes, *, overwrite: bool) -> None:
    """Writes a whole file or nothing: into a temporary file beside it, then renamed.

    Args:
        path: output file; "-" is standard output. Devices and pipes are written to directly.
        data: its content.
        overwrite: replace an existing file.

    Raises:
        RdcError: the file exists and may not be replaced, or cannot be written.
    """
    if str(path) == "-":
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise RdcError(f"cannot write to standard output: {error.strerror}") from None
        return
    path = Path(path)
    temporary = None
    try:
        kind = stat.S_IFMT(path.stat().st_mode) if path.exists() else None
        if kind == stat.S_IFDIR:
            raise RdcError(f"the output '{path}' is a folder; name a file in it")
        if kind == stat.S_IFREG and not overwrite:
            raise RdcError(f"the output '{path}' exists; allow overwriting or choose another name")
        if kind not in (stat.S_IFREG, None):
            path.write_bytes(data)
            return
        target = Path(os.path.realpath(path))  # a link keeps pointing to the file it names
        if not target.parent.is_dir():
            raise RdcError(f"the folder of the output '{path}' does not exist; create it first")
        temporary = target.with_name(f".rdc-{secrets.token_hex(8)}.tmp")
        with open(temporary, "xb") as file:
            file.write(data)
        os.replace(temporary, target)
    except OSError as error:
        _remove(temporary)
        raise RdcError(f"cannot write '{path}': {error.strerror or error}") from None
    except BaseException:
        _remove(temporary)
        raise


def _remove(temporary: Path | None) -> None:
    if temporary is not None:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            pass
