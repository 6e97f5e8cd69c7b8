"""What a TIFF file declares about its samples, compared with what is read right.

Pillow reads some layouts wrongly without an error: it ignores that white is zero in 16 bits and in
floats, takes signed samples for unsigned ones, and mixes up planes. `READ` lists the layouts that
are read right, by Pillow or with the help of `wide_samples`. All others are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from rdc_jax.errors import RdcError

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
COLORMAP = TiffImagePlugin.COLORMAP
_BIG = (b"II+\0", b"MM\0+")
_NAMES = {
    **{0: "grey (white is zero)", 1: "grey", 2: "RGB", 3: "palette", 4: "transparency mask"},
    **{5: "CMYK", 6: "YCbCr", 8: "Lab", 9: "ICC Lab", 32803: "camera raw", 34892: "camera raw"},
}
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # samples without the extra ones
_KINDS = {1: "unsigned", 2: "signed", 3: "float"}  # values of SampleFormat
_RAW, _OLD_JPEG, _JPEG = 1, 6, 7  # values of Compression
_ALONE: set[tuple[int, ...]] = {()}
_ANY_ALPHA: set[tuple[int, ...]] = {(), (0,), (1,), (2,)}
_STRAIGHT: set[tuple[int, ...]] = {(), (0,), (2,)}
_MORE: set[tuple[int, ...]] = {(a, *more) for a in (0, 1, 2) for more in ((0,), (0, 0))}
_COREL: set[tuple[int, ...]] = {(999,)}  # Corel Draw means alpha
READ: dict[tuple[int, str, int], tuple[set[tuple[int, ...]], set[tuple[int, ...]]]] = {
    **{(0, "unsigned", bits): (_ALONE, set()) for bits in (1, 2, 4, 8, 16)},
    **{(1, "unsigned", bits): (_ALONE, set()) for bits in (1, 2, 4, 12, 16, 32)},
    (1, "unsigned", 8): (_ANY_ALPHA, set()),
    (1, "signed", 32): (_ALONE, set()),
    **{(grey, "float", 32): (_ALONE, set()) for grey in (0, 1)},
    (2, "unsigned", 8): (_ANY_ALPHA | _MORE | _COREL, _STRAIGHT),
    (2, "unsigned", 16): (_ANY_ALPHA, _STRAIGHT),
    **{(3, "unsigned", bits): (_ALONE, set()) for bits in (1, 2, 4, 8)},
    (5, "unsigned", 8): ({(), (0,), (0, 0)}, {(), (0,)}),
    (5, "unsigned", 16): (_ALONE, set()),
    (6, "unsigned", 8): (_ALONE, set()),
    (8, "unsigned", 8): (_ALONE, set()),
}
"""(photometric, kind, bits) -> extra samples that are read right: interleaved, and in planes.

