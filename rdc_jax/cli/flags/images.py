"""Arguments that say what of a picture file is kept, and in which format one is written."""

import argparse

from rdc_jax.images.formats import ALL_METADATA, WRITABLE


def metadata(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--metadata", type=kinds, default=ALL_METADATA, metavar="all|none|LIST",
        help=f"what is kept, of {','.join(ALL_METADATA)}; default: all",
    )  # fmt: skip


def alpha(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--alpha", choices=("lossless", "lossy", "drop"), default="lossless",
        help="transparency: kept exactly (default); lossy, its partly transparent values in 14 "
        "levels, if that is smaller; or laid on white",
    )  # fmt: skip


def file_format(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--format", choices=[ending.removeprefix(".") for ending in WRITABLE],
        help="of standard output and of files that are not named; default: png",
    )  # fmt: skip


def kinds(text: str) -> tuple[str, ...]:
    """An argparse type: all, none, or some of icc, exif, xmp joined by commas."""
    if text in ("all", "none"):
        return ALL_METADATA if text == "all" else ()
    words = tuple(word for word in text.split(",") if word)
    if not words or set(words) - set(ALL_METADATA):
        known = ",".join(ALL_METADATA)
        raise argparse.ArgumentTypeError(f"'{text}' is not all, none, or a list of {known}")
    return words
