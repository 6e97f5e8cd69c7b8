"""ICC profile, EXIF and XMP of a picture file, as bytes."""

from PIL import Image

from rdc_jax.images import orientation

EXIF_PREFIX = b"Exif\0\0"  # in JPEG before the block; not part of it
XMP_TAG = 700
# What a TIFF file says about the picture rather than about its own layout; and two directories.
_DESCRIPTIVE = (
    *(270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 18246, 33432),
    *range(40091, 40096),
)
_RESOLUTION = {282, 283, 296}
DIRECTORIES = (0x8769, 0x8825)  # EXIF and GPS


def of_file(picture: Image.Image) -> dict[str, bytes | None]:
    """icc, exif and xmp of a loaded picture; orientations set to 1.

    TIFF has no EXIF block, but directories of the same tags in the file itself: those that
    describe the picture are put in a block of their own.
    """
    info = picture.info
    exif = info.get("exif") or _exif_of_text(info.get("Raw profile type exif"))
    if not exif and hasattr(picture, "tag_v2"):
        exif = _exif_of_tiff(picture)
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode(errors="surrogateescape")
    return {
        "icc": info.get("icc_profile") or None,
        "exif": orientation.upright_exif(exif.removeprefix(EXIF_PREFIX)) if exif else None,
        "xmp": orientation.upright_xmp(xmp) if xmp else None,
    }


def descriptive(exif: Image.Exif) -> Image.Exif | None:
    """The tags that describe a picture, without those of its file's layout; None for no tags.

    A TIFF file keeps both in one directory: others would overwrite its layout.
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


def _exif_of_tiff(picture: Image.Image) -> bytes | None:
    try:
        kept = descriptive(picture.getexif())
        return None if kept is None else kept.tobytes()
    except Exception:  # tags are hints: a damaged one must not cost the picture
        return None


def _exif_of_text(text: str | None) -> bytes | None:
    """The block that older programs write into PNG as hexadecimal text below three lines."""
    try:
        return bytes.fromhex("".join(text.split("\n")[3:])) if text else None
    except ValueError:
        return None
