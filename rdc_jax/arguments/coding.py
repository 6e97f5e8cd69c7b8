"""Arguments of what makes and reads `.rdc` files."""

from typing import Any

from rdc_jax.arguments.shared import (
    common,
    force,
    fusion,
    input_and_output,
    json_lines,
    max_pixels,
    model,
    new_command,
    number,
    quality,
    roi_gain,
    steps,
)


def add_encode(commands: Any) -> None:
    p = new_command(
        commands, "encode", "compress pictures to .rdc files", aliases=["compress"],
        epilog="Transparent parts are laid on white. EXIF orientation is applied, other metadata "
        "is not kept.",
    )  # fmt: skip
    input_and_output(p, "picture, folder of pictures, or - for standard input", ".rdc")
    rate = p.add_mutually_exclusive_group()
    quality(rate, "0 (smallest file) to 100 (closest to the original); default 50")
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
    roi_gain(p)
    p.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), default=0, metavar="N", help="of the dither"
    )
    steps(p, " a decoder takes unless told otherwise; default: the model's choice")
    p.add_argument(
        "--tau", type=number(float, 0, 1), metavar="T",
        help="realism a decoder aims at unless told otherwise: 0 faithful, 1 realistic; the coded "
        "picture is the same",
    )  # fmt: skip
    model(p)
    common(p)


def add_decode(commands: Any) -> None:
    p = new_command(commands, "decode", "turn .rdc files into pictures", aliases=["decompress"])
    input_and_output(p, ".rdc file, folder of them, or - for standard input", ".png")
    p.add_argument(
        "--tau", metavar="T|MAP|roi",
        help="0 (faithful) to 1 (realistic); or a picture of the same size, white where detail may "
        "be invented; or roi, which keeps important parts faithful; default: what the file says",
    )  # fmt: skip
    steps(p, " of the realistic picture; default: what the file says")
    p.add_argument(
        "--clock", choices=("proportional", "clamped"), default="proportional",
        help="order in which several steps treat the regions",
    )  # fmt: skip
    fusion(p)
    max_pixels(p)
    p.add_argument(
        "--symbol-hash", action="store_true",
        help="also print the SHA-256 of the decoded symbols, the same on every machine",
    )  # fmt: skip
    model(p)
    common(p)


def add_info(commands: Any) -> None:
    p = new_command(commands, "info", "show what is in a .rdc file, byte by byte")
    p.add_argument("input", metavar="FILE", help=".rdc file, or - for standard input")
    max_pixels(p)
    json_lines(p)


def add_models(commands: Any) -> None:
    json_lines(new_command(commands, "models", "list the models that are installed"))


def add_demo(commands: Any) -> None:
    p = new_command(commands, "demo", "encode and decode a photograph with and without a mask")
    p.add_argument("-o", "--output", default="rdc_demo", metavar="DIR", help="default: %(default)s")
    force(p, "the files of an earlier run")
