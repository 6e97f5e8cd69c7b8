"""Arguments of evaluation and plots."""

from argparse import ArgumentParser
from typing import Any

from rdc_jax.cli.flags.shared import (
    config_and_overrides,
    force,
    fusion,
    model,
    new_command,
    number,
    numbers,
    quality,
    roi_gain,
    steps,
    words,
)


def add_eval(commands: Any) -> None:
    p = new_command(
        commands, "eval", "measure codecs on a folder of images: tables, curves, a report",
        epilog="Writes results.json, results.csv, report.html and every coded file into DIR. Run "
        "the command again to continue after an interruption. Exit code 2 if something was "
        "skipped.",
    )  # fmt: skip
    p.set_defaults(module="evaluate")
    data_and_out(
        p,
        "PNG, JPEG and WebP images; or tfds:NAME/SPLIT, a data set that TFDS has prepared",
        "rdc_eval",
    )
    what_is_measured(p)
    regions_of_all(p)
    roi_gain(p)
    qualities(p, "5,20,35,50,65,80,92,100", "of our codec; ")
    p.add_argument(
        "--taus", type=numbers, default=numbers("0"), metavar="T,T",
        help="tau of our decoder, one curve each; default: 0",
    )  # fmt: skip
    steps(p, "")
    differences(p)
    limit(p)
    p.add_argument(
        "--shown", type=number(int, 0), default=4, metavar="N",
        help="number of images in the report; default: %(default)s",
    )  # fmt: skip
    p.add_argument(
        "--jobs", type=number(int, 1, 512), metavar="N",
        help="number of classical codecs that run at the same time; default: one a core",
    )  # fmt: skip
    model(p)
    fusion(p)
    others = p.add_subparsers(metavar="WHAT", title="other evaluations")
    add_ablations(others)
    add_preference(others)


def what_is_measured(p: ArgumentParser) -> None:
    """Codecs and metrics."""
    p.add_argument(
        "--codecs", type=words, default=words("rdc,jpeg,webp,avif"), metavar="A,B",
        help="rdc and classical codecs: jpeg, jpeg444, webp, avif, jp2, jxl, heic, vvc, hevc-roi; "
        "default: rdc,jpeg,webp,avif",
    )  # fmt: skip
    p.add_argument(
        "--metrics", type=words, metavar="A,B",
        help="psnr-rgb, ms-ssim-rgb, lpips-alex, lpips-vgg, dists, ssimulacra2, butteraugli, "
        "vmaf; of all images together fd-alexnet, kid-alexnet, fd-vgg16, kid-vgg16, fid, kid; "
        "default: the first three, as far as they are installed",
    )  # fmt: skip
    p.add_argument(
        "--inception", metavar="FILE", help="TorchScript network for fid and kid; needs torch"
    )


def regions_of_all(p: ArgumentParser) -> None:
    """The masks of the images."""
    p.add_argument(
        "--masks", metavar="DIR|center|auto|faces|objects|contrast",
        help="regions of interest: a folder with a mask of each image's name, a centred ellipse "
        "of a quarter of the area, or a detector as for `rdc encode --roi`; metrics are then also "
        "measured inside and outside",
    )  # fmt: skip


def differences(p: ArgumentParser) -> None:
    """How curves are compared."""
    p.add_argument(
        "--anchors", type=words, default=words("jpeg,webp,avif"), metavar="A,B",
        help="curves that BD-rates compare with; default: jpeg,webp,avif",
    )  # fmt: skip
    p.add_argument(
        "--method", choices=("pchip", "cubic", "akima"), default="pchip",
        help="interpolation for BD-rates; default: %(default)s",
    )  # fmt: skip
    p.add_argument(
        "--window", type=numbers, default=None, metavar="LOW,HIGH",
        help="range of bits per pixel for BD-rates; default: all",
    )  # fmt: skip


def add_ablations(kinds: Any) -> None:
    p = new_command(
        kinds, "ablations", "measure what each part of the method adds, with paired intervals",
        epilog="Trains small variants of a model, then compares files image by image. Run the "
        "command again to continue after an interruption.",
    )  # fmt: skip
    config_and_overrides(
        p, "config of the training, for instance configs/tiny.py",
        "init_from=MODEL and data.path=PHOTOS (both required)", metavar="PATH",
    )  # fmt: skip
    data_and_out(p, "images to measure", "rdc_ablations", required=True)
    p.add_argument(
        "--entropy-steps", type=number(int, 1), default=600, metavar="N",
        help="training steps of each variant of the entropy model; default: %(default)s",
    )  # fmt: skip
    p.add_argument(
        "--diffusion-steps", type=number(int, 1), default=300, metavar="N",
        help="training steps of each variant of the denoiser; default: %(default)s",
    )  # fmt: skip
    qualities(p, "10,30,50,75")
    limit(p)


