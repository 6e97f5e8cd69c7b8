"""The values of --tau and --crop: read, and compared with the files before the work starts."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from rdc_jax.bitstream import container
from rdc_jax.bitstream.container import TAU_UNITS
from rdc_jax.bitstream.file_reader import FileReader
from rdc_jax.cli.outputs import STREAM
from rdc_jax.decoding.opened_file import Crop, area_of
from rdc_jax.decoding.sampling import Tau
from rdc_jax.errors import RdcError
from rdc_jax.images import read_image
from rdc_jax.importance import maps


def parse_tau(text: str | None) -> Tau | None:
    """The value of --tau: a number in 0..1, "roi", or the luma of an image, uint8 [H,W]."""
    if text is None or text == "roi":
        return text
    try:
        tau = float(text)
    except ValueError:
        if text != STREAM and not os.path.exists(text):
            meant = "; did you mean --tau roi?" if text.lower() == "roi" else ""
            raise RdcError(
                f"--tau {text} is neither a number from 0 to 1 nor roi, and there is no image of "
                f"that name{meant}"
            ) from None
        pixels = read_image(text, background=0).pixels
        return np.asarray(Image.fromarray(pixels).convert("L"))
    if not 0.0 <= tau <= 1.0:
        raise RdcError(f"--tau {text} must be between 0 (faithful) and 1 (realistic)")
    return tau


def parse_crop(text: str | None) -> Crop | None:
    """The value of --crop: X,Y,W,H in pixels."""
    if text is None:
        return None
    try:
        x, y, width, height = (int(word) for word in text.split(","))
    except ValueError:
        raise RdcError(f"--crop {text} must be four whole numbers X,Y,W,H in pixels") from None
    return x, y, width, height


def check_sizes(sources: Sequence[str], tau: Tau | None, crop: Crop | None) -> None:
    """Checks, from the headers of files alone, that the crop and a map of taus fit all of them.

    Args:
        sources: Paths of `.rdc` files. Those that cannot be read twice or at all are left out; the
            latter are reported when their turn comes.
        tau: As from `parse_tau`.
        crop: As from `parse_crop`.

    Raises:
        RdcError: The crop leaves an image, or the map has another size.
    """
    if crop is None and not isinstance(tau, np.ndarray):
        return
    for source in sources:
        if not Path(source).is_file():
            continue
        try:
            with open(source, "rb") as file:
                header = FileReader(file, max_pixels=container.MAX_SIDE**2).header
        except (OSError, RdcError):
            continue
        try:
            area_of(header, crop)
            if isinstance(tau, np.ndarray):
                maps.check_size("the tau map", tau.shape, (header.height, header.width))
        except RdcError as error:
            raise RdcError(f"'{source}': {error}") from error


def reported_tau(text: str | None, tau: Tau | None, header: container.Header) -> float | str:
    """The tau of the report: the number used, or for a map its name on the command line.

    Args:
        text: The value of --tau.
        tau: The same, parsed.
        header: The file's header, which has the default.
    """
    if text is None:
        return header.default_tau / TAU_UNITS
    return tau if isinstance(tau, float) else text
