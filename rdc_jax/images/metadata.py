"""ICC profile, EXIF and XMP of an image file, as bytes."""

from PIL import Image

from rdc_jax.images import orientation

EXIF_PREFIX = b"Exif\0\0"  # precedes the EXIF block in JPEG files; not part of the block
XMP_TAG = 700
# TIFF tags that describe the image. All other tags describe the layout of the file.
_DESCRIPTIVE = (
    *(270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 18246, 33432),
    *range(40091, 40096),
)
_RESOLUTION = {282, 283, 296}
DIRECTORIES = (0x8769, 0x8825)  # EXIF and GPS


def of_file(image: Image.Image) -> dict[str, bytes | None]:
    """Returns icc, exif and xmp of a loaded image, with orientations set to 1.

    TIFF has no EXIF block: the same tags stand in the directories of the file itself. The tags that
    describe the image are copied into a new EXIF block.

    Args:
        image: image whose pixels are loaded (some formats read metadata only then).

    Returns:
        {"icc", "exif", "xmp"}, each bytes or None.
    """
    info = image.info
    exif = info.get("exif") or _exif_of_text(info.get("Raw profile type exif"))
    if not exif and hasattr(image, "tag_v2"):
        exif = _exif_of_tiff(image)
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode(errors="surrogateescape")
    return {
        "icc": info.get("icc_profile") or None,
        "exif": orientation.upright_exif(exif.removeprefix(EXIF_PREFIX)) if exif else None,
        "xmp": orientation.upright_xmp(xmp) if xmp else None,
    }


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


def _exif_of_text(text: str | None) -> bytes | None:
    """Reads the EXIF block that older programs write into PNG as hexadecimal text.

    Three header lines precede the hexadecimal digits.
    """
    try:
        return bytes.fromhex("".join(text.split("\n")[3:])) if text else None
    except ValueError:
        return None