def add_preference(kinds: Any) -> None:
    p = new_command(
        kinds, "preference", "ask people which of two images at equal bytes they prefer",
        epilog="With --serve, a page on this machine shows random pairs of images that `rdc eval` "
        "coded. Every answer is written to DIR/preference.csv at once. Without --serve, the "
        "command summarises the answers.",
    )  # fmt: skip
    out(p, "rdc_eval", "folder of `rdc eval`; default: ")
    p.add_argument("--serve", action="store_true", help="ask; Ctrl-C ends and summarises")
    p.add_argument("--port", type=number(int, 0, 65535), default=8765, help="default: %(default)s")
    p.add_argument(
        "--tolerance", type=number(float, 0, 1), default=0.05, metavar="X",
        help="largest relative difference in bytes within a pair; default: %(default)s",
    )  # fmt: skip
    p.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="seed of the order")


def add_plot(commands: Any) -> None:
    p = new_command(commands, "plot", "draw curves of codecs and of training runs")
    kinds = p.add_subparsers(metavar="WHAT", required=True, title="plots")
    add_curves(kinds)
    add_training_curves(kinds)
    p = new_command(
        kinds, "tau", "the trade-off of one photograph: a curve and a strip of images",
        epilog="Needs matplotlib (pip install matplotlib) and the LPIPS weights (README).",
    )  # fmt: skip
    p.set_defaults(module="plot")
    p.add_argument("input", metavar="PHOTO", help="image, or - for standard input")
    drawing(p, None, "NAME_tau.png")
    quality(p, "quality of the file; default: %(default)s", default=30)
    steps(p, "; default: the model's choice")
    model(p)
    fusion(p)


def add_curves(kinds: Any) -> None:
    p = new_command(
        kinds, "curves", "rate-quality curves of `rdc eval` and of CompressAI's result files",
        epilog="Needs matplotlib (pip install matplotlib).",
    )  # fmt: skip
    p.set_defaults(module="plot_curves")
    p.add_argument("input", nargs="+", metavar="JSON", help="results.json, or CompressAI's files")
    drawing(p, "curves.png")
    p.add_argument(
        "--metrics", type=words, metavar="A,B", help="default: all metrics of the curves"
    )


def add_training_curves(kinds: Any) -> None:
    p = new_command(
        kinds, "training", "curves of training runs: losses, held-out crops, gains at equal rate",
        epilog="Needs matplotlib (pip install matplotlib). Several runs share the panels.",
    )  # fmt: skip
    p.set_defaults(module="plot_training")
    p.add_argument(
        "input", nargs="+", metavar="RUN", help="workdir of `rdc train`, or its metrics.jsonl"
    )
    drawing(p, "training.png")


# Arguments of several evaluations, or of several plots.


def data_and_out(p: ArgumentParser, images: str, default: str, required: bool = False) -> None:
    """Adds --data and --out.

    Args:
        p: The parser.
        images: Help text of --data.
        default: Default of --out.
        required: Whether --data is required.
    """
    p.add_argument("--data", required=required, metavar="FOLDER", help=images)
    out(p, default, "default: ")


def out(p: ArgumentParser, default: str, details: str) -> None:
    """Adds --out; `details` comes before the default in its help text."""
    p.add_argument("--out", default=default, metavar="DIR", help=f"{details}%(default)s")


def qualities(p: ArgumentParser, default: str, details: str = "") -> None:
    """Adds --qualities; `details` comes before the default in its help text."""
    p.add_argument(
        "--qualities", type=numbers, default=numbers(default), metavar="Q,Q",
        help=f"{details}default: {default}",
    )  # fmt: skip


def limit(p: ArgumentParser) -> None:
    p.add_argument(
        "--limit", type=number(int, 1), metavar="N", help="measure only the first N images"
    )


def drawing(p: ArgumentParser, default: str | None, shown: str = "%(default)s") -> None:
    """Adds --output of a figure, and --force; `shown` is the default in the help text."""
    p.add_argument(
        "-o", "--output", default=default, metavar="OUT",
        help=f".png, .svg or .pdf; default: {shown}",
    )  # fmt: skip
    force(p, "an existing file")
