"""Small unusual image files and their contents, made by Pillow and by small writers here."""

from __future__ import annotations

import importlib.util
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from rdc_jax.images import formats

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="%d" a="\xc3\xa9"/></x:xmpmeta>'


def pixels(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """A smooth image uint8 [h,w,channels], or [h,w] for one channel."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 3, channels), np.uint8)
    planes = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)
        for plane in np.moveaxis(coarse, -1, 0)
    ]
    smooth = np.stack([np.asarray(plane) for plane in planes], -1)
    return smooth[..., 0] if channels == 1 else smooth


def saved(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    """An image file of Pillow's format `kind`."""
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def animation(kind: str, **options) -> bytes:
    """Two frames of 9 x 12 pixels, grey 10 and 200."""
    frames = [Image.new("RGB", (12, 9), (grey,) * 3) for grey in (10, 200)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)


def exif(orientation: int, order: str = ">") -> bytes:
    """An EXIF block as cameras write it, with a subdirectory and junk behind it."""
    camera, date = b"A camera\0", b"2026:11:21 10:00:00\0"
    start, mark = (b"MM\0*", "big") if order == ">" else (b"II*\0", "little")
    entries = [
        struct.pack(f"{order}HHII", 0x010F, 2, len(camera), 62),
        struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0),
        struct.pack(f"{order}HHII", 0x8769, 4, 1, 72),
    ]
    inner = [struct.pack(f"{order}HHII", 0x9003, 2, len(date), 92)]
    head = start + struct.pack(f"{order}I", 8)
    first = struct.pack(f"{order}H", 3) + b"".join(entries) + bytes(4)
    block = (head + first).ljust(62, b"\0") + camera
    block = block.ljust(72, b"\0") + struct.pack(f"{order}H", 1) + b"".join(inner) + bytes(4)
    return block.ljust(92, b"\0") + date + f"left over, {mark}".encode()


