"""ICC profiles: what they are called, and pixels taken to sRGB through them (by Little CMS)."""

import io

from PIL import Image

_USUAL_LIGHTNESS = (40.0, 68.0)  # L* of the middle value, 128 of 255
_SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK", b"Lab ": "LAB"}


def pixel_mode(profile: bytes) -> str | None:
    """Pillow's mode of the pixels that a profile describes, None for others or a damaged one."""
    return _SPACES.get(profile[16:20]) if profile[36:40] == b"acsp" else None


def description(profile: bytes) -> str | None:
    """The name that a profile has for people, None if it is damaged."""
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError, UnicodeError):
        return None
    return " ".join(name.split()) or None


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """A picture in sRGB, mode RGB, of one in the mode and the colours of its profile.

    Perceptual intent. profile None: of CIE Lab itself. None where the profile is damaged or is
    one of other pixels.
    """
    from PIL import ImageCms

    try:
        if profile is None:
            source = ImageCms.createProfile("LAB")
        elif pixel_mode(profile) != image.mode:
            return None
        else:
            source = ImageCms.getOpenProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def unusual_tones(profile: bytes) -> bool:
    """Whether values under a profile are far from evenly spaced to the eye, as linear ones are.

    The codec's noise is about the same for dark and bright values, which suits the curves of sRGB,
    Display P3, Adobe RGB (L* 53 to 54 at the middle value) and ProPhoto (61), not linear light
    (76) or the curves of HDR (8 to 35).
    """
    from PIL import ImageCms

    mode = pixel_mode(profile)
    if mode not in ("RGB", "L"):
        return False
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        lab = ImageCms.createProfile("LAB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(source, lab, mode, "LAB", renderingIntent=intent)
        middle = Image.new(mode, (1, 1), (128,) * len(mode))
        lightness = ImageCms.applyTransform(middle, transform).getpixel((0, 0))[0] * 100 / 255
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return not _USUAL_LIGHTNESS[0] <= lightness <= _USUAL_LIGHTNESS[1]
