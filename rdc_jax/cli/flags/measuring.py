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
        commands, "eval", "measure codecs on a folder of pictures: tables, curves, a report",
        epilog="Writes results.json, results.csv, report.html and every coded file into DIR. Run "
        "again after an interruption, it goes on. Exit code 2 if something had to be skipped.",
    )  # fmt: skip
    p.set_defaults(module="evaluate")
    data_and_out(
        p,
        "PNG, JPEG and WebP pictures; or tfds:NAME/SPLIT, a set that TFDS has prepared",
        "rdc_eval",
    )
    p.add_argument(
        "--codecs", type=words, default=words("rdc,jpeg,webp,avif"), metavar="A,B",
        help="rdc and classical ones: jpeg, jpeg444, webp, avif, jp2, jxl, heic, vvc, hevc-roi; "
        "default: rdc,jpeg,webp,avif",
    )  # fmt: skip
    p.add_argument(
        "--metrics", type=words, default=words("psnr-rgb,ms-ssim-rgb,lpips-alex"), metavar="A,B",
        help="of psnr-rgb, ms-ssim-rgb, lpips-alex, lpips-vgg, dists, ssimulacra2, butteraugli, "
        "vmaf; and of all pictures together fd-alexnet, kid-alexnet, fd-vgg16, kid-vgg16, fid, "
        "kid; default: the first three",
    )  # fmt: skip
    p.add_argument(
        "--inception", metavar="FILE", help="TorchScript network for fid and kid; needs torch"
    )
    p.add_argument(
        "--masks", metavar="DIR|center|auto|faces|objects|contrast",
        help="regions of interest: a folder with a mask of each picture's name, a centred "
        "ellipse of a quarter of the area, or what is found in each picture, as for `rdc encode "
        "--roi`; figures are then also given inside and outside",
    )  # fmt: skip
    roi_gain(p)
    qualities(p, "5,20,35,50,65,80,92,100", "of our codec; ")
    p.add_argument(
        "--taus", type=numbers, default=numbers("0"), metavar="T,T",
        help="of our decoder, a curve each; default: 0",
    )  # fmt: skip
    steps(p, "")
    p.add_argument(
        "--anchors", type=words, default=words("jpeg,webp,avif"), metavar="A,B",
        help="curves that BD-rates are against; default: jpeg,webp,avif",
    )  # fmt: skip
    p.add_argument(
        "--method", choices=("pchip", "cubic", "akima"), default="pchip",
        help="interpolation of BD-rates; default: %(default)s",
    )  # fmt: skip
    p.add_argument(
        "--window", type=numbers, default=None, metavar="LOW,HIGH",
        help="bits per pixel that BD-rates are confined to",
    )  # fmt: skip
    limit(p)
    p.add_argument(
        "--shown", type=number(int, 0), default=4, metavar="N",
        help="pictures that the report shows; default: %(default)s",
    )  # fmt: skip
    p.add_argument(
        "--jobs", type=number(int, 1, 512), metavar="N",
        help="classical codecs at the same time; default: one a core",
    )  # fmt: skip
    model(p)
    fusion(p)
    others = p.add_subparsers(metavar="WHAT", title="other evaluations")
    add_ablations(others)
    add_preference(others)


def add_ablations(kinds: Any) -> None:
    p = new_command(
        kinds, "ablations", "which parts of the method earn their place, with paired intervals",
        epilog="Trains small variants of a model, then compares files picture by picture. Run "
        "again after an interruption, it goes on with the training.",
    )  # fmt: skip
    config_and_overrides(
        p, "of training, for instance configs/tiny.py",
        "init_from=MODEL and data.path=PHOTOS are needed", metavar="PATH",
    )  # fmt: skip
    data_and_out(p, "pictures to measure on", "rdc_ablations", required=True)
    p.add_argument(
        "--entropy-steps", type=number(int, 1), default=600, metavar="N",
        help="of training for each variant of the entropy model; default: %(default)s",
    )  # fmt: skip
    p.add_argument(
        "--diffusion-steps", type=number(int, 1), default=300, metavar="N",
        help="of training for each variant of the denoiser; default: %(default)s",
    )  # fmt: skip
    qualities(p, "10,30,50,75")
    limit(p)


