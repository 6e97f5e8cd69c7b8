"""`rdc demo`: codes one photograph with and without a mask into files of equal size.

A second process decodes them. The demo writes both `.rdc` files, the decoded images, and one sheet
that shows what the importance map changes.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.metrics.distortion import masked_psnr, psnr
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.images import atomic_write, read_image, write_image

FOLDER = Path(__file__).parent
NAMES = ("adaptive", "uniform")  # of the two files
SHEET = "demo.png"
QUALITY = 30.0
PANEL = 420  # width of an image on the sheet, pixels
MARGIN = 12
ZOOM = 140  # side of an enlarged square, pixels of the photograph
ZOOM_ROI, ZOOM_BACKGROUND = (430, 300), (60, 380)  # their left, top


def run(out: str | Path = "rdc_demo", overwrite: bool = False) -> Path:
    """Encodes, decodes in a second process and compares; returns the path of the sheet.

    Raises RdcError when `out` is not a folder, or contains files of the demo and `overwrite` is
    False.
    """
    out = Path(out)
    check_folder(out, overwrite)
    from rdc_jax.codec.codec import load

    photo = read_image(FOLDER / "flower.png").pixels
    mask = read_image(FOLDER / "flower_mask.png").pixels[..., 0] > 127

    print("encoding twice: bits where the mask is white, and evenly at the same size", flush=True)
    codec = load()
    adaptive, report = codec.encode(photo, quality=QUALITY, importance=mask, return_report=True)
    uniform, uniform_report = codec.encode(photo, target_bpp=report.bpp, return_report=True)
    files = dict(zip(NAMES, (adaptive, uniform), strict=True))
    for name, data in files.items():
        atomic_write(out / f"flower_{name}.rdc", data, overwrite=True)

    print("decoding in a second process", flush=True)
    names = [str(out / f"flower_{name}.rdc") for name in files]
    command = [sys.executable, "-m", "rdc_jax", "decode", "-f", "--quiet", "-o", str(out), *names]
    subprocess.run(command, check=True)
    decoded = {name: read_image(out / f"flower_{name}.png").pixels for name in files}
    jpeg, _ = baselines.size_matched("jpeg", photo, len(uniform))
    images = decoded | {"jpeg": baselines.decode("jpeg", jpeg)}

    sizes = {name: len(data) for name, data in files.items()} | {"jpeg": len(jpeg)}
    rows = [
        [
            name,
            sizes[name],
            f"{8 * sizes[name] / mask.size:.3f}",
            f"{masked_psnr(photo, pixels, mask):.2f}",
            f"{masked_psnr(photo, pixels, ~mask):.2f}",
            f"{psnr(photo, pixels):.2f}",
        ]
        for name, pixels in images.items()
    ]
    header = ["file", "bytes", "bpp", "PSNR in mask", "PSNR outside", "PSNR, dB"]
    print(table(header, rows))
    where_bits_went(report, uniform_report, mask)

    sheet = out / SHEET
    panels = sheet_panels(photo, mask, report.bits_map, uniform_report.bits_map, images, sizes)
    write_image(sheet, draw_sheet(panels), overwrite=True)
    print(f"look at {sheet}")
    return sheet


def check_folder(out: Path, overwrite: bool) -> None:
    """Makes the folder. Raises RdcError early for files that could not be written at the end."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RdcError(f"cannot make the folder '{out}': {error.strerror}") from error
    written = [f"flower_{name}.{extension}" for name in NAMES for extension in ("rdc", "png")]
    for file in (SHEET, *written):
        if (out / file).exists() and not overwrite:
            raise RdcError(f"the output '{out / file}' exists; give -f to replace it")


def where_bits_went(report, uniform_report, mask: np.ndarray) -> None:
    """Prints the share of latent bits inside the mask for both files.

    Args:
        report: The codec's report of the file with the mask.
        uniform_report: The report of the file without it.
        mask: bool [H,W].
    """
    h, w = report.bits_map.shape
    inside = np.zeros((8 * h, 8 * w))
    inside[: mask.shape[0], : mask.shape[1]] = mask
    share = inside.reshape(h, 8, w, 8).mean((1, 3))
    parts = [
        f"{100 * (r.bits_map * share).sum() / r.bits_map.sum():.0f} % ({name})"
        for name, r in (("adaptive", report), ("uniform", uniform_report))
    ]
    map_bytes = report.section_bytes["importance"]
    print(
        f"bits inside the mask ({100 * mask.mean():.0f} % of the area): {', '.join(parts)}; "
        f"the map itself takes {map_bytes} bytes"
    )


