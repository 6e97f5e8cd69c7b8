"""The jobs of encode and decode: which input becomes which output, and how all of them run."""

import dataclasses
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rdc_jax.bitstream import container
from rdc_jax.cli import job_sharing, output_file
from rdc_jax.cli.output_file import STREAM
from rdc_jax.errors import RdcError
from rdc_jax.progress import tqdm

CODED = (".rdc",)


@dataclasses.dataclass(frozen=True)
class Job:
    """One file to write; source and target are paths or "-"."""

    source: str
    target: str


def plan(args: Namespace, extensions: tuple[str, ...], extension: str) -> list[Job]:
    """The files to write.

    Args:
        args: The arguments of the command.
        extensions: Extensions of the inputs that are taken from a folder.
        extension: Extension of the outputs.

    Raises:
        RdcError: Anything that can be refused before the work starts.
    """
    if "" in (*args.input, args.output):
        raise RdcError("a file name is empty; is a shell variable not set?")
    several = _several(args)
    if several:
        jobs = _jobs_of_folder(args, extensions, extension)
    else:
        jobs = [_single_job(args.input[0], args.output, extension)]
    _check_distinct(jobs)
    index, count = job_sharing.place(args, os.environ if several else {})
    jobs = jobs[index::count]
    for job in open_jobs(jobs, args):
        output_file.check(job.target, job.source, overwrite=args.force, several=several)
    for name in () if args.quiet or index else args.input:
        if folders := _folders_in(Path(name), args.output):
            ignored = "1 folder, which is" if folders == 1 else f"{folders} folders, which are"
            print(f"rdc: note: '{name}' contains {ignored} ignored", file=sys.stderr)
    return jobs


def open_jobs(jobs: list[Job], args: Namespace) -> list[Job]:
    """The jobs whose output is not there yet; without --resume, all of them.

    An output that is there is looked at when its turn comes (`_is_done`).
    """
    return [job for job in jobs if not (args.resume and os.path.exists(job.target))]


def _jobs_of_folder(args: Namespace, extensions: tuple[str, ...], extension: str) -> list[Job]:
    """The jobs of several inputs, which go into a folder or beside the inputs."""
    if STREAM in (*args.input, args.output):
        raise RdcError("standard input and output take one image; name files or a folder")
    folder = None if args.output is None else Path(args.output)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise RdcError(f"several inputs need a folder as output, and '{folder}' is a file")
    sources = [path for name in args.input for path in _expand(name, extensions)]
    return [Job(str(p), str((folder or p.parent) / (p.stem + extension))) for p in sources]


def _check_distinct(jobs: list[Job]) -> None:
    """Raises RdcError when two inputs have the same output."""
    makers: dict[str, str] = {}
    for job in jobs:
        if job.target != STREAM:
            maker = makers.setdefault(os.path.realpath(job.target), job.source)
            if maker != job.source:
                raise RdcError(
                    f"'{maker}' and '{job.source}' would both become '{job.target}'; name files "
                    "instead of a folder, and give one of the two an -o of its own"
                )


def run_all(
    jobs: list[Job],
    args: Namespace,
    work: Callable[[Job], dict[str, Any]],
    describe: Callable[[dict[str, Any]], str],
) -> int:
    """Runs every job and prints its report.

    A single job that fails raises RdcError. With several jobs the others continue, and the failures
    are listed at the end.

    Args:
        jobs: The jobs (`plan`).
        args: The arguments of the command.
        work: Runs one job and returns its report.
        describe: Turns a report into text.

    Returns:
        The exit code.
    """
    several, failures = _several(args), []
    show_bar = several and not args.quiet
    for job in tqdm(jobs, unit="file", disable=None if show_bar else True):
        done = False
        try:
            if several:
                _make_folder(Path(job.target).parent)
            done = args.resume and _is_done(job, args)
            if done:
                report = {"input": job.source, "output": job.target, "skipped": True}
            else:
                report = work(job)
        except RdcError as error:
            message = str(error)
            if f"'{job.source}'" not in message:
                source = "standard input" if job.source == STREAM else f"'{job.source}'"
                message = f"{source}: {message}"
            if not several:
                raise RdcError(message) from error
            failures.append(message)
            report = {"input": job.source, "error": message}
        if not args.quiet and (args.json or "error" not in report):
            text = _describe_skipped if done else describe
            line = json.dumps(report) if args.json else text(report)
            tqdm.write(line, file=sys.stderr if job.target == STREAM else sys.stdout)
    for message in failures:
        print("rdc: error:", *message.split(), file=sys.stderr)
    return 2 if failures else 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RdcError(f"cannot make the folder '{folder}': {error.strerror}") from None


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


def _single_job(source: str, output: str | None, extension: str) -> Job:
    if output is None:
        made = str(Path(source).with_name(Path(source).stem + extension))
        return Job(source, STREAM if source == STREAM else made)
    if output != STREAM and source != STREAM and Path(output).is_dir():
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


def _folders_in(path: Path, output: str | None) -> int:
    """Number of folders in a folder, not counting the one of the outputs."""
    if not path.is_dir():
        return 0
    out = None if output is None else os.path.realpath(output)
    return sum(p.is_dir() and os.path.realpath(p) != out for p in path.iterdir())


def _is_done(job: Job, args: Namespace) -> bool:
    """Whether an earlier run wrote the output. Raises RdcError if it is damaged and not forced."""
    if job.target == STREAM or not os.path.exists(job.target):
        return False
    limit = getattr(args, "max_pixels", None) or container.DEFAULT_MAX_PIXELS
    try:
        job_sharing.check_complete(job.target, limit)
    except RdcError as error:
        if not args.force:
            raise RdcError(
                f"the output '{job.target}' exists but is damaged: {error}; give -f to replace it"
            ) from error
        output_file.check(job.target, job.source, overwrite=args.force, several=_several(args))
        return False
    return True


def _describe_skipped(report: dict[str, Any]) -> str:
    return f"{report['input']} -> {report['output']}: exists already"
