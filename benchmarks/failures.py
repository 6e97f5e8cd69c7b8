"""Failure cases of the shipped model in one sheet: text, chart, screenshot and given photographs.

    python benchmarks/failures.py [--photo NAME=FILE[@X,Y] ...] [--out docs/failures.jpg]

Every row shows one case: the original, two files as `rdc decode` shows them, and between them a
WebP file of the size of the smaller one (or the smallest possible). Text, chart and screenshot are
drawn by this script. X,Y is the upper left corner of the part of a photograph to show.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
import speed
from PIL import Image, ImageDraw, ImageFont

import rdc_jax
from rdc_jax.demo import draw_sheet
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.metrics.distortion import psnr
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.images import atomic_write, read_image
from rdc_jax.images.screen_content import looks_drawn

QUALITIES = (15.0, 50.0)
COLUMNS = ("original", f"rdc, quality {QUALITIES[0]:g}", "WebP", f"rdc, quality {QUALITIES[1]:g}")
SIZE = 512, 384  # width and height of the drawn cases in pixels
FONT_SIZE = 26  # the sheet is stored at half its size
SHOWN = 192  # side in pixels of the part that the sheet shows
WORDS = "It was a bright cold day, and the clocks were striking. 0123456789 AaBbCc (fine print) "


def text() -> np.ndarray:
    """Draws a page of text in three sizes."""
    image = Image.new("RGB", SIZE, (252, 250, 245))
    draw = ImageDraw.Draw(image)
    top = 8
    for size in (22, 22, 22, 15, 15, 15, 15, 15, 11, 11, 11, 11, 11, 11, 11, 11, 11):
        draw.text((10, top), 2 * WORDS, (25, 25, 30), ImageFont.load_default(size))
        top += round(1.45 * size)
    return np.asarray(image)


def chart() -> np.ndarray:
    """Draws axes, thin lines, bars and labels."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    for i, colour in enumerate(((31, 119, 180), (255, 127, 14), (44, 160, 44))):
        points = [(x, 200 - 90 * np.sin(x / (50 - 9 * i) + i)) for x in range(40, 500, 4)]
        draw.line(points, colour, 2)
        draw.text((52 + 110 * i, 12), f"series {i + 1}", colour, ImageFont.load_default(14))
    for i in range(9):
        draw.line([(40, 40 + 40 * i), (500, 40 + 40 * i)], (220, 220, 220), 1)
        draw.text((8, 32 + 40 * i), f"{80 - 10 * i}", "black", ImageFont.load_default(12))
        draw.rectangle([60 + 50 * i, 360 - 9 * (i % 5 + 1), 85 + 50 * i, 360], (120, 60, 150))
    draw.line([(40, 30), (40, 360), (500, 360)], "black", 2)
    return np.asarray(image)


def screenshot() -> np.ndarray:
    """Draws a window with bars, buttons, icons of thin lines and a list."""
    image = Image.new("RGB", SIZE, (236, 238, 241))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, 0, SIZE[0], 28], (44, 62, 80))
    draw.text((10, 6), "File   Edit   View   Help", "white", ImageFont.load_default(14))
    for row in range(13):
        top = 36 + 26 * row
        draw.rectangle([130, top, 502, top + 22], (255, 255, 255) if row % 2 else (226, 235, 245))
        entry = f"report_{row:02d}.txt      {37 * row + 4} kB      21/11 10:{10 + row}"
        draw.text((138, top + 4), entry, (30, 30, 30), ImageFont.load_default(12))
        draw.rectangle([10, top, 118, top + 20], outline=(150, 150, 160), fill=(250, 250, 250))
        draw.line([(18, top + 10), (26, top + 15), (38, top + 5)], (0, 120, 60), 1)
        draw.text((46, top + 4), f"option {row}", (30, 30, 30), ImageFont.load_default(12))
    return np.asarray(image)


def part(pixels: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """Returns the part of an image [H,W,3] to show. Its corner (x, y) is moved inside if needed."""
    left, top = (
        max(0, min(at, n - SHOWN)) for at, n in zip(corner, pixels.shape[1::-1], strict=True)
    )
    return pixels[top : top + SHOWN, left : left + SHOWN]


def photograph(argument: str) -> tuple[str, np.ndarray, tuple[int, int]]:
    """Parses NAME=FILE[@X,Y] and reads the file. Returns name, pixels and corner."""
    name, equals, rest = argument.partition("=")
    path, _, corner = rest.partition("@")
    try:
        x, y = map(int, corner.split(",")) if corner else (0, 0)
    except ValueError:
        equals = ""
    if not equals:
        raise RdcError(f"--photo takes NAME=FILE or NAME=FILE@X,Y, not {argument!r}")
    return name, read_image(path).pixels, (x, y)


def lossless_bytes(pixels: np.ndarray) -> int:
    """Returns the size as lossless WebP, the recommended format for screen content."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "WEBP", lossless=True)
    return data.tell()


def webp_of(pixels: np.ndarray, size: int) -> bytes:
    """Returns a WebP file of at most `size` bytes, or the smallest WebP file if that is larger."""
    try:
        return baselines.size_matched("webp", pixels, size)[0]
    except RdcError:
        return baselines.encode("webp", pixels, 0)


def run(arguments: argparse.Namespace) -> None:
    codec = rdc_jax.load(arguments.model)
    cases = [("text", text(), (0, 60)), ("chart", chart(), (20, 20))]
    cases += [("screenshot", screenshot(), (10, 20)), *map(photograph, arguments.photo)]
    panels, rows = [], []
    for name, pixels, corner in cases:
        panels.append([(name, part(pixels, corner))])
        files = [codec.encode(pixels, quality=quality) for quality in QUALITIES]
        webp = webp_of(pixels, len(files[0]))
        shown = [("rdc", data, codec.decode(data)) for data in files]
        shown.insert(1, ("WebP", webp, baselines.decode("webp", webp)))
        for codec_name, data, decoded in shown:
            bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
            error = psnr(pixels, decoded)
            caption = f"{bpp:.2f} bpp, {error:.1f} dB"
            panels[-1].append((caption, part(decoded, corner)))
            rows.append([name, codec_name, len(data), f"{bpp:.3f}", f"{error:.2f}"])
        drawn = "yes" if looks_drawn(pixels) else "no"
        rows.append([name, f"lossless WebP (warned: {drawn})", lossless_bytes(pixels), "", ""])
    print(table(["image", "codec", "bytes", "bpp", "PSNR, dB"], rows))
    data = io.BytesIO()
    sheet = Image.fromarray(draw_sheet(panels, FONT_SIZE, COLUMNS))
    sheet.reduce(2).save(data, "JPEG", quality=85)
    atomic_write(arguments.out, data.getvalue(), overwrite=True)
    print(f"look at {arguments.out}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photo", action="append", default=[], metavar="NAME=FILE[@X,Y]")
    parser.add_argument("--model", help="name or folder; default: the shipped one")
    out = Path(__file__).resolve().parents[1] / "docs" / "failures.jpg"
    parser.add_argument("--out", default=str(out), metavar="FILE", help="default: %(default)s")
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
