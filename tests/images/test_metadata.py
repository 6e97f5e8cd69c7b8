"""Orientation in odd EXIF blocks, and XMP that describes parts of a file that are not kept."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from rdc_jax.images import image_bytes, orientation, read_image, xmp_packet
from tests.images.files import RGB, saved

TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 5: "II", 10: "ii"}
TURNED = RGB.swapaxes(0, 1)[:, ::-1]  # of orientation 6


def block(kind: int, count: int, order: str = "<", value: int = 6, copies: int = 1) -> bytes:
    """An EXIF block with `copies` orientations."""
    number = (value, 1) if len(TYPES[kind]) == 2 else (value,)
    data = struct.pack(order + TYPES[kind] * count, *number * count)
    end = 8 + 2 + 12 * copies + 4
    place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", end)
    entry = struct.pack(order + "HHI", 0x112, kind, count) + place
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "IH", 8, copies)
    return head + entry * copies + bytes(4) + (data if len(data) > 4 else b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("count", [1, 2])
def test_what_turns_the_pixels_is_overwritten(count, order, copies, kind):
    """In every type of number, so that no viewer turns them again."""
    for number in TYPES:
        exif = block(number, count, order, copies=copies)
        options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
        options |= {"lossless": True} if kind == "WEBP" else {}
        image = read_image(io.BytesIO(saved(RGB, kind, exif=b"Exif\0\0" + exif, **options)))
        assert image.pixels.shape == TURNED.shape, number
        assert np.abs(image.pixels.astype(int) - TURNED).max() <= 6
        assert image.exif == block(number, count, order, value=1, copies=copies)
        assert orientation.orientation(image.exif, None) == 1
        again = read_image(io.BytesIO(image_bytes(image, ".png")[0]))
        np.testing.assert_array_equal(again.pixels, image.pixels)


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_in_xmp_alone(kind, quote):
    text = f"<a xmlns:tiff='t' tiff:Orientation={quote}6{quote}/>"
    options = {"exif": _with_xmp(text)} if kind == "TIFF" else {"xmp": text.encode()}
    if kind == "PNG":
        from PIL import PngImagePlugin

        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", text)
        options = {"pnginfo": chunks}
    options |= {"lossless": True} if kind == "WEBP" else {}
    image = read_image(io.BytesIO(saved(RGB, kind, **options)))
    assert image.pixels.shape == TURNED.shape and b"6" not in image.xmp
    again = read_image(io.BytesIO(image_bytes(image, ".tif")[0]))
    np.testing.assert_array_equal(again.pixels, image.pixels)


def _with_xmp(text: str) -> Image.Exif:
    tags = Image.Exif()
    tags[700] = text.encode()
    return tags


GOOGLE = 'xmlns:C="http://ns.google.com/photos/1.0/camera/"'
CONTAINER = 'xmlns:D="http://ns.google.com/photos/1.0/container/"'
ITEM = 'xmlns:I="http://ns.google.com/photos/1.0/container/item/"'
ADOBE = 'xmlns:h="http://ns.adobe.com/hdr-gain-map/1.0/"'
APPLE = 'xmlns:g="http://ns.apple.com/HDRGainMap/1.0/"'
PIXELS = "xmlns:apdi='http://ns.apple.com/pixeldatainfo/1.0/'"
NOTE = 'xmlns:n="http://ns.adobe.com/xmp/note/"'
OPPO = 'xmlns:o="http://ns.oplus.com/photos/1.0/camera/"'
PACKETS = {
    f'<r><d {GOOGLE} t="1 > 0" C:MotionPhoto="1"\n C:MicroVideoOffset="9" u="é"/></r>':
        '<r><d t="1 > 0" u="é"/></r>',
    f'<r><d {CONTAINER} {ITEM} a="b"><D:Directory><x><D:Item I:Semantic="GainMap"/></x>'
    '</D:Directory>kept</d></r>': '<r><d a="b">kept</d></r>',
    f'<r {ADOBE}><d h:Version="1.0"><h:GainMapMax>1</h:GainMapMax><h:Empty/><k/></d></r>':
        "<r><d><k/></d></r>",
    f'<r><d {APPLE} {PIXELS}><g:Version>1</g:Version><apdi:Type v=">"/></d></r>': "<r><d></d></r>",
    f'<r><d {NOTE} n:HasExtendedXMP="AB" {OPPO} o:Length="3" k="1"/></r>': '<r><d k="1"/></r>',
    '<r><d xmlns:p="http://ns.google.com/photos/1.0/panorama/" p:Full="1"/></r>': None,
    "<r><d a='gainmap motion photo'/></r>": None,
    '<r xmlns:tiff="t"><d tiff:Orientation="1"/></r>': None,
}  # fmt: skip


@pytest.mark.parametrize("packet", PACKETS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", "<?xpacket begin='\ufeff'?>\n".encode()])
def test_xmp_loses_what_describes_lost_parts(packet, mark):
    expected = PACKETS[packet] or packet
    assert xmp_packet.without_parts(mark + packet.encode()) == mark + expected.encode()
    file = saved(RGB, "JPEG", xmp=mark + packet.encode()) + b"a video"
    image = read_image(io.BytesIO(file))
    assert image.xmp == mark + expected.encode()
    assert len(image.notes) == (PACKETS[packet] is not None)


def test_xmp_that_is_damaged():
    for packet in (
        f"<r {GOOGLE}",
        f'<!DOCTYPE r><r {GOOGLE} C:MotionPhoto="1"/>',
        f"<r {ADOBE}></s>",
    ):
        image = read_image(io.BytesIO(saved(RGB, "JPEG", xmp=packet.encode())))
        assert image.xmp is None and "not kept" in image.notes[0]
    assert xmp_packet.without_parts(b"<r") == b"<r"


def test_long_packets_take_no_time():
    text = b"<r a='" + b"x" * 10_000_000 + b"'/>"
    assert xmp_packet.without_parts(text) == text
    assert orientation.orientation(None, text) == 1
