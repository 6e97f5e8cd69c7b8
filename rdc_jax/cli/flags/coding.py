"""Arguments of what makes and reads `.rdc` files."""

from typing import Any

from rdc_jax.cli.flags.images import alpha, file_format, metadata
from rdc_jax.cli.flags.shared import (
    common,
    force,
    fusion,
    input_and_output,
    json_lines,
    max_pixels,
    model,
    new_command,
    number,
    percent_or_full,
    quality,
    roi_gain,
    size_in_bytes,
    steps,
)


def add_encode(commands: Any) -> None:
    p = new_command(
        commands, "encode", "compress pictures to .rdc files", aliases=["compress"],
        epilog="Orientation is applied to the pixels. ICC profile, EXIF and XMP go into the file "
        "as they are, and count in its size. 16 bits a channel and float (0..1) are rounded to 8 "
        "bits, CMYK and Lab become sRGB; of an animation the first frame is taken. "
        "docs/images.md has the table.",
    )  # fmt: skip
    input_and_output(p, "picture, folder of pictures, or - for standard input", ".rdc")
    rate = p.add_mutually_exclusive_group()
    quality(rate, "0 (smallest file) to 100 (closest to the original); default 50")
    rate.add_argument(
        "--target-bpp", type=number(float, 0), metavar="B",
        help="largest size of the whole file in bits per pixel, instead of a quality",
    )  # fmt: skip
    rate.add_argument(
        "--target-size", type=size_in_bytes, metavar="SIZE",
        help="largest size of the whole file in bytes; 80k and 1.2M count in 1000, 64KiB and 2MiB "
        "in 1024",
    )  # fmt: skip
    rate.add_argument(
        "--target-quality", metavar="METRIC=VALUE",
        help="smallest file whose picture, decoded as the file suggests, reaches psnr=35 (dB), "
        "ms-ssim=0.97 or lpips=0.1; takes some decodes",
    )  # fmt: skip
    p.add_argument(
        "--best-effort", action="store_true",
        help="when no file meets the target, write the nearest with a note instead of failing",
    )  # fmt: skip
    regions(p)
    roi_gain(p)
    p.add_argument(
        "--roi-only", action="store_true",
        help="the quality is that of the regions; the rest gets as little as the model can send "
        "and looks very soft",
    )  # fmt: skip
    p.add_argument(
        "--map-cost", type=percent_or_full, metavar="PERCENT", default=2.0,
        help="share of the file that the map of the regions may take; one that takes more is made "
        "coarser; full: keep it whatever it takes; default: 2",
    )  # fmt: skip
    p.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), default=0, metavar="N", help="of the dither"
    )
    tiles = p.add_mutually_exclusive_group()
    tiles.add_argument(
        "--tile", type=number(int, 0), metavar="PIXELS",
        help="side of the parts that decode alone, a power of two; 0: none; default: 1024 for "
        "pictures of more than 4 megapixels, else none",
    )  # fmt: skip
    tiles.add_argument(
        "--resilient", action="store_true",
        help="small parts, 256 pixels, for files that may be damaged",
    )  # fmt: skip
    steps(p, " a decoder takes unless told otherwise; default: the model's choice")
    p.add_argument(
        "--tau", type=number(float, 0, 1), metavar="T",
        help="realism a decoder aims at unless told otherwise: 0 faithful, 1 realistic; the coded "
        "picture is the same",
    )  # fmt: skip
    alpha(p)
    metadata(p)
    model(p)
    common(p)


def regions(p: Any) -> None:
    p.add_argument(
        "--roi", metavar="MASK|auto|center|faces|objects|contrast",
        help="what is important: a picture of the input's size, white where it is, greys between; "
        "auto, what the best installed finders see: faces and objects by networks, else contrast, "
        "what stands out by colours and detail; one of these by name; or center, an ellipse",
    )  # fmt: skip
    for name, kind in (("--roi-box", "rectangle"), ("--roi-ellipse", "ellipse")):
        p.add_argument(
            name, action="append", default=[], metavar="X,Y,W,H",
            help=f"important {kind} in pixels; all regions may be repeated and joined",
        )  # fmt: skip
    p.add_argument(
        "--roi-polygon", action="append", default=[], metavar="X,Y,X,Y,X,Y",
        help="important polygon, three corners or more",
    )  # fmt: skip
    p.add_argument(
        "--fovea", action="append", default=[], metavar="X,Y[,R]",
        help="point that is looked at: importance falls off around it, to .6 at R pixels",
    )  # fmt: skip


