"""Arguments on image files: which metadata is kept, transparency, and the output format."""

import argparse

from rdc_jax.images.formats import ALL_METADATA, WRITABLE


def metadata(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--metadata", type=kinds, default=ALL_METADATA, metavar="all|none|LIST",
        help=f"metadata to keep, of {','.join(ALL_METADATA)}; default: all",
    )  # fmt: skip


def alpha(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--alpha", choices=("lossless", "lossy", "drop"), default="lossless",
        help="transparency: lossless (default); lossy, which stores partly transparent values in "
        "14 levels if that is smaller; or drop, which puts the image on white",
    )  # fmt: skip


def file_format(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--format", choices=[ending.removeprefix(".") for ending in WRITABLE],
        help="format of standard output and of outputs without a name; default: png",
    )  # fmt: skip


def kinds(text: str) -> tuple[str, ...]:
    """An argparse type: all, none, or some of icc, exif, xmp separated by commas."""
    if text in ("all", "none"):
        return ALL_METADATA if text == "all" else ()
    words = tuple(word for word in text.split(",") if word)
    if not words or set(words) - set(ALL_METADATA):
        known = ",".join(ALL_METADATA)
        raise argparse.ArgumentTypeError(f"'{text}' is neither all nor none nor a list of {known}")
    return words
