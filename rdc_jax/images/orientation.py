"""Image orientation: applied to the pixels, then set to 1 in EXIF and XMP.

The same parser finds the value that is applied and the one that is overwritten. All other metadata
bytes stay.
"""

import re

from PIL import Image

from rdc_jax.images import exif_block

TAG = 0x0112  # of TIFF and EXIF
_METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_XMP = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>)\s*)([1-8])""")


def orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """Returns the orientation, 1 to 8, that EXIF or else XMP gives; 1 if neither does.

    Of AVIF, give EXIF only: Pillow writes the orientation of the file into it.
    """
    for field in exif_block.fields(exif, TAG) if exif else ():
        values = field.numbers(exif or b"")
        if values and (values[0] == 1 or values[0] in _METHODS):
            return int(values[0])
    found = _XMP.search(xmp) if xmp else None
    return int(found[2]) if found else 1


def is_decided(image: Image.Image) -> bool:
    """Whether the pixels of an opened image will be upright once they are loaded.

    Pillow's TIFF reader and the HEIC plugin turn the pixels themselves. JPEG XL pixels are upright
    by definition, even if EXIF says otherwise.
    """
    if image.format == "TIFF":
        try:
            return TAG in image.getexif()
        except Exception:  # a damaged directory, whose orientation Pillow does not find either
            return True
    return image.format in ("JXL", "HEIF")


def upright(image: Image.Image, value: int) -> Image.Image:
    """Turns an image with EXIF orientation `value`, 1 to 8, upright."""
    return image.transpose(_METHODS[value]) if value in _METHODS else image


def upright_exif(exif: bytes) -> bytes:
    """Sets each orientation in the first directory of an EXIF block to 1.

    No other byte changes. `exif` starts with the byte order mark. A damaged block is returned
    unchanged.
    """
    patched = bytearray(exif)
    for field in exif_block.fields(exif, TAG):
        if field.form != "s":
            field.set_to(patched, 1)
    return bytes(patched)


def upright_xmp(xmp: bytes) -> bytes:
    """Sets each tiff:Orientation in an XMP packet to 1. No other byte changes."""
    return _XMP.sub(rb"\g<1>1", xmp)
