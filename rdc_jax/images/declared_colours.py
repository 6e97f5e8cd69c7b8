"""Colours that a file describes without an ICC profile: the profile that says the same.

PNG              cICP, sRGB, gAMA, cHRM
AVIF, HEIC       nclx
TIFF             WhitePoint, PrimaryChromaticities, TransferFunction
BMP              calibrated colours, embedded profile
QOI              linear light
EXIF             ColorSpace and InteroperabilityIndex of cameras that are set to Adobe RGB
"""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from rdc_jax.images import code_points, exif_block
from rdc_jax.images.code_points import SRGB_CURVE, SRGB_PRIMARIES
from rdc_jax.images.icc_writer import Colours, Curve

XY = tuple[float, float]
Primaries = tuple[XY, XY, XY, XY]  # CIE xy of red, green, blue and white
ADOBE_RGB = Colours(
    "Adobe RGB (1998) compatible",
    *((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), SRGB_PRIMARIES[3]),
    curves=(Curve(563 / 256),),
)
_WHITE_POINT, _PRIMARIES, _TRANSFER = 318, 319, 301  # tags of TIFF and EXIF
_COLOR_SPACE, _GAMMA, _INTEROPERABILITY_INDEX = 0xA001, 0xA500, 1
_SRGB, _ADOBE = 1, 2  # values of ColorSpace; the second is not standard but in use
_USUAL_GAMMA = 2.2  # with the primaries of sRGB, what older programs write for sRGB
_GAMMAS = 0.2, 10.0
_TABLE = 1024  # largest number of steps of a tone curve


def of_png(info: Mapping[Any, Any]) -> Colours | None:
    """Returns the colours of gAMA and cHRM; None for sRGB, or if neither is there.

    Args:
        info: "gamma" and "chromaticity" as in Pillow's `Image.info`.

    Raises:
        ValueError: the numbers describe no colour space.
    """
    gamma, corners = info.get("gamma"), info.get("chromaticity")
    primaries = SRGB_PRIMARIES
    if corners is not None:
        white, red, green, blue = zip(corners[::2], corners[1::2], strict=True)
        primaries = red, green, blue, white
    return _of_numbers(
        "Colours of the PNG file", primaries, None if gamma is None else _over(gamma)
    )


def of_code_points(found: tuple[int, int] | None) -> Colours | None:
    """As `code_points.colours`, but None for sRGB too."""
    colours = None if found is None else code_points.colours(*found)
    return None if colours is None or _is_srgb(colours) else colours


def of_tiff(tags: Mapping[int, Any]) -> Colours | None:
    """Returns the colours that TIFF tags describe; None for sRGB, or without such tags.

    Raises ValueError if the numbers describe no colour space.
    """
    primaries = _primaries(tags.get(_WHITE_POINT), tags.get(_PRIMARIES))
    table = np.asarray(tags.get(_TRANSFER, ()), np.float64) / 65535
    if table.size < 2:
        return _of_numbers("Colours of the TIFF file", primaries, _USUAL_GAMMA)
    parts = 1 if (table.size & (table.size - 1)) == 0 else 3
    curves = [_curve_of_table(part) for part in np.array_split(table, parts)]
    colours = Colours("Colours of the TIFF file", *primaries, curves=tuple(curves))
    return None if _is_srgb(colours) else colours


def of_exif(exif: bytes) -> Colours | None:
    """Returns the colours that EXIF describes; None for sRGB or if nothing is said.

    Raises ValueError if the numbers describe no colour space.
    """

    def numbers(tag: int, directory: int = exif_block.IMAGE) -> tuple[float, ...]:
        found = exif_block.fields(exif, tag, directory)
        return found[0].numbers(exif) if found else ()

    space = numbers(_COLOR_SPACE, exif_block.PHOTO)[:1]
    if space == (_SRGB,):
        return None
    index = exif_block.fields(exif, _INTEROPERABILITY_INDEX, exif_block.INTEROPERABILITY)
    if space == (_ADOBE,) or (index and index[0].text(exif).strip() == "R03"):
        return ADOBE_RGB
    primaries = _primaries(numbers(_WHITE_POINT), numbers(_PRIMARIES))
    gamma = numbers(_GAMMA, exif_block.PHOTO)
    return _of_numbers("Colours of the EXIF block", primaries, gamma[0] if gamma else _USUAL_GAMMA)


