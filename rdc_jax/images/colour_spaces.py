"""The colour space that pixels are coded in: that of the file, or sRGB where the codec needs it."""

from PIL import Image, TiffImagePlugin

from rdc_jax.images import (
    code_points,
    colour_profiles,
    declared_colours,
    icc_writer,
    isobmff,
    metadata,
)
from rdc_jax.images.source import Source

_HEADER = 138  # bytes that hold the colours of BMP files
Held = dict[str, bytes | None]


def usable(
    colour: Image.Image, held: Held, image: Image.Image, source: Source | None, notes: list[str]
) -> tuple[Image.Image, Held]:
    """Gives the pixels a profile, or converts them to sRGB where the codec needs that.

    Args:
        colour: Image of mode RGB, L, CMYK or LAB.
        held: {"icc", "exif", "xmp"} of the file.
        image: The opened image, with its format, info and tags.
        source: The file, if there is one.
        notes: Notes on what was ignored are added here.

    Returns:
        An image of mode RGB or L, and `held` with the profile of its pixels, None for sRGB.
    """
    if colour.mode in ("RGB", "L"):
        held = held | {"icc": _profile(colour.mode, held, image, source, notes)}
    converted, profile = _converted(colour, held["icc"])
    held = held | {"icc": profile}
    if converted is not colour and held["exif"]:
        held["exif"] = metadata.exif_of_srgb(held["exif"])
    return converted, held


def _profile(
    mode: str, held: Held, image: Image.Image, source: Source | None, notes: list[str]
) -> bytes | None:
    """Returns the profile that the file has, or one that says what the file says otherwise."""
    grey = mode == "L"
    try:
        found = image.info.get("cicp")
        if found is None and held["icc"] is None and source and image.format in ("AVIF", "HEIF"):
            found = isobmff.code_points(source.data())
        if found is not None and set(found) - set(code_points.UNSPECIFIED):
            colours = declared_colours.of_code_points(found)
            if found[1] in code_points.HDR:
                notes.append("is HDR; what is brighter than its reference white is clipped")
            return None if colours is None else icc_writer.profile(colours, grey)
    except ValueError as error:
        notes.append(f"describes its colours in a way that is ignored: {error}")
    if held["icc"] or "srgb" in image.info:
        return held["icc"]
    try:
        start = source.start(_HEADER) if source and image.format == "BMP" else b""
        if source and (place := declared_colours.profile_of_bmp(start)):
            return source.data()[slice(*place)] or None
        colours = _of_format(image, start) or declared_colours.of_exif(held["exif"] or b"")
        return None if colours is None else icc_writer.profile(colours, grey)
    except ValueError as error:
        notes.append(f"describes its colours in a way that is ignored: {error}")
        return None


def _of_format(image: Image.Image, start: bytes) -> icc_writer.Colours | None:
    """Returns the colours that the file's own header or tags describe."""
    if image.format == "BMP":
        return declared_colours.of_bmp(start)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return declared_colours.of_tiff(image.tag_v2)
    return declared_colours.of_png(image.info)


def _converted(colour: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Converts pixels to sRGB where the codec needs it; otherwise keeps pixels and profile."""
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
