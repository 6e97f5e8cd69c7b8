"""Orientation: applied to the pixels, and then set to 1 in EXIF and XMP, one value in place."""

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
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # types of TIFF values that an orientation may have
_XMP = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>)\s*)[2-8]""")


def orientation(picture: Image.Image) -> int:
    """1 to 8, of a loaded picture, as its EXIF says, else its XMP; 1 where it is not to be used.

    Pillow's TIFF reader and the plugin for HEIC have applied it before. In JPEG XL the pixels are
    upright by definition, whatever the EXIF block says.
    """
    if picture.format == "JXL":
        return 1
    try:
        value = picture.getexif().get(TAG, 1)
    except Exception:  # a damaged block is kept as it is, and says nothing
        return 1
    return value if value in _METHODS else 1


def upright(image: Image.Image, value: int) -> Image.Image:
    """The picture of an orientation 1 to 8, upright."""
    return image.transpose(_METHODS[value]) if value in _METHODS else image


def upright_exif(exif: bytes) -> bytes:
    """The block with the orientation of its first directory set to 1; no other byte changes.

    exif: from the byte order mark on. A damaged block is returned as it is.
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
    """The packet with each tiff:Orientation set to 1; no other byte changes."""
    return _XMP.sub(rb"\g<1>1", xmp)
