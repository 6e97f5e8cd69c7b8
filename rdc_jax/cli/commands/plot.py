"""`rdc plot tau PHOTO`: the trade-off along tau on one photograph."""

import importlib.util
import io
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rdc_jax.cli import outputs
from rdc_jax.cli.lazy_codec import LazyCodec
from rdc_jax.cli.outputs import Job
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import tradeoff
from rdc_jax.evaluation.report import curves_plot
from rdc_jax.images import atomic_write, read_image

TAUS = (0.0, 0.25, 0.5, 0.75, 1.0)
CLOSE_UP = 192  # pixels


def run(args: Namespace) -> int:
    output = Path(args.output or f"{Path(args.input).stem}_tau.png")
    file_format = curves_plot.format_of(output)
    outputs.check_target(Job(args.input, str(output)), args.force, may_make_folder=False)
    _require_matplotlib()
    original = read_image(args.input).pixels
    model = LazyCodec(args.model, args.fusion)
    from rdc_jax.models import lpips, lpips_weights

    weights = lpips_weights.load("alexnet")
    codec = model.codec
    data = codec.encode(original, quality=args.quality)
    points = tradeoff.sweep(
        lambda tau: codec.decode(data, tau=tau, steps=args.steps),
        original,
        TAUS,
        lambda a, b: lpips.measure_lpips(weights, a, b),
    )
    bpp = 8 * len(data) / (original.shape[0] * original.shape[1])
    title = f"{Path(args.input).name}: one file of {len(data)} bytes, {bpp:.3f} bits per pixel"
    drawn = draw(original, points, title, file_format)
    atomic_write(output, drawn, overwrite=args.force)
    for point in points:
        print(f"tau {point.tau:.2f}  PSNR {point.psnr:6.2f} dB  LPIPS {point.distance:.4f}")
    print(output)
    return 0


def draw(
    original: np.ndarray, points: Sequence[tradeoff.Point], title: str, file_format: str
) -> bytes:
    """Draws PSNR against LPIPS and, below, close-ups from faithful to realistic.

    Args:
        original: uint8 [H,W,3].
        points: Decodes at each tau.
        title: Title of the figure.
        file_format: 'png', 'svg' or 'pdf'.

    Returns:
        The file.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    count = len(points) + 1
    figure = Figure(figsize=(2.2 * count, 5.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    upper, lower = figure.subfigures(2, 1, height_ratios=(3, 2.4))
    whole, curve = upper.subplots(1, 2, width_ratios=(1.2, 1))
    window = tradeoff.busiest_window(original, CLOSE_UP)
    whole.imshow(original)
    top, left, side = window[0].start, window[1].start, window[0].stop - window[0].start
    whole.add_patch(Rectangle((left, top), side, side, fill=False, edgecolor="white", lw=1.5))
    whole.set_axis_off()
    whole.set_title("original", fontsize=9)
    curve.plot([p.psnr for p in points], [p.distance for p in points], "o-", color="#1f5fa8")
    for point in points:
        curve.annotate(
            f"$\\tau$ = {point.tau:g}", (point.psnr, point.distance),
            textcoords="offset points", xytext=(6, 5), fontsize=8,
        )  # fmt: skip
    curve.set_xlabel("PSNR, dB (right is more faithful)", fontsize=9)
    curve.set_ylabel("LPIPS, AlexNet (down is more realistic)", fontsize=9)
    curve.margins(0.18)
    curve.grid(alpha=0.3)
    images = [("original", original), *((_caption(p), p.image) for p in points)]
    for axes, (caption, image) in zip(lower.subplots(1, count), images, strict=True):
        axes.imshow(image[window])
        axes.set_title(caption, fontsize=8)
        axes.set_axis_off()
    encoded = io.BytesIO()
    figure.savefig(encoded, format=file_format, dpi=130)
    return encoded.getvalue()


def _caption(point: tradeoff.Point) -> str:
    return f"$\\tau$ = {point.tau:g}\n{point.psnr:.1f} dB, {point.distance:.3f}"


def _require_matplotlib() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        raise RdcError("plots need matplotlib: pip install matplotlib")
