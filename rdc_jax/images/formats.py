"""The picture formats: by which ending they are known, what they can hold, how they are written."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rdc_jax.errors import RdcError

ALL_METADATA = ("icc", "exif", "xmp")
EXTRA = "pip install 'rdc_jax[formats]'"


@dataclass(frozen=True)
class Format:
    """One format that can be written.

    name: Pillow's. options: of saving. alpha, grey: whether it has a channel of transparency, and
    pictures of one channel. lossless: whether pixels come back as they were. metadata: the kinds
    it can hold. plugin: module that teaches it to Pillow, package that has this module.
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
"""What can be written, by the end of a file's name."""

WRITABLE = tuple(FORMATS)
IMAGE_EXTENSIONS = (*WRITABLE, ".gif")
"""What is taken from a folder of pictures; whatever else Pillow opens is read when it is named."""
COMMON = (".png", ".jpg", ".jpeg", ".webp")
"""What is taken where many pictures are measured or trained on: photographs, and no odd ones."""


def of_extension(extension: str, file: str | None = None) -> Format:
    """The format of an extension such as ".png", its plugin at hand.

    file: a name for the message. Raises RdcError for an extension that is unknown, or needs a
    plugin that is not installed.
    """
    found = FORMATS.get(extension.lower())
    if found is None:
        raise RdcError(
            f"cannot tell the image format of '{file or extension}'; end its name in one of "
            f"{' '.join(WRITABLE)}"
        )
    if found.plugin and not register(found.plugin):
        raise RdcError(f"writing {extension} needs {found.plugin[1]}: {EXTRA}")
    return found


def register(plugin: tuple[str, str]) -> bool:
    """Whether a plugin is installed; Pillow then knows its format."""
    try:
        module = importlib.import_module(plugin[0])
    except ImportError:
        return False
    if plugin == HEIF_PLUGIN:
        module.register_heif_opener()
    return True


def plugin_for(beginning: bytes) -> tuple[str, str] | None:
    """The plugin that reads a file with this beginning (32 bytes), None if Pillow does."""
    if beginning[:2] == b"\xff\x0a" or beginning[4:8] == b"JXL ":
        return JXL_PLUGIN
    brands = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
    if beginning[4:8] != b"ftyp" or beginning[8:12] not in brands or b"avif" in beginning:
        return None
    return HEIF_PLUGIN
