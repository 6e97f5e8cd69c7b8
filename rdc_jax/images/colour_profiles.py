"""ICC profiles: names, tone curves, and conversion of pixels to sRGB with Little CMS."""

import io

import numpy as np
from PIL import Image

_USUAL_LIGHTNESS = (40.0, 68.0)  # range of CIE L* (0 to 100) of the middle value, 128 of 255
_SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK", b"Lab ": "LAB"}


def pixel_mode(profile: bytes) -> str | None:
    """Returns the Pillow mode of the pixels a profile describes; None if unknown or damaged."""
    return _SPACES.get(profile[16:20]) if profile[36:40] == b"acsp" else None


def description(profile: bytes) -> str | None:
    """Returns the human-readable name of a profile, or None if the profile is damaged."""
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError, UnicodeError):
        return None
    return " ".join(name.split()) or None


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """Converts an image to sRGB with the perceptual rendering intent.

    Args:
        image: Image in the mode and colours of `profile`.
        profile: ICC profile, or None for an image in CIE Lab.

    Returns:
        Image of mode RGB. None if the profile is damaged or describes pixels of another mode.
    """
    from PIL import ImageCms

    source: ImageCms.ImageCmsProfile | ImageCms.core.CmsProfile
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
    """Returns True if the profile's tone curve is far from perceptually uniform.

    The codec's noise is about the same for dark and bright values. That suits the curves of sRGB,
    Display P3 and Adobe RGB (L* 53 to 54 at the middle value) and ProPhoto (61). It does not suit
    linear light (76) or HDR curves (8 to 35).
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
        shown = np.asarray(ImageCms.applyTransform(middle, transform))
        lightness = float(shown[0, 0, 0]) * 100 / 255
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return not _USUAL_LIGHTNESS[0] <= lightness <= _USUAL_LIGHTNESS[1]
