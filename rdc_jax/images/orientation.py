"""Image orientation: applied to the pixels, then set to 1 in EXIF and XMP.

Only the orientation value is overwritten. All other metadata bytes stay.
"""

import re
import struct

from PIL import Image

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
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # TIFF value types an orientation may have, for struct
_XMP = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>)\s*)[2-8]""")


def orientation(image: Image.Image) -> int:
    """Returns the orientation, 1 to 8, of a loaded image from its EXIF or else its XMP.

    Returns 1 if the pixels are already upright. Pillow's TIFF reader and the HEIC plugin turn the
    pixels themselves. JPEG XL pixels are upright by definition, even if EXIF says otherwise.
    """
    if image.format == "JXL":
        return 1
    try:
        value = image.getexif().get(TAG, 1)
    except Exception:  # a damaged EXIF block is kept unchanged and its orientation is ignored
        return 1
    return value if value in _METHODS else 1


def upright(image: Image.Image, value: int) -> Image.Image:
    """Turns an image with EXIF orientation `value`, 1 to 8, upright."""
    return image.transpose(_METHODS[value]) if value in _METHODS else image


def upright_exif(exif: bytes) -> bytes:
    """Sets the orientation in the first directory of an EXIF block to 1. No other byte changes.

    `exif` starts with the byte order mark. A damaged block is returned unchanged.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return exif
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, directory)
        for number in range(entries):
            entry = directory + 2 + 12 * number
            tag, kind, count = struct.unpack_from(f"{order}HHI", exif, entry)
            if tag == TAG and count == 1 and kind in _INTEGERS and entry + 12 <= len(exif):
                patched = bytearray(exif)
                struct.pack_into(f"{order}{_INTEGERS[kind]}", patched, entry + 8, 1)
                return bytes(patched)
    except struct.error:
        pass
    return exif


def upright_xmp(xmp: bytes) -> bytes:
    """Sets each tiff:Orientation in an XMP packet to 1. No other byte changes."""
    return _XMP.sub(rb"\g<1>1", xmp)