def of_bmp(start: bytes) -> Colours | None:
    """Returns the calibrated colours of a BMP file's header; None without any.

    Raises ValueError if the numbers describe no colour space.
    """
    if len(start) < 122 or struct.unpack_from("<I", start, 14)[0] < 108 or start[70:74] != bytes(4):
        return None
    ends = np.array(struct.unpack_from("<9i", start, 74)).reshape(3, 3) / 2**30
    gammas = [value / 65536 for value in struct.unpack_from("<3I", start, 110)]
    if not ends.any() or not all(gammas):
        return None  # not filled in, as many programs leave it
    xy = [(x / (x + y + z), y / (x + y + z)) for x, y, z in (*ends, ends.sum(axis=0))]
    return _of_numbers("Colours of the BMP file", (xy[0], xy[1], xy[2], xy[3]), gammas[1])


def profile_of_bmp(start: bytes) -> tuple[int, int] | None:
    """Returns where the ICC profile inside a BMP file begins and ends, or None."""
    if start[:2] != b"BM" or len(start) < 138 or start[70:74] != b"DEBM":  # MBED, little-endian
        return None
    offset, size = struct.unpack_from("<II", start, 126)
    return 14 + offset, 14 + offset + size


def _primaries(white: Any, corners: Any) -> Primaries:
    """The primaries of tags; those of sRGB where a tag is missing."""
    red, green, blue, default = SRGB_PRIMARIES
    if corners and len(corners) == 6:
        red, green, blue = zip(map(float, corners[::2]), map(float, corners[1::2]), strict=True)
    if white and len(white) == 2:
        default = float(white[0]), float(white[1])
    return red, green, blue, default


def _of_numbers(name: str, primaries: Primaries, gamma: float | None) -> Colours | None:
    """Colours of one gamma, or of sRGB's curve for None; None for sRGB."""
    if gamma is not None and not _GAMMAS[0] <= gamma <= _GAMMAS[1]:
        raise ValueError(f"a gamma of {gamma:.4g} is out of range")
    usual = gamma is not None and abs(gamma - _USUAL_GAMMA) < 0.05
    if gamma is None or (usual and _same_primaries(primaries)):
        curve = SRGB_CURVE
    else:
        curve = Curve(gamma)
    colours = Colours(name, *primaries, curves=(curve,))
    if _is_srgb(colours):
        return None
    colours.to_xyz()  # raises ValueError for nonsense
    return colours


def _over(gamma: float) -> float:
    return 1 / gamma if gamma > 0 else 0.0


def _same_primaries(primaries: Primaries) -> bool:
    return bool(np.abs(np.array(primaries) - np.array(SRGB_PRIMARIES)).max() < 0.003)


def _is_srgb(colours: Colours) -> bool:
    primaries = colours.red, colours.green, colours.blue, colours.white
    return _same_primaries(primaries) and set(colours.curves) == {SRGB_CURVE}


def _curve_of_table(light: np.ndarray) -> Curve:
    """The curve of a table; sRGB's if the table is that of sRGB or of the usual gamma."""
    steps = np.linspace(0.0, 1.0, min(_TABLE, light.size))
    values = np.interp(steps, np.linspace(0.0, 1.0, light.size), light)
    straight = steps * SRGB_CURVE.c
    curved = (steps * SRGB_CURVE.a + SRGB_CURVE.b) ** SRGB_CURVE.gamma
    for known in (np.where(steps < SRGB_CURVE.knee, straight, curved), steps**_USUAL_GAMMA):
        if np.abs(values - known).max() < 0.005:
            return SRGB_CURVE
    return Curve(table=tuple(values.tolist()))
