"""A sheet of details at 300 %: the original, and one file decoded with several fusion modules.

    python benchmarks/details.py --photo fur=FILE@X,Y --photo skin=FILE@X,Y --quality 25 \
        --module before=FOLDER --module after=tiny [--out details.jpg]

Each row shows one detail of 96 x 96 pixels: the original, the file at tau 0, the same file at tau 1
with each fusion module, and AVIF of the same size. --module takes the folder of a fusion module, or
the name of a model to use its own. Without --module, the fusion module of the model is used.
"""

from __future__ import annotations

import argparse
import io
import sys

import failures
import numpy as np
import speed
from PIL import Image

import rdc_jax
from rdc_jax.demo import draw_sheet
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.images import atomic_write
from rdc_jax.model_folder.codec_model import SHIPPED

SHOWN = 96  # side of a detail in pixels
ZOOM = 3


def enlarged(pixels: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """Returns an enlarged detail [288,288,3] of an image [H,W,3].

    The corner (x, y) is moved inside if needed.
    """
    left, top = (
        max(0, min(at, n - SHOWN)) for at, n in zip(corner, pixels.shape[1::-1], strict=True)
    )
    detail = pixels[top : top + SHOWN, left : left + SHOWN]
    return detail.repeat(ZOOM, 0).repeat(ZOOM, 1)


def module_of(argument: str) -> tuple[str, str]:
    """Parses NAME=FOLDER or NAME=MODEL to a name and the folder of a fusion module."""
    name, equals, folder = argument.partition("=")
    if not equals or not name:
        raise RdcError(f"--module takes NAME=FOLDER, not {argument!r}")
    shipped = SHIPPED / folder / "fusion"
    return name, str(shipped) if shipped.is_dir() else folder


def with_modules(model: str | None, modules: list[str]) -> dict[str, rdc_jax.Codec]:
    """Loads a model with each fusion module of `--module`, or with its own as "tau 1"."""
    folders = dict(map(module_of, modules)) or {"tau 1": None}
    codecs = {name: rdc_jax.load(model, folder) for name, folder in folders.items()}
    if any(codec.module is None for codec in codecs.values()):
        raise RdcError("this model has no fusion module; name one with --module NAME=FOLDER")
    return codecs


def run(arguments: argparse.Namespace) -> None:
    if not arguments.photo:
        raise RdcError("name at least one detail with --photo NAME=FILE@X,Y")
    codecs = with_modules(arguments.model, arguments.module)
    codec = next(iter(codecs.values()))
    panels, rows = [], []
    for name, pixels, corner in map(failures.photograph, arguments.photo):
        data = codec.encode(pixels, quality=arguments.quality)
        shown = {"original": pixels, "tau 0": codec.decode(data, tau=0.0)}
        shown |= {label: own.decode(data, tau=1.0) for label, own in codecs.items()}
        avif = baselines.size_matched("avif", pixels, len(data))[0]
        shown["AVIF"] = baselines.decode("avif", avif)
        captions = [name] + [""] * len(codecs) + ["", ""]
        details = [enlarged(image, corner) for image in shown.values()]
        panels.append(list(zip(captions, details, strict=True)))
        bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
        rows.append([name, len(data), len(avif), f"{bpp:.3f}"])
    print(table(["detail", "bytes", "AVIF's bytes", "bpp"], rows))
    data = io.BytesIO()
    Image.fromarray(draw_sheet(panels, columns=list(shown))).save(
        data, "JPEG", quality=88, subsampling=0
    )
    atomic_write(arguments.out, data.getvalue(), overwrite=True)
    print(f"look at {arguments.out}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photo", action="append", default=[], metavar="NAME=FILE[@X,Y]")
    parser.add_argument("--module", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--model", help="name or folder; default: the shipped one")
    parser.add_argument("--quality", type=float, default=25.0)
    parser.add_argument("--out", default="details.jpg", metavar="FILE")
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
