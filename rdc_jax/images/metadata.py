"""ICC profile, EXIF and XMP of an image file, as bytes."""

from collections.abc import Mapping
from typing import Any

from PIL import Image

from rdc_jax.images import exif_block, orientation, xmp_packet

EXIF_PREFIX = b"Exif\0\0"  # precedes the EXIF block in JPEG files; not part of the block
XMP_TAG = 700
# TIFF tags that describe the image. All other tags describe the layout of the file.
_DESCRIPTIVE = (
    *(270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 18246, 33432),
    *range(40091, 40096),
)
_RESOLUTION = {282, 283, 296}
_COLOR_SPACE, _SRGB = 0xA001, 1
DIRECTORIES = (0x8769, 0x8825)  # EXIF and GPS


def of_file(
    image: Image.Image, info: Mapping[Any, Any], notes: list[str]
) -> dict[str, bytes | None]:
    """Returns icc, exif and xmp of a loaded image.

    TIFF has no EXIF block: the same tags stand in the directories of the file itself. The tags that
    describe the image are copied into a new EXIF block. What XMP says of other parts of the file,
    such as a video or a gain map, is removed, because those parts are not kept.

    Args:
        image: Image whose pixels are loaded (some formats read metadata only then).
        info: What Pillow and we found in the file, by Pillow's names.
        notes: Notes on what was removed are added here.

    Returns:
        {"icc", "exif", "xmp"}, each bytes or None.
    """
    exif = info.get("exif") or _of_text(info, "exif") or _of_text(info, "APP1")
    if not exif and hasattr(image, "tag_v2"):
        exif = _exif_of_tiff(image)
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or _of_text(info, "xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode(errors="surrogateescape")
    if xmp:
        kept = xmp_packet.without_parts(xmp)
        if kept != xmp:
            notes.append("has a gain map, video or depth map beside its pixels, which is not kept")
        xmp = kept
    icc = info.get("icc_profile") or _of_text(info, "icc") or _of_text(info, "icm")
    return {
        "icc": icc or None,
        "exif": exif.removeprefix(EXIF_PREFIX) if exif else None,
        "xmp": xmp or None,
    }


def upright(held: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """Sets the orientations in {"icc", "exif", "xmp"} to 1."""
    exif, xmp = held["exif"], held["xmp"]
    return {
        "icc": held["icc"],
        "exif": orientation.upright_exif(exif) if exif else None,
        "xmp": orientation.upright_xmp(xmp) if xmp else None,
    }


def exif_of_srgb(exif: bytes) -> bytes:
    """Makes an EXIF block say sRGB, for pixels that were converted. No other byte changes."""
    patched = bytearray(exif)
    for field in exif_block.fields(exif, _COLOR_SPACE, exif_block.PHOTO):
        if field.form != "s":
            field.set_to(patched, _SRGB)
    for field in exif_block.fields(exif, 1, exif_block.INTEROPERABILITY):
        if field.text(exif) == "R03":
            patched[field.offset : field.offset + 3] = b"R98"
    return bytes(patched)


def descriptive(exif: Image.Exif) -> Image.Exif | None:
    """Returns only the tags that describe an image, or None if there are none.

    A TIFF file keeps tags of the image and of the file layout in one directory. Layout tags must
    not be copied, because they would overwrite the layout of the new file. Resolution tags alone
    count as no tags.
    """
    kept = Image.Exif()
    for tag in _DESCRIPTIVE:
        if tag in exif:
            kept[tag] = exif[tag]
    for tag in DIRECTORIES:
        if directory := exif.get_ifd(tag):
            kept.get_ifd(tag).update(directory)
            kept[tag] = dict(directory)
    return kept if set(kept) - _RESOLUTION else None


def _exif_of_tiff(image: Image.Image) -> bytes | None:
    try:
        kept = descriptive(image.getexif())
        return None if kept is None else kept.tobytes()
    except Exception:  # a damaged tag must not make the image unreadable
        return None


def _of_text(info: Mapping[Any, Any], kind: str) -> bytes | None:
    """Reads a block that older programs write into PNG as hexadecimal text.

    Three header lines precede the hexadecimal digits.
    """
    text = info.get(f"Raw profile type {kind}")
    try:
        block = bytes.fromhex("".join(text.split("\n")[3:])) if text else None
    except ValueError:
        return None
    # APP1 holds EXIF or XMP, whose beginnings differ.
    return None if kind == "APP1" and block and not block.startswith(EXIF_PREFIX) else block
