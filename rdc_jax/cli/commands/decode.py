"""`rdc decode`: .rdc files -> images."""

import contextlib
import dataclasses
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.cli import tau_and_crop
from rdc_jax.cli.backends import XLA, Backends
from rdc_jax.cli.jobs import CODED, open_jobs, plan, read_bytes, run_all
from rdc_jax.cli.lazy_codec import LazyCodec
from rdc_jax.cli.outputs import STREAM, Job
from rdc_jax.codec.metadata_sections import parts_of
from rdc_jax.decoding import opened_file
from rdc_jax.decoding.sampling import Tau
from rdc_jax.errors import RdcError, reason
from rdc_jax.images import LoadedImage, atomic_write, formats, image_bytes, transparency


def run(args: Namespace) -> int:
    part = "_crop" if args.crop else ""  # the image's own name may belong to the whole image
    jobs = plan(args, CODED, f"{part}.{args.format or 'png'}")
    for job in jobs:
        extension_of(job.target, args.format)
    crop = tau_and_crop.parse_crop(args.crop)
    if args.symbol_hash and (crop or args.resilient):
        raise RdcError("--symbol-hash describes a whole file; omit --crop and --resilient")
    tau = tau_and_crop.parse_tau(args.tau)
    tau_and_crop.check_sizes([job.source for job in open_jobs(jobs, args)], tau, crop)
    model = LazyCodec(args.model, args.fusion)
    request = Request(args, model, Backends(args.backend, model), tau, crop)
    return run_all(
        jobs,
        args,
        lambda job: decode_file(job, request),
        describe_at_length if args.verbose else describe,
    )


@contextlib.contextmanager
def opened(source: str, crop: opened_file.Crop | None) -> Iterator[bytes | BinaryIO]:
    """A file's bytes; for a crop the open file, of which only a part is read."""
    if source == STREAM or crop is None:
        yield read_bytes(source)
        return
    try:
        file = open(source, "rb")
    except OSError as error:
        raise RdcError(f"cannot read '{source}': {reason(error)}") from None
    with file:
        yield file


@dataclasses.dataclass(frozen=True)
class Request:
    """What every file of one call is decoded with.

    Attributes:
        args: The arguments of the command.
        model: The model.
        backends: The choice of a back end.
        tau: A number in 0..1, "roi", the luma of an image, or None for what the file suggests.
        crop: The rectangle to decode, or None for the whole image.
    """

    args: Namespace
    model: LazyCodec
    backends: Backends
    tau: Tau | None
    crop: opened_file.Crop | None = None


def decode_file(job: Job, request: Request) -> dict[str, Any]:
    """Decodes one file and writes the image; returns the report to print."""
    with opened(job.source, request.crop) as data:
        return _decode(job, data, request)


def _decode(job: Job, data: bytes | BinaryIO, request: Request) -> dict[str, Any]:
    args, model = request.args, request.model
    damaged: list[Any] = []
    max_pixels = args.max_pixels or container.DEFAULT_MAX_PIXELS
    how = opened_file.ReadOptions(max_pixels, request.crop, args.resilient, damaged.append)
    # Damage is reported before JAX starts.
    file = opened_file.open_file(data, model.model, how)
    wanted = args.metadata
    if request.crop:  # EXIF and XMP may hold a thumbnail of what is cut away
        wanted = tuple(kind for kind in wanted if kind == "icc")
    parts = parts_of(file.reader, metadata=wanted, crop=request.crop)
    header = file.header
    backend = request.backends.choose(header, args.steps, request.tau)
    if backend == XLA:
        codec = model.codec
    else:
        codec = request.backends.onnx
    started = time.perf_counter()
    pixels = codec.decode_opened(
        file, steps=args.steps, tau=request.tau, clock=args.clock, progress=not args.quiet
    )
    seconds = time.perf_counter() - started
    for message in warnings(job.source, file, damaged):
        print(f"rdc: warning: {message}", file=sys.stderr)
    steps = args.steps or header.default_steps
    for message in () if args.quiet else notes_on_tau(job.source, header, steps, request):
        print(f"rdc: note: {message}", file=sys.stderr)
    report = {
        "input": job.source,
        "output": job.target,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "grey": parts["grey"],
        "alpha": parts["alpha"] is not None,
        "bytes": file.reader.size,
        "steps": steps,
        "tau": tau_and_crop.reported_tau(args.tau, request.tau, header),
        "clock": args.clock,
        "backend": backend,
        "model": model.model.name,
        "model_id": model.model.model_id.hex(),
        "seconds": seconds,
    }
    if request.crop:
        report["crop"] = request.crop
    if args.resilient:
        report["damaged_tiles"] = [tile._asdict() for tile in damaged]
        report["lost_sections"] = file.reader.lost_sections or 0
    if args.symbol_hash:
        report["symbol_hash"] = file.latent(codec.entropy).symbol_hash
    write(job.target, pixels, parts, args)
    return report