def sheet_panels(photo, mask, adaptive_bits, uniform_bits, images, sizes) -> list[list[tuple]]:
    """The images of the sheet: an overview, bits per place, and enlarged squares.

    Args:
        photo: uint8 [H,W,3].
        mask: bool [H,W].
        adaptive_bits: Bits per latent pixel of the file with the mask, float [h,w].
        uniform_bits: The same of the file without it.
        images: Decoded images by name, uint8 [H,W,3].
        sizes: Bytes by name.

    Returns:
        Rows of (caption, uint8 [h,w,3] or None).
    """
    most = max(float(np.quantile(bits, 0.98)) for bits in (adaptive_bits, uniform_bits))
    names = {"jpeg": "JPEG", "uniform": "rdc, uniform", "adaptive": "rdc, region-adaptive"}
    captions = {name: f"{text}, {sizes[name]} bytes" for name, text in names.items()}
    rows = [
        [("original", photo)] + [(captions[name], images[name]) for name in names],
        [
            ("importance map", np.repeat(255 * mask[..., None].astype(np.uint8), 3, -1)),
            ("", None),
            ("bits, uniform", heat(uniform_bits / most, photo.shape)),
            ("bits, region-adaptive", heat(adaptive_bits / most, photo.shape)),
        ],
    ]
    for region, (left, top) in (("inside", ZOOM_ROI), ("outside", ZOOM_BACKGROUND)):
        crop = (slice(top, top + ZOOM), slice(left, left + ZOOM))
        zooms = [(f"original, {region} the mask", photo[crop])]
        rows.append(zooms + [(names[name], images[name][crop]) for name in names])
    return rows


def heat(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values in [0,1] per latent pixel -> an image from black through red and yellow to white.

    It shows means over 2 x 2 latent pixels: within such a square the later coding passes always
    need fewer bits, which says nothing about the image.
    """
    h, w = values.shape
    squares = np.pad(values, ((0, h % 2), (0, w % 2)), mode="edge")
    squares = squares.reshape((h + 1) // 2, 2, (w + 1) // 2, 2).mean((1, 3))
    values = squares.repeat(2, 0).repeat(2, 1)[:h, :w]
    v = np.clip(values, 0, 1)[..., None] * 3
    colours = np.clip(v - np.arange(3), 0, 1)
    pixels = (255 * colours).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    return pixels[: shape[0], : shape[1]]


def draw_sheet(
    rows: list[list[tuple]], font_size: int = 18, columns: Sequence[str] = ()
) -> np.ndarray:
    """One image, uint8 [H,W,3], of rows of captioned panels.

    Args:
        rows: (caption, pixels uint8 [h,w,3] or None) of each panel. Panels are scaled to one width,
            and a row is as high as its highest panel, but at least square.
        font_size: Size of the captions in pixels.
        columns: Headers of the columns, above the first row; by default none.
    """
    caption, step = font_size + 8, PANEL + MARGIN
    heights = [
        max([PANEL, *(panel_height(pixels) for _, pixels in row if pixels is not None)])
        for row in rows
    ]
    first = MARGIN + (caption + MARGIN if columns else 0)
    size = (len(rows[0]) * step + MARGIN, sum(heights) + len(rows) * (caption + MARGIN) + first)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=font_size)
    for c, text in enumerate(columns):
        left, width = MARGIN + c * step, draw.textlength(text, font)
        draw.text((left + (PANEL - width) / 2, MARGIN), text, "black", font, stroke_width=0.5)
    if columns:
        draw.line([(MARGIN, first - MARGIN), (size[0] - MARGIN, first - MARGIN)], "grey")
    top = first
    for row, row_height in zip(rows, heights, strict=True):
        for c, (text, pixels) in enumerate(row):
            if pixels is None:
                continue
            image = Image.fromarray(pixels)
            kernel = Image.Resampling.LANCZOS if image.width > PANEL else Image.Resampling.NEAREST
            left = MARGIN + c * step
            draw.text((left, top), text, "black", font)
            panel = image.resize((PANEL, panel_height(pixels)), kernel)
            sheet.paste(panel, (left, top + caption))
        top += caption + row_height + MARGIN
    return np.asarray(sheet)


def panel_height(pixels: np.ndarray) -> int:
    """Height of an image [h,w,3] that is scaled to the width of a panel."""
    return round(PANEL * pixels.shape[0] / pixels.shape[1])
