"""Draw the image of the README: a face at a low rate, with and without a map, beside AVIF.

    python benchmarks/showcase.py PHOTO --detail X Y [--bpp 0.1] [--out docs/showcase.jpg]

The upper row shows the whole image, the lower row a detail of 140 x 140 pixels at 300 %, with X, Y
as its upper left corner. The columns are the original, rdc without a map, rdc with the map of
`--roi auto`, and AVIF (Pillow's default settings). AVIF gets the largest file of at most --bpp bits
per pixel, and the rdc files are never larger than the AVIF file. rdc files are decoded with their
own tau and steps, as `rdc decode` does. PSNR "face" is measured inside the detected faces, so the
script needs the face detector (`rdc detectors --install`).
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
import speed
from PIL import Image

import rdc_jax
from rdc_jax.codec import compilation_cache
from rdc_jax.demo import draw_sheet
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.metrics.distortion import masked_psnr, psnr
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.images import atomic_write, read_image
from rdc_jax.importance import detectors

DETAIL = 140  # side of the detail in pixels; a panel of the sheet is three times as wide
FONT_SIZE = 28  # of captions that stay legible in the width of a README


def coded(
    codec: rdc_jax.Codec, pixels: np.ndarray, bpp: float
) -> dict[str, tuple[int, np.ndarray]]:
    """File size and decoded image of AVIF and of rdc without and with a map, by name."""
    avif = baselines.size_matched("avif", pixels, int(bpp * pixels.shape[0] * pixels.shape[1] / 8))
    found = {}
    for name, mask in (("rdc, no map", None), ("rdc --roi auto", detectors.find(pixels).mask)):
        data = codec.encode(pixels, target_bytes=len(avif[0]), importance=mask)
        found[name] = len(data), np.asarray(codec.decode(data))
    return found | {"AVIF": (len(avif[0]), baselines.decode("avif", avif[0]))}


def detail_of(pixels: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """The detail [DETAIL,DETAIL,3] whose upper left corner is (x, y)."""
    left, top = corner
    detail = pixels[top : top + DETAIL, left : left + DETAIL]
    if min(corner) < 0 or detail.shape[:2] != (DETAIL, DETAIL):
        raise RdcError(f"no detail of {DETAIL} x {DETAIL} pixels lies at {left},{top}")
    return detail


def run(arguments: argparse.Namespace) -> None:
    compilation_cache.enable()
    pixels = read_image(arguments.photo).pixels
    upper, lower = [("original", pixels)], [("300 %", detail_of(pixels, arguments.detail))]
    faces = detectors.find(pixels, "faces").mask >= 0.5
    rows = []
    for name, (size, image) in coded(rdc_jax.load(arguments.model), pixels, arguments.bpp).items():
        bpp = 8 * size / (pixels.shape[0] * pixels.shape[1])
        face, whole = masked_psnr(pixels, image, faces), psnr(pixels, image)
        upper.append((f"{name}, {bpp:.3f} bpp", image))
        lower.append(
            (f"face {face:.1f} dB, image {whole:.1f} dB", detail_of(image, arguments.detail))
        )
        rows.append([name, size, f"{bpp:.4f}", f"{face:.2f}", f"{whole:.2f}"])
    print(table(["file", "bytes", "bpp", "PSNR of faces, dB", "PSNR of the image, dB"], rows))
    data = io.BytesIO()
    sheet = Image.fromarray(draw_sheet([upper, lower], FONT_SIZE))
    sheet.save(data, "JPEG", quality=arguments.jpeg_quality, optimize=True)
    atomic_write(arguments.out, data.getvalue(), overwrite=True)
    print(f"wrote {arguments.out}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", metavar="PHOTO", help="a photograph with a face")
    parser.add_argument("--detail", nargs=2, type=int, required=True, metavar=("X", "Y"))
    parser.add_argument("--bpp", type=float, default=0.1, help="default: %(default)s")
    parser.add_argument("--model", help="name or folder; default: the shipped one")
    parser.add_argument(
        "--jpeg-quality", type=int, default=78, metavar="Q", help="of the sheet, default: 78"
    )
    out = Path(__file__).resolve().parents[1] / "docs" / "showcase.jpg"
    parser.add_argument("--out", default=str(out), metavar="FILE", help="default: %(default)s")
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
