"""`rdc decode`: .rdc files -> pictures."""

import contextlib
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from rdc_jax.bitstream import container
from rdc_jax.bitstream.container import TAU_UNITS
from rdc_jax.cli.backends import XLA, Backends
from rdc_jax.cli.jobs import CODED, STREAM, Job, LazyCodec, plan, read_bytes, run_all
from rdc_jax.codec.metadata_sections import parts_of
from rdc_jax.decoding import opened_file
from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage, atomic_write, formats, image_bytes, read_image, transparency


def run(args: Namespace) -> int:
    part = "_crop" if args.crop else ""  # of a picture's own name there may be the whole
    jobs = plan(args, CODED, f"{part}.{args.format or 'png'}")
    for job in jobs:
        extension_of(job.target, args.format)
    crop = parse_crop(args.crop)
    if args.symbol_hash and (crop or args.resilient):
        raise RdcError("--symbol-hash is of a whole file; leave out --crop and --resilient")
    model, tau = LazyCodec(args.model, args.fusion), parse_tau(args.tau)
    backends = Backends(args.backend, model)
    return run_all(
        jobs,
        args,
        lambda job: decode_file(job, args, model, backends, tau, crop),
        describe_at_length if args.verbose else describe,
    )


def parse_tau(text: str | None) -> float | np.ndarray | str | None:
    """What --tau says: a number in 0..1, "roi", or the luma of a picture, uint8 [H,W]."""
    if text is None or text == "roi":
        return text
    try:
        tau = float(text)
    except ValueError:
        if text != STREAM and not os.path.exists(text):
            meant = "; did you mean --tau roi?" if text.lower() == "roi" else ""
            raise RdcError(
                f"--tau {text} is not a number from 0 to 1, not roi, and no picture of that name "
                f"exists{meant}"
            ) from None
        pixels = read_image(text, background=0).pixels
        return np.asarray(Image.fromarray(pixels).convert("L"))
    if not 0.0 <= tau <= 1.0:
        raise RdcError(f"--tau {text} must be between 0 (faithful) and 1 (realistic)")
    return tau


def parse_crop(text: str | None) -> opened_file.Crop | None:
    """What --crop says: X,Y,W,H in pixels."""
    if text is None:
        return None
    try:
        x, y, width, height = (int(word) for word in text.split(","))
    except ValueError:
        raise RdcError(f"--crop {text} must be four whole numbers X,Y,W,H in pixels") from None
    return x, y, width, height


@contextlib.contextmanager
def opened(source: str, crop: opened_file.Crop | None) -> Iterator[bytes | BinaryIO]:
    """A file's bytes; for a crop the open file, of which a part will do."""
    if source == STREAM or crop is None:
        yield read_bytes(source)
        return
    try:
        file = open(source, "rb")
    except OSError as error:
        raise RdcError(f"cannot read '{source}': {error.strerror}") from None
    with file:
        yield file


def reported_tau(
    text: str | None, tau: float | np.ndarray | str | None, header: container.Header
) -> float | str:
    """The number that was used, or how a map of them was named."""
    if text is None:
        return header.default_tau / TAU_UNITS
    return tau if isinstance(tau, float) else text


def decode_file(
    job: Job,
    args: Namespace,
    model: LazyCodec,
    backends: Backends,
    tau: float | np.ndarray | str | None,
    crop: opened_file.Crop | None = None,
) -> dict[str, Any]:
    """Decodes one file; returns the figures to print."""
    with opened(job.source, crop) as data:
        return _decode(job, data, args, model, backends, tau, crop)


def _decode(job, data, args, model, backends, tau, crop) -> dict[str, Any]:
    max_pixels = args.max_pixels or container.DEFAULT_MAX_PIXELS
    damaged = []
    how = opened_file.ReadOptions(max_pixels, crop, args.resilient, damaged.append)
    # Damage shows before JAX starts.
    file = opened_file.open_file(data, model.model, how)
    parts = parts_of(file.reader, metadata=args.metadata, crop=crop)
    header = file.header
    backend = backends.choose(header, args.steps, tau)
    if backend == XLA:
        codec = model.codec
    else:
        codec = backends.onnx
    started = time.perf_counter()
    pixels = codec.decode_opened(
        file, steps=args.steps, tau=tau, clock=args.clock, progress=not args.quiet
    )
    seconds = time.perf_counter() - started
    if file.reader.lost_sections is not None:
        print(
            f"rdc: warning: '{job.source}' ends early: {file.reader.lost_sections} sections, such "
            "as alpha or a profile, are lost",
            file=sys.stderr,
        )
    for tile in damaged:
        print(f"rdc: warning: '{job.source}': {tile} and was filled in", file=sys.stderr)
    steps = args.steps or header.default_steps
    if tau is not None and model.module is None and steps == 1 and not args.quiet:
        print(
            f"rdc: note: --tau has no effect on '{job.source}': the model has no fusion module, "
            "and one sampler step invents nothing",
            file=sys.stderr,
        )
    if isinstance(tau, str) and header.num_levels == 1 and not args.quiet:
        print(
            f"rdc: note: '{job.source}' has no importance map, so --tau roi keeps nothing faithful",
            file=sys.stderr,
        )
    report = {
        "input": job.source,
        "output": job.target,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "grey": parts["grey"],
        "alpha": parts["alpha"] is not None,
        "bytes": file.reader.size,
        "steps": steps,
        "tau": reported_tau(args.tau, tau, header),
        "clock": args.clock,
        "backend": backend,
        "model": model.model.name,
        "model_id": model.model.model_id.hex(),
        "seconds": seconds,
    }
    if crop:
        report["crop"] = crop
    if args.resilient:
        report["damaged_tiles"] = [tile._asdict() for tile in damaged]
        report["lost_sections"] = file.reader.lost_sections or 0
    if args.symbol_hash:
        report["symbol_hash"] = file.latent(codec.entropy).symbol_hash
    if parts["alpha"] is not None:  # what the networks invented where nobody sees it is dear
        pixels = transparency.filled(pixels, parts["alpha"])
    picture = LoadedImage(pixels=pixels, **parts)
    encoded, notes = image_bytes(picture, extension_of(job.target, args.format))
    atomic_write(job.target, encoded, overwrite=args.force)
    for note in () if args.quiet else notes:
        print(f"rdc: note: '{job.target}': {note}", file=sys.stderr)
    return report


def extension_of(target: str, wanted: str | None) -> str:
    """The format of an output as a file's ending, ".png". Raises RdcError where it is unclear.

    wanted: the word of --format.
    """
    suffix = Path(target).suffix
    if target == STREAM or (wanted and not suffix):
        suffix = f".{wanted or 'png'}"
    found = formats.of_extension(suffix, target)
    if wanted and formats.of_extension(f".{wanted}") != found:
        raise RdcError(f"'{target}' is not the name of a {wanted} file; drop --format or rename it")
    return suffix


def describe(report: dict[str, Any]) -> str:
    text = (
        f"{report['input']} -> {report['output']}: {report['width']} x {report['height']} pixels, "
        f"{report['steps']} step{'s' * (report['steps'] > 1)}, {report['seconds']:.2f} s"
    )
    return f"{text}\n  symbols {report['symbol_hash']}" if "symbol_hash" in report else text


def describe_at_length(report: dict[str, Any]) -> str:
    colour = "grey" if report["grey"] else "RGB"
    colour += " with alpha" if report["alpha"] else ""
    return (
        f"{describe(report)}\n  {report['bytes']} bytes, {colour}, tau {report['tau']}, "
        f"{report['clock']} clock, {report['backend']}, "
        f"model {report['model']} {report['model_id']}"
    )