def write(target: str, pixels: np.ndarray, parts: dict[str, Any], args: Namespace) -> None:
    """Writes a decoded image.

    Args:
        target: Path of the output, or "-".
        pixels: uint8 [h,w,3].
        parts: Alpha, grey and metadata, of `metadata_sections.parts_of`.
        args: The arguments of the command.
    """
    if parts["alpha"] is not None:  # invented texture under transparent pixels only costs bytes
        pixels = transparency.filled(pixels, parts["alpha"])
    image = LoadedImage(pixels=pixels, **parts)
    encoded, notes = image_bytes(image, extension_of(target, args.format))
    atomic_write(target, encoded, overwrite=args.force)
    for note in () if args.quiet else notes:
        print(f"rdc: note: '{target}': {note}", file=sys.stderr)


def warnings(source: str, file: opened_file.OpenFile, damaged: list[Any]) -> list[str]:
    """One line for each kind of damage that was filled in.

    Args:
        source: Name of the file.
        file: The open file.
        damaged: Its damaged tiles.
    """
    lost = file.reader.lost_sections
    found = []
    if lost is not None:
        found.append(
            f"'{source}' ends early: {lost} sections, such as alpha or a profile, are lost"
        )
    return found + [f"'{source}': {tile} and was filled in" for tile in damaged]


def notes_on_tau(
    source: str, header: container.Header, steps: int, request: Request
) -> Iterator[str]:
    """Why --tau has no effect, or less than expected.

    Args:
        source: Name of the file.
        header: Its header.
        steps: Sampler steps of the decode.
        request: What the file is decoded with.
    """
    tau = request.tau
    if tau is not None and request.model.module is None and steps == 1:
        yield (
            f"--tau has no effect on '{source}': the model has no fusion module, and one sampler "
            "step invents nothing"
        )
    if isinstance(tau, str) and header.num_levels == 1:
        yield f"'{source}' has no importance map, so --tau roi keeps nothing faithful"


def extension_of(target: str, wanted: str | None) -> str:
    """The format of an output as a file extension such as ".png".

    Raises RdcError when the format is unclear.

    Args:
        target: Path of the output, or "-".
        wanted: The value of --format.
    """
    suffix = Path(target).suffix
    if target == STREAM or (wanted and not suffix):
        suffix = f".{wanted or 'png'}"
    if not suffix:
        raise RdcError(
            f"'{target}' has no ending that tells the image format; add one, such as "
            f"'{target}.png', or write '{target}/' if it is to be a folder"
        )
    found = formats.of_extension(suffix, target)
    if wanted and formats.of_extension(f".{wanted}") != found:
        raise RdcError(f"'{target}' is not the name of a {wanted} file; omit --format or rename it")
    return suffix


def describe(report: dict[str, Any]) -> str:
    """A report as one line, with the symbol hash on a second line."""
    text = (
        f"{report['input']} -> {report['output']}: {report['width']} x {report['height']} pixels, "
        f"{report['steps']} step{'s' * (report['steps'] > 1)}, {report['seconds']:.2f} s"
    )
    return f"{text}\n  symbols {report['symbol_hash']}" if "symbol_hash" in report else text


def describe_at_length(report: dict[str, Any]) -> str:
    """A report as several lines, for --verbose."""
    colour = "grey" if report["grey"] else "RGB"
    colour += " with alpha" if report["alpha"] else ""
    return (
        f"{describe(report)}\n  {report['bytes']} bytes, {colour}, tau {report['tau']}, "
        f"{report['clock']} clock, {report['backend']}, "
        f"model {report['model']} {report['model_id']}"
    )