def png(samples: np.ndarray, *chunks: tuple[bytes, bytes], size=None) -> bytes:
    """PNG of uint16 [h,w] or [h,w,channels]. `size` makes the header state a wrong size."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", *(size or (width, height)), 16, colour, 0, 0, 0)
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = ((b"IHDR", head), *chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in body
    )


def tiff(samples: np.ndarray, order: str) -> bytes:
    """TIFF of uint16 [h,w,3] or [h,w,4], in the byte order "<" or ">"."""
    height, width, channels = samples.shape
    data = samples.astype(f"{order}u2").tobytes()
    shorts = {259: 1, 262: 2, 277: channels} | ({338: 2} if channels == 4 else {})
    bits = 8 + 2 + 12 * (6 + len(shorts)) + 4  # where the numbers of bits are
    longs = {256: width, 257: height, 273: bits + 2 * channels, 278: height, 279: len(data)}
    entries = {258: struct.pack(f"{order}HII", 3, channels, bits)}
    entries |= {tag: struct.pack(f"{order}HIHH", 3, 1, value, 0) for tag, value in shorts.items()}
    entries |= {tag: struct.pack(f"{order}HII", 4, 1, value) for tag, value in longs.items()}
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = b"".join(struct.pack(f"{order}H", tag) + entries[tag] for tag in sorted(entries))
    head = mark + struct.pack(f"{order}IH", 8, len(entries)) + directory + bytes(4)
    return head + struct.pack(f"{order}{channels}H", *[16] * channels) + data


def tiff_file(width: int, height: int, tags: dict[int, Any], data: bytes, order="<") -> bytes:
    """TIFF of one strip with these tags: a whole number or a list of them (SHORT each)."""
    count = len(tags) + 5
    end = 8 + 2 + 12 * count + 4
    longs = {256: width, 257: height, 273: 0, 278: height, 279: len(data)}
    entries, extra = {}, b""
    for tag, value in tags.items():
        values = value if isinstance(value, list) else [value]
        packed = struct.pack(f"{order}{len(values)}H", *values)
        if len(packed) > 4:
            entries[tag] = struct.pack(f"{order}HII", 3, len(values), end + len(extra))
            extra += packed
        else:
            entries[tag] = struct.pack(f"{order}HI", 3, len(values)) + packed.ljust(4, b"\0")
    longs[273] = end + len(extra)
    entries |= {tag: struct.pack(f"{order}HII", 4, 1, value) for tag, value in longs.items()}
    directory = b"".join(struct.pack(f"{order}H", tag) + entries[tag] for tag in sorted(entries))
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}IH", 8, count) + directory + bytes(4) + extra + data


def rgb_profile(gamma: float, name: str = "Display P3, nearly") -> bytes:
    """A matrix profile with the primaries of Display P3 and one gamma."""
    columns = {
        b"wtpt": (0.9642, 1.0, 0.8249),
        b"rXYZ": (0.5151, 0.2412, -0.0011),
        b"gXYZ": (0.2920, 0.6922, 0.0419),
        b"bXYZ": (0.1571, 0.0666, 0.7841),
    }
    tags = {tag: b"XYZ \0\0\0\0" + _fixed(*values) for tag, values in columns.items()}
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(256 * gamma))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags, name)


def cmyk_profile() -> bytes:
    """White paper; cyan ink alone is a middle red, and any other mixture black."""
    corners = np.zeros((2, 2, 2, 2, 3), np.uint8)
    corners[...] = 0, 128, 128
    corners[0, 0, 0, 0] = 255, 128, 128
    corners[1, 0, 0, 0] = 128, 188, 168
    ramp = bytes(range(256))
    table = b"mft1" + struct.pack(">IBBBB", 0, 4, 3, 2, 0) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += 4 * ramp + corners.tobytes() + 3 * ramp
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table}, "Red for cyan")


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(65536 * value)) for value in values)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict, name: str) -> bytes:
    text = name.encode() + b"\0"
    description = b"desc" + struct.pack(">II", 0, len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)
    tags = tags | {b"desc": description, b"cprt": b"text\0\0\0\0none\0"}
    place, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", place + len(body), len(data))
        body += data
    head = struct.pack(">II", place + len(body), 0) + b"\x02\x40\0\0" + kind + space + connection
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + _fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + body


RGB, GREY = pixels(13, 17), pixels(13, 17, 1)
RAMP = np.linspace(0, 255, 13 * 17).round().reshape(13, 17).astype(np.uint8)
WIDE = np.random.default_rng(1).integers(0, 65536, (7, 13, 4), np.uint16)
WIDE[0, :2] = [[0, 128, 129, 65535], [65535, 65407, 65406, 0]]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
P3 = rgb_profile(2.2)
HELD = {"icc": P3, "exif": exif(1), "xmp": XMP % 1}
AS_SAVED = {"icc_profile": P3, "exif": b"Exif\0\0" + exif(6), "xmp": XMP % 6}


def eight(wide: np.ndarray) -> np.ndarray:
    """Rounded to 8 bits, as fractions: the slow way."""
    return np.rint(wide.astype(np.float64) / 257).astype(np.uint8)


def grey3(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane[..., None], 3, -1)


def with_alpha(colour: np.ndarray, alpha: Any) -> np.ndarray:
    plane = np.broadcast_to(np.asarray(alpha, np.uint8), colour.shape[:2])
    return np.dstack([colour, plane])


def itxt(xmp: bytes) -> tuple[bytes, bytes]:
    return b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp


def palette(transparency: Any = None) -> bytes:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    return saved(image, **({} if transparency is None else {"transparency": transparency}))


def needs(module: str) -> Any:
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"needs {module}")


JXL, HEIF = (needs(plugin[0]) for plugin in (formats.JXL_PLUGIN, formats.HEIF_PLUGIN))
AVIF = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")


def by_plugin(plugin: tuple[str, str], *arguments, **options) -> bytes:
    assert formats.register(plugin)
    return saved(*arguments, **options)


HALF = np.full((13, 17), 128, np.uint8)
HOLE = np.where(np.hypot(*np.mgrid[-6:7, -8:9]) < 4, 0, 255).astype(np.uint8)
