"""Image formats: file name extensions, features, and options for writing."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from rdc_jax.errors import RdcError

ALL_METADATA = ("icc", "exif", "xmp")
INSTALL = "pip install"


@dataclass(frozen=True)
class Format:
    """A format that can be written.

    Attributes:
        name: Pillow's name of the format.
        options: Keyword arguments for `Image.save`.
        alpha: True if the format has an alpha channel.
        grey: True if the format can store a single channel.
        lossless: True if decoded pixels equal the written ones.
        metadata: Kinds of metadata that fit, out of ALL_METADATA.
        plugin: Module that adds the format to Pillow, and the package to install; None if Pillow
            supports the format itself.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    alpha: bool = True
    grey: bool = True
    lossless: bool = True
    metadata: tuple[str, ...] = ALL_METADATA
    plugin: tuple[str, str] | None = None


JXL_PLUGIN = ("pillow_jxl", "pillow-jxl-plugin")
HEIF_PLUGIN = ("pillow_heif", "pillow-heif")

_JPEG = Format("JPEG", {"quality": 95, "subsampling": 0}, alpha=False, lossless=False)
_TIFF = Format("TIFF", {"compression": "tiff_deflate"})
_HEIF = Format("HEIF", {"quality": 95, "chroma": 444}, lossless=False, plugin=HEIF_PLUGIN)

FORMATS = {
    ".png": Format("PNG"),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": Format("WEBP", {"lossless": True, "exact": True}, grey=False),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".bmp": Format("BMP", alpha=False, metadata=()),
    ".ppm": Format("PPM", alpha=False, grey=False, metadata=()),
    ".avif": Format("AVIF", {"quality": 95, "subsampling": "4:4:4"}, lossless=False),
    ".jxl": Format("JXL", {"lossless": True}, metadata=("exif", "xmp"), plugin=JXL_PLUGIN),
    ".heic": _HEIF,
    ".heif": _HEIF,
}
"""Writable formats by file name extension."""

WRITABLE = tuple(FORMATS)
IMAGE_EXTENSIONS = (*WRITABLE, ".gif", ".jfif", ".jpe")
"""Extensions read from a folder. A file named explicitly may have any format Pillow can open."""
OTHER_IMAGES = (
    *(".apng", ".avifs", ".dib", ".hif", ".icns", ".ico", ".j2k", ".jp2", ".jpf", ".jps", ".mpo"),
    *(".pbm", ".pcx", ".pgm", ".pnm", ".psd", ".qoi", ".tga"),
)
"""Extensions of other images that Pillow reads; a folder's are mentioned but not taken."""
COMMON = (".png", ".jpg", ".jpeg", ".webp")
"""Extensions read from a folder for evaluation and training: the usual formats of photographs."""


def of_extension(extension: str, file: str | None = None) -> Format:
    """Returns the format of an extension such as ".png" and registers its plugin.

    Args:
        extension: File name extension with its dot, in upper or lower case.
        file: File name for the error message; by default the extension.

    Raises:
        RdcError: the extension is unknown, or needs a plugin that is not installed.
    """
    found = FORMATS.get(extension.lower())
    if found is None:
        raise RdcError(
            f"cannot tell the image format of '{file or extension}'; end its name in one of "
            f"{' '.join(WRITABLE)}"
        )
    if found.plugin and not register(found.plugin):
        raise RdcError(f"writing {extension} needs {found.plugin[1]}: {INSTALL} {found.plugin[1]}")
    return found


def is_named(path: PurePath, extensions: tuple[str, ...]) -> bool:
    """Whether a file of a folder has one of these extensions.

    Files such as "._IMG.jpg", in which macOS keeps attributes of IMG.jpg, do not count.
    """
    return path.suffix.lower() in extensions and not path.name.startswith("._")


def register(plugin: tuple[str, str]) -> bool:
    """Registers a plugin with Pillow. Returns False if the plugin is not installed."""
    try:
        module = importlib.import_module(plugin[0])
    except ImportError:
        return False
    if plugin == HEIF_PLUGIN:
        module.register_heif_opener()
    return True


def plugin_for(beginning: bytes) -> tuple[str, str] | None:
    """Returns the plugin for a file that starts with these 32 bytes, or None if not needed."""
    if beginning[:2] == b"\xff\x0a" or beginning[4:8] == b"JXL ":
        return JXL_PLUGIN
    brands = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
    if beginning[4:8] != b"ftyp" or beginning[8:12] not in brands or b"avif" in beginning:
        return None
    return HEIF_PLUGIN


def looks_like_an_image(beginning: bytes) -> bool:
    """Whether a file that Pillow cannot open starts like one of the formats it knows."""
    starts = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"8BPS")
    webp = (beginning[:4], beginning[8:12]) == (b"RIFF", b"WEBP")
    avif = beginning[4:8] == b"ftyp" and (b"avif" in beginning or b"avis" in beginning)
    return beginning.startswith(starts) or webp or avif or plugin_for(beginning) is not None