The values of ExtraSamples: 0 not specified, 1 associated alpha, 2 unassociated alpha.
"""


@dataclass(frozen=True)
class Layout:
    """The declared layout of the first page.

    Attributes:
        photometric: Meaning of the colours, as in PhotometricInterpretation.
        kind: "unsigned", "signed", "float", or "mixed".
        bits: Bits per sample; 0 if the samples differ.
        extras: The values of ExtraSamples. (2,) for RGB with a fourth sample of no stated meaning.
        in_planes: Whether each channel is stored separately.
        compression: Value of Compression; 1 means none.
        big_endian: Byte order of the samples.
    """

    photometric: int
    kind: str
    bits: int
    extras: tuple[int, ...]
    in_planes: bool
    compression: int
    big_endian: bool

    @property
    def white_is_zero(self) -> bool:
        return self.photometric == 0

    @property
    def premultiplied(self) -> bool:
        return self.extras[:1] == (1,)

    def __str__(self) -> str:
        width = f"{self.bits}-bit" if self.bits else "samples of different sizes,"
        kind = "" if self.kind == "unsigned" else f"{self.kind} "
        name = _NAMES.get(self.photometric, f"colour space {self.photometric}")
        alpha = " with alpha" if {1, 2} & set(self.extras) else ""
        order = " in big-endian order" if self.big_endian and self.bits > 8 else ""
        return f"{width} {kind}{name}{alpha}{order}" + (" in planes" if self.in_planes else "")


def layout_of(tags: Mapping[int, Any], prefix: bytes) -> Layout:
    """Returns the layout that tags declare.

    Args:
        tags: The tags of a page by number, as in `TiffImageFile.tag_v2`.
        prefix: The byte order mark of the file, b"II" or b"MM".
    """
    compression = tags.get(TiffImagePlugin.COMPRESSION, _RAW)
    photometric = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 0)
    if compression == _OLD_JPEG:
        photometric = 6
    colours = _COLOURS.get(photometric, 1)
    samples = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, colours if compression == _OLD_JPEG else 1)
    bits = set(_values(tags, TiffImagePlugin.BITSPERSAMPLE, 1)[:samples])
    kinds = set(_values(tags, TiffImagePlugin.SAMPLEFORMAT, 1)[:samples])
    extras = tuple(_values(tags, TiffImagePlugin.EXTRASAMPLES, ()))
    if photometric == 2 and samples == 4 and not extras:
        extras = (2,)
    return Layout(
        photometric,
        _KINDS.get(kinds.pop(), "mixed") if len(kinds) == 1 else "mixed",
        bits.pop() if len(bits) == 1 else 0,
        extras,
        samples > 1 and tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2,
        compression,
        prefix == b"MM",
    )


def _values(tags: Mapping[int, Any], tag: int, default: Any) -> tuple[Any, ...]:
    value = tags.get(tag, default)
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def of_image(image: Image.Image) -> Layout | None:
    """Returns the layout of an opened image, or None if it is not a TIFF file."""
    if not isinstance(image, TiffImageFile):
        return None
    return layout_of(image.tag_v2, image.tag_v2.prefix)


def check_file(file: BinaryIO, name: str) -> Layout | None:
    """Checks that the first page of a TIFF file is read right.

    Args:
        file: The file, opened for reading bytes. Its position changes.
        name: Name of the file, for error messages.

    Returns:
        The layout of the page; None if the file is damaged.

    Raises:
        RdcError: the page cannot be read right.
    """
    try:
        tags = _first_tags(file)
        layout = layout_of(tags, tags.prefix)
        check(tags, layout, name)
        return layout
    except RdcError:
        raise
    except Exception:  # a damaged directory may raise anything; Pillow will complain about it
        return None


def unsupported(layout: Layout, name: str) -> RdcError:
    """Returns the error for a layout that is not read."""
    return RdcError(
        f"{name} is a TIFF file of {layout}, which is not supported; store it with 8 or 16 bits "
        "per channel, unsigned and interleaved, as RGB, RGBA or grey"
    )


def _first_tags(file: BinaryIO) -> TiffImagePlugin.ImageFileDirectory_v2:
    start = file.read(8)
    if start[:4] in _BIG:
        start += file.read(8)
    tags = TiffImagePlugin.ImageFileDirectory_v2(start)
    file.seek(tags.next)
    tags.load(file)
    return tags


def check(tags: Mapping[int, Any], layout: Layout, name: str) -> None:
    """Raises RdcError if a page with these tags is not read right.

    Args:
        tags: The tags of the page by number.
        layout: The layout that they declare.
        name: Name of the file, for error messages.
    """
    if tags.get(254, 0) & 1 and TiffImagePlugin.SUBIFD in tags:
        raise RdcError(
            f"{name} begins with a small preview, as camera raw files do; develop the image in a "
            "photo editor and give its JPEG, PNG or TIFF file"
        )
    interleaved, planes = READ.get((layout.photometric, layout.kind, layout.bits), (set(), set()))
    if layout.extras not in (planes if layout.in_planes else interleaved):
        raise unsupported(layout, name)
    if reason := _special(tags, layout):
        raise RdcError(
            f"{name} is a TIFF file with {reason}, which is not supported; store it as RGB with 8 "
            "or 16 bits, interleaved"
        )


def _special(tags: Mapping[int, Any], layout: Layout) -> str | None:
    """Returns what else Pillow would ignore, or None."""
    if layout.bits > 8 and tags.get(TiffImagePlugin.FILLORDER, 1) == 2:
        return f"reversed bits in {layout.bits}-bit samples"
    if layout.in_planes and 0 in layout.extras and layout.compression == _RAW:
        return "an extra plane without compression"
    if layout.photometric == 5 and tags.get(332, 1) != 1:
        return "inks other than CMYK"
    if layout.photometric != 6:
        return None
    if layout.compression == _RAW and _values(tags, 530, (2, 2)) != (1, 1):
        return "uncompressed, subsampled YCbCr"
    standard = (0.299, 0.587, 0.114)
    found = [float(value) for value in _values(tags, 529, standard)]
    if any(abs(a - b) > 0.002 for a, b in zip(found, standard, strict=False)):
        return "unusual YCbCr coefficients"
    full = (0, 255, 128, 255, 128, 255)
    if tuple(float(value) for value in _values(tags, 532, full)) != full:
        return "YCbCr of limited range"
    return None
