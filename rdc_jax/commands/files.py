"""What encode and decode share: which input becomes which output, the model, the reports."""

import dataclasses
import functools
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rdc_jax import compilation_cache, model_folder
from rdc_jax.errors import RdcError

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm")
CODED = (".rdc",)
STREAM = "-"  # standard input or output


@dataclasses.dataclass(frozen=True)
class Job:
    """One file to make; source and target are paths or "-"."""

    source: str
    target: str


class LazyCodec:
    """A model, loaded and checked at once, and its codec, for which JAX starts when first used."""

    def __init__(self, name: str | None):
        self.model = model_folder.load(name)

    @functools.cached_property
    def codec(self) -> Any:
        compilation_cache.enable()
        from rdc_jax.codec import Codec

        return Codec(self.model)


def plan(args: Namespace, found_in_folders: tuple[str, ...], extension: str) -> list[Job]:
    """The files to make. Everything that can be refused before the work starts is refused here.

    found_in_folders: extensions of the inputs taken from a folder. extension: of the outputs.
    """
    if not _several(args):
        jobs = [_single(args.input[0], args.output, extension)]
    else:
        if STREAM in (*args.input, args.output):
            raise RdcError("standard input and output take one picture; name files or a folder")
        folder = None if args.output is None else Path(args.output)
        if folder is not None and folder.exists() and not folder.is_dir():
            raise RdcError(f"several inputs need a folder as output; '{folder}' is a file")
        sources = [path for name in args.input for path in _expand(name, found_in_folders)]
        jobs = [
            Job(str(path), str((folder or path.parent) / (path.stem + extension)))
            for path in sources
        ]
    _check_targets(jobs, args.force)
    return jobs


def run_all(
    jobs: list[Job],
    args: Namespace,
    work: Callable[[Job], dict[str, Any]],
    describe: Callable[[dict[str, Any]], str],
) -> int:
    """Does work(job) -> report for every job and prints the reports; returns the exit code.

    A single job that fails raises RdcError. Of several, the others go on and the failures are
    listed at the end.
    """
    several, failures = _several(args), []
    if several:
        folder = Path(jobs[0].target).parent
        _make_folder(folder)
    for job in tqdm(jobs, unit="file", disable=None if several and not args.quiet else True):
        try:
            report = work(job)
        except RdcError as error:
            message = _with_name(job, str(error))
            if not several:
                raise RdcError(message) from error
            failures.append(message)
            report = {"input": job.source, "error": message}
        if not args.quiet and (args.json or "error" not in report):
            line = json.dumps(report) if args.json else describe(report)
            tqdm.write(line, file=sys.stderr if job.target == STREAM else sys.stdout)
    for message in failures:
        print("rdc: error:", *message.split(), file=sys.stderr)
    return 2 if failures else 0


def read_bytes(source: str) -> bytes:
    """A whole file, or standard input."""
    if source == STREAM:
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise RdcError(f"cannot read '{source}': {error.strerror}") from None


def _several(args: Namespace) -> bool:
    return len(args.input) > 1 or (args.input[0] != STREAM and Path(args.input[0]).is_dir())


def _single(source: str, output: str | None, extension: str) -> Job:
    if output is None:
        named = STREAM if source == STREAM else str(Path(source).with_suffix(extension))
        return Job(source, named)
    if output != STREAM and Path(output).is_dir():
        if source == STREAM:
            raise RdcError(f"the output '{output}' is a folder; name a file in it")
        return Job(source, str(Path(output) / (Path(source).stem + extension)))
    return Job(source, output)


def _expand(name: str, extensions: tuple[str, ...]) -> list[Path]:
    path = Path(name)
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in extensions and p.is_file())
    if not found:
        raise RdcError(f"the folder '{name}' has no files ending in {' '.join(extensions)}")
    return found


def _check_targets(jobs: list[Job], overwrite: bool) -> None:
    sources: dict[str, str] = {}
    for job in jobs:
        if job.target == STREAM:
            if sys.stdout.isatty():
                raise RdcError("will not write a picture to a terminal; name an output with -o")
            continue
        other = sources.setdefault(os.path.realpath(job.target), job.source)
        if other != job.source:
            raise RdcError(f"'{other}' and '{job.source}' would both become '{job.target}'")
        _check_target(job, Path(job.target), overwrite)


def _check_target(job: Job, target: Path, overwrite: bool) -> None:
    if target.exists():
        if target.is_dir():
            raise RdcError(f"the output '{target}' is a folder; choose another name")
        if job.source != STREAM and os.path.exists(job.source):
            if os.path.samefile(target, job.source):
                raise RdcError(f"the output '{target}' is the input itself; choose another name")
        if target.is_file() and not overwrite:
            raise RdcError(f"the output '{target}' exists; give -f to replace it")
        if not target.is_file():
            return  # a device or pipe
    folder = target.parent
    if 