def add_preference(kinds: Any) -> None:
    p = new_command(
        kinds, "preference", "ask people which of two pictures at equal bytes they prefer",
        epilog="With --serve, a page on this machine shows random pairs of what `rdc eval` coded; "
        "every answer goes to DIR/preference.csv at once. Without, sums up the answers.",
    )  # fmt: skip
    out(p, "rdc_eval", "of `rdc eval`; ")
    p.add_argument("--serve", action="store_true", help="ask; Ctrl-C ends and sums up")
    p.add_argument("--port", type=number(int, 0, 65535), default=8765, help="default: %(default)s")
    p.add_argument(
        "--tolerance", type=number(float, 0, 1), default=0.05, metavar="X",
        help="largest relative difference in bytes of a pair; default: %(default)s",
    )  # fmt: skip
    p.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="of the order")


def add_plot(commands: Any) -> None:
    p = new_command(commands, "plot", "draw what the codec does")
    kinds = p.add_subparsers(metavar="WHAT", required=True, title="plots")
    add_curves(kinds)
    add_training_curves(kinds)
    p = new_command(
        kinds, "tau", "the trade-off of one photograph: a curve, and a strip of pictures",
        epilog="Needs matplotlib (pip install 'rdc_jax[plot]') and the LPIPS weights (README).",
    )  # fmt: skip
    p.set_defaults(module="plot")
    p.add_argument("input", metavar="PHOTO", help="picture, or - for standard input")
    drawing(p, None, "NAME_tau.png")
    quality(p, "of the file; default %(default)s", default=30)
    steps(p, "; default: the model's")
    model(p)
    fusion(p)


def add_curves(kinds: Any) -> None:
    p = new_command(
        kinds, "curves", "rate-quality curves of `rdc eval`, and of CompressAI's result files",
        epilog="Needs matplotlib (pip install 'rdc_jax[plot]').",
    )  # fmt: skip
    p.set_defaults(module="plot_curves")
    p.add_argument("input", nargs="+", metavar="JSON", help="results.json, or CompressAI's files")
    drawing(p, "curves.png")
    p.add_argument("--metrics", type=words, metavar="A,B", help="default: all that every curve has")


def add_training_curves(kinds: Any) -> None:
    p = new_command(
        kinds, "training", "the curves of training runs: losses, held-out crops, at equal rate",
        epilog="Needs matplotlib (pip install 'rdc_jax[plot]'). Several runs share the panels.",
    )  # fmt: skip
    p.set_defaults(module="plot_training")
    p.add_argument(
        "input", nargs="+", metavar="RUN", help="workdir of `rdc train`, or its metrics.jsonl"
    )
    drawing(p, "training.png")


# Arguments of several evaluations, or of several plots.


def data_and_out(p: ArgumentParser, pictures: str, default: str, required: bool = False) -> None:
    p.add_argument("--data", required=required, metavar="FOLDER", help=pictures)
    out(p, default, "default: ")


def out(p: ArgumentParser, default: str, said: str) -> None:
    p.add_argument("--out", default=default, metavar="DIR", help=f"{said}%(default)s")


def qualities(p: ArgumentParser, default: str, said: str = "") -> None:
    p.add_argument(
        "--qualities", type=numbers, default=numbers(default), metavar="Q,Q",
        help=f"{said}default: {default}",
    )  # fmt: skip


def limit(p: ArgumentParser) -> None:
    p.add_argument("--limit", type=number(int, 1), metavar="N", help="only the first pictures")


def drawing(p: ArgumentParser, default: str | None, said: str = "%(default)s") -> None:
    p.add_argument(
        "-o", "--output", default=default, metavar="OUT",
        help=f".png, .svg or .pdf; default: {said}",
    )  # fmt: skip
    force(p, "an existing file")
