"""The `rdc` command: its arguments, and how errors reach the user.

Each command is a module of `rdc_jax.commands` with a function run(args) -> exit code, imported
when it is called: only those that run a network start JAX.
"""

import argparse
import importlib
import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from rdc_jax import __version__
from rdc_jax.errors import RdcError

FAILED, BROKEN_PIPE, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, or 2 after one line that says what is wrong.

    Only an RdcError becomes that line; any other exception is a bug and keeps its traceback.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read by XLA when JAX is imported
    # Orbax narrates every checkpoint, and every failure once a thread; those it also raises.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be Unicode
    try:
        args = build_parser().parse_args(arguments)
        code = importlib.import_module(f"rdc_jax.commands.{args.module}").run(args)
        sys.stdout.flush()
        return code
    except RdcError as error:
        print("rdc: error:", *str(error).split(), file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # `rdc info FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        print("rdc: interrupted", file=sys.stderr)
        return INTERRUPTED


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument like any other error, in one line."""

    def error(self, message: str) -> NoReturn:
        raise RdcError(f"{message}; see `{self.prog} --help`")


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(prog="rdc", description="Region-adaptive diffusion image compression.")
    parser.add_argument("--version", action="version", version=f"rdc {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    makers = (add_encode, add_decode, add_info, add_plot, add_train, add_data, add_models)
    for add in (*makers, add_import, add_demo):
        add(commands)
    return parser


def add_encode(commands: Any) -> None:
    p = _command(
        commands, "encode", "compress pictures to .rdc files", aliases=["compress"],
        epilog="Transparent parts are laid on white. EXIF orientation is applied, other metadata "
        "is not kept.",
    )  # fmt: skip
    _input_and_output(p, "picture, folder of pictures, or - for standard input", ".rdc")
    rate = p.add_mutually_exclusive_group()
    rate.add_argument(
        "-q", "--quality", type=number(float, 0, 100), metavar="Q",
        help="0 (smallest file) to 100 (closest to the original); default 50",
    )  # fmt: skip
    rate.add_argument(
        "--target-bpp", type=number(float, 0), metavar="B",
        help="largest size of the whole file in bits per pixel, instead of a quality",
    )  # fmt: skip
    p.add_argument(
        "--roi", metavar="MASK",
        help="picture of the input's size: white is important, black is not, greys lie between",
    )  # fmt: skip
    p.add_argument(
        "--roi-box", action="append", default=[], metavar="X,Y,W,H",
        help="important rectangle in pixels; may be repeated and joined with --roi",
    )  # fmt: skip
    p.add_argument(
        "--roi-gain", type=number(float, 0, 1000), metavar="G",
        help="timesteps between unimportant and important parts",
    )  # fmt: skip
    p.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), default=0, metavar="N", help="of the dither"
    )
    p.add_argument(
        "--steps", type=number(int, 1, 255), metavar="N",
        help="sampler steps a decoder takes unless told otherwise; default: the model's choice",
    )  # fmt: skip
    p.add_argument(
        "--tau", type=number(float, 0, 1), metavar="T",
        help="realism a decoder aims at unless told otherwise: 0 faithful, 1 realistic; the coded "
        "picture is the same",
    )  # fmt: skip
    _model(p)
    _common(p)


def add_decode(commands: Any) -> None:
    p = _command(commands, "decode", "turn .rdc files into pictures", aliases=["decompress"])
    _input_and_output(p, ".rdc file, folder of them, or - for standard input", ".png")
    p.add_argument(
        "--tau", metavar="T|MAP|roi",
        help="0 (faithful) to 1 (realistic); or a picture of the same size, white where detail may "
        "be invented; or roi, which keeps important parts faithful; default: what the file says",
    )  # fmt: skip
    p.add_argument(
        "--steps", type=number(int, 1, 255), metavar="N",
        help="sampler steps of the realistic picture; default: what the file says",
    )  # fmt: skip
    p.add_argument(
        "--clock", choices=("proportional", "clamped"), default="proportional",
        help="order in which several steps treat the regions",
    )  # fmt: skip
    _fusion(p)
    _max_pixels(p)
    p.add_argument(
        "--symbol-hash", action="store_true",
        help="also print the SHA-256 of the decoded symbols, the same on every machine",
    )  # fmt: skip
    _model(p)
    _common(p)


def add_info(commands: Any) -> None:
    p = _command(commands, "info", "show what is in a .rdc file, byte by byte")
    p.add_argument("input", metavar="FILE", help=".rdc file, or - for standard input")
    _max_pixels(p)
    _json(p)


def add_plot(commands: Any) -> None:
    p = _command(commands, "plot", "draw what the codec does")
    kinds = p.add_subparsers(metavar="WHAT", required=True, title="plots")
    p = _command(
        kinds, "tau", "the trade-off of one photograph: a curve, and a strip of pictures",
        epilog="Needs matplotlib (pip install 'rdc_jax[plot]') and the LPIPS weights (README).",
    )  # fmt: skip
    p.set_defaults(module="plot")
    p.add_argument("input", metavar="PHOTO", help="picture, or - for standard input")
    p.add_argument(
        "-o", "--output", metavar="OUT", help=".png, .svg or .pdf; default: NAME_tau.png"
    )
    p.add_argument("-f", "--force", action="store_true", help="replace an existing file")
    p.add_argument(
        "-q", "--quality", type=number(float, 0, 100), default=30, metavar="Q",
        help="of the file; default %(default)s",
    )  # fmt: skip
    p.add_argument(
        "--steps", type=number(int, 1, 255), metavar="N", help="sampler steps; default: the model's"
    )
    _model(p)
    _fusion(p)


def add_train(commands: Any) -> None:
    p = _command(commands, "train", "train a model, or go on where a run stopped")
    p.add_argument(
        "--config", required=True, metavar="PATH[:VARIANT]",
        help="Python file with get_config(), for instance configs/tiny.py:smoke",
    )  # fmt: skip
    p.add_argument(
        "overrides", nargs="*", metavar="key=value", help="changed setting: training.total_steps=9"
    )
    p.add_argument(
        "--aot", metavar="TOPOLOGY",
        help="do not train: compile the step for TPUs such as v5e:16x16, and print the memory it "
        "needs and the speed it should have; needs libtpu",
    )  # fmt: skip


def add_data(commands: Any) -> None:
    p = _command(commands, "data", "make data sets for training")
    actions = p.add_subparsers(metavar="ACTION", required=True, title="actions")
    p = _command(
        actions, "prepare", "turn a folder of images into ArrayRecord shards",
        epilog="Run again after an interruption, it goes on with the missing shards. Train on the "
        "result with data.kind=array_record data.path=OUT.",
    )  # fmt: skip
    p.set_defaults(module="data", action="prepare")
    p.add_argument("folder", metavar="FOLDER", help="all jpg, png and webp images below it")
    p.add_argument("out", metavar="OUT", help="folder of the shards, manifest.json, skipped.txt")
    p.add_argument(
        "--shards", type=number(int, 1, 99999), metavar="N", help="default: one for each 128 MiB"
    )
    p.add_argument(
        "--workers", type=number(int, 1, 512), metavar="N", help="processes; default: one a CPU"
    )
    p.add_argument(
        "--max-side", type=number(int, 64), metavar="PIXELS",
        help="scale larger images down to this longer side; default: leave all bytes untouched",
    )  # fmt: skip
    p.add_argument(
        "--quality", type=number(int, 1, 100), metavar="Q",
        help="JPEG quality of images that are scaled down; default 95",
    )  # fmt: skip
    p.add_argument(
        "--masks", metavar="DIR",
        help="segmentations: for FOLDER/a/b.jpg, DIR/a/b.png with a segment number per pixel",
    )  # fmt: skip
    p = _command(
        actions, "encode-latents", "run a frozen autoencoder over a set of photos once",
        epilog="Run again after an interruption, it goes on with the missing shards. Train on the "
        "result with data.kind=latents data.path=OUT, stage=diffusion or stage=entropy, and the "
        "same init_from.",
    )  # fmt: skip
    p.set_defaults(module="encode_latents")
    p.add_argument(
        "--config", required=True, metavar="PATH[:VARIANT]",
        help="of the training that will follow, for instance configs/sd21.py",
    )  # fmt: skip
    p.add_argument("out", metavar="OUT", help="folder of the shards, manifest.json, skipped.txt")
    p.add_argument(
        "overrides", nargs="*", metavar="key=value",
        help="changed setting: init_from=FOLDER with the autoencoder (required), data.kind and "
        "data.path of the photos",
    )  # fmt: skip
    p.add_argument(
        "--tile", type=number(int, 8), metavar="PIXELS",
        help="side of the squares that photos are cut into, and smaller photos are scaled up to; "
        "default: 2 data.crop_size",
    )  # fmt: skip
    p.add_argument(
        "--batch", type=number(int, 1, 4096), metavar="N", help="tiles a device; default 4"
    )
    p.add_argument(
        "--shards", type=number(int, 1, 99999), metavar="N", help="default: one for 1024 photos"
    )


def add_models(commands: Any) -> None:
    _json(_command(commands, "models", "list the models that are installed"))


def add_import(commands: Any) -> None:
    p = _command(
        commands, "import", "make a model from another project's weights",
        epilog="Reads mbt2018-mean of CompressAI: .safetensors or (with torch) .pth files.",
    )  # fmt: skip
    p.set_defaults(module="import_model")
    p.add_argument("--from", dest="origin", choices=("compressai",), required=True)
    p.add_argument("path", metavar="PATH", help="file with the state dict")
    p.add_argument("out", metavar="OUT", help="model folder, for `rdc encode --model OUT`")
    p.add_argument("-f", "--force", action="store_true", help="replace an existing model")
    _json(p)


def add_demo(commands: Any) -> None:
    p = _command(commands, "demo", "encode and decode a photograph with and without a mask")
    p.add_argument("-o", "--output", default="rdc_demo", metavar="DIR", help="default: %(default)s")


def number(kind: type, least: float, most: float = float("inf")) -> Callable[[str], Any]:
    """An argparse type: a number of `kind` in least..most."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            noun = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"'{text}' is not a {noun}") from None
        if not least <= value <= most:
            limits = f"{least} to {most}" if most < float("inf") else f"{least} or more"
            raise argparse.ArgumentTypeError(f"{text} is not in the range {limits}")
        return value

    return parse


def _command(commands: Any, name: str, summary: str, **options: Any) -> argparse.ArgumentParser:
    description = summary[0].upper() + summary[1:] + "."
    p = commands.add_parser(name, help=summary, description=description, **options)
    p.set_defaults(module=name)
    return p


def _input_and_output(p: argparse.ArgumentParser, what: str, extension: str) -> None:
    p.add_argument("input", nargs="+", metavar="INPUT", help=what)
    p.add_argument(
        "-o", "--output", metavar="OUT",
        help="file, - for standard output, or for several inputs a folder; default: the input's "
        f"name with {extension}",
    )  # fmt: skip
    p.add_argument("-f", "--force", action="store_true", help="replace existing files")


def _model(p: argparse.ArgumentParser) -> None:
    p.add_argument("--model", metavar="NAME_OR_PATH", help="a name from `rdc models`, or a folder")


def _fusion(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--fusion", metavar="FOLDER",
        help="another plug-and-play module than the one that comes with the model, or none",
    )  # fmt: skip


def _max_pixels(p: argparse.ArgumentParser) -> None:
    p.add_argument("--max-pixels", type=number(int, 1), metavar="N", help="refuse larger pictures")


def _json(p: argparse.ArgumentParser) -> None:
    p.add_argument("-j", "--json", action="store_true", help="one line of JSON per file")


def _common(p: argparse.ArgumentParser) -> None:
    _json(p)
    p.add_argument("--quiet", action="store_true", help="print errors only")
    p.add_argument("-v", "--verbose", action="store_true", help="print more about each file")