def add_roi(commands: Any) -> None:
    p = new_command(
        commands, "roi", "show the importance map that a picture would be coded with",
        epilog="Without a region, auto. The map is a picture that --roi takes, painted in or not.",
    )  # fmt: skip
    p.add_argument("input", metavar="PHOTO", help="picture, or - for standard input")
    p.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="a lossless picture; default: NAME_roi.png, or standard output",
    )
    force(p, "an existing file")
    regions(p)
    model(p)
    json_lines(p)


def add_decode(commands: Any) -> None:
    p = new_command(
        commands, "decode", "turn .rdc files into pictures", aliases=["decompress"],
        epilog="onnxruntime starts sooner than XLA on a CPU; symbols are the same and pixels equal "
        "up to rounding. auto takes it where it is installed, the model's folder holds graphs of "
        "`rdc export --to onnx`, the file needs one step (--steps 1 or --tau 0), and JAX_PLATFORMS "
        "is cpu, or is unset and no JAX plugin for a GPU or TPU is installed.",
    )  # fmt: skip
    input_and_output(p, ".rdc file, folder of them, or - for standard input", ".png")
    p.add_argument(
        "--tau", metavar="T|MAP|roi",
        help="0 (faithful) to 1 (realistic); or a picture of the same size, white where detail may "
        "be invented; or roi, which keeps important parts faithful; default: what the file says",
    )  # fmt: skip
    steps(p, " of the realistic picture; default: what the file says")
    file_format(p)
    metadata(p)
    p.add_argument(
        "--clock", choices=("proportional", "clamped"), default="proportional",
        help="order in which several steps treat the regions",
    )  # fmt: skip
    p.add_argument(
        "--backend", choices=("auto", "xla", "onnxruntime"), default="auto",
        help="what runs the networks; default: auto, see below",
    )  # fmt: skip
    p.add_argument(
        "--crop", metavar="X,Y,W,H",
        help="decode this rectangle only, in pixels; of a file with tiles no more is read than it "
        "needs",
    )  # fmt: skip
    p.add_argument(
        "--resilient", action="store_true",
        help="fill in damaged tiles with what the model expects, and say which",
    )  # fmt: skip
    fusion(p)
    max_pixels(p)
    p.add_argument(
        "--symbol-hash", action="store_true",
        help="also print the SHA-256 of the decoded symbols, the same on every machine",
    )  # fmt: skip
    model(p)
    common(p)


def add_inpaint(commands: Any) -> None:
    p = new_command(
        commands, "inpaint", "replace a part of a picture by what its surroundings suggest",
        epilog="What lies under the mask has no influence on the result; the rest stays as it is, "
        "pixel by pixel (of a .rdc file: as it decodes). Do not expect much of a small model: "
        "scratches and small spots in hair, grass or cloth close, larger holes become a soft patch "
        "without objects in it, with faint blotches where the surroundings are smooth.",
    )  # fmt: skip
    p.add_argument("input", metavar="FILE", help=".rdc file or picture, or - for standard input")
    p.add_argument(
        "--mask", required=True, metavar="MASK",
        help="picture of the same size, white where to replace, black elsewhere",
    )  # fmt: skip
    p.add_argument("-o", "--output", metavar="OUT", help="picture; default: NAME_inpainted.png")
    force(p, "an existing file")
    p.add_argument(
        "--tau", type=number(float, 0, 1), default=1.0, metavar="T",
        help="0: the soft mean of what is likely; 1: with texture; default: 1",
    )  # fmt: skip
    steps(p, "; default: the model's choice")
    p.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), default=0, metavar="N", help="of the noise"
    )
    fusion(p)
    max_pixels(p)
    model(p)
    json_lines(p)


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
