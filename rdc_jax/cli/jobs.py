"""The jobs of encode and decode: which input becomes which output, and how all of them run."""

import json
import os
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rdc_jax.bitstream import container
from rdc_jax.cli import folder_summary, inputs, job_sharing, outputs
from rdc_jax.cli.outputs import STREAM, Job
from rdc_jax.cli.standard_streams import of_system, one_line
from rdc_jax.errors import RdcError, reason
from rdc_jax.images.formats import IMAGE_EXTENSIONS
from rdc_jax.progress import tqdm

CODED = (".rdc",)
NAMES_OF_FILES = (*CODED, *IMAGE_EXTENSIONS)


def plan(args: Namespace, extensions: tuple[str, ...], extension: str) -> list[Job]:
    """The files to write.

    Args:
        args: The arguments of the command.
        extensions: Extensions of the inputs that are taken from a folder.
        extension: Extension of the outputs.

    Raises:
        RdcError: Anything that can be refused before the work starts.
    """
    several = _several(args)
    if several:
        jobs = _jobs_of_folder(args, extensions, extension)
    else:
        jobs = [outputs.single_job(args.input[0], args.output, extension)]
    outputs.check_distinct(jobs)
    index, count = job_sharing.place(args, os.environ if several else {})
    jobs = jobs[index::count]
    for job in open_jobs(jobs, args):
        outputs.check_target(job, args.force, *_folder_of_outputs(args))
    for name in () if args.quiet or index else args.input:
        for note in inputs.notes(name, extensions, args.recursive, args.output):
            print(f"rdc: note: {note}", file=sys.stderr)
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
    if folder is not None and not os.path.isdir(folder):
        if os.path.exists(folder):
            raise RdcError(f"several inputs need a folder as output, and '{folder}' is a file")
        if not outputs.ends_in_slash(args.output) and folder.suffix.lower() in NAMES_OF_FILES:
            raise RdcError(
                f"several inputs need a folder as output, and '{folder}' is the name of a file; "
                f"if it is to be a folder, write '{folder}{os.sep}'"
            )
    sources = inputs.expanded(args.input, extensions, args.recursive, args.output)
    places = [
        (source.path.parent if folder is None else folder / source.within) for source in sources
    ]
    stems = Counter(place / source.path.stem for place, source in zip(places, sources, strict=True))
    jobs = []
    for place, (path, _) in zip(places, sources, strict=True):
        name = path.stem if stems[place / path.stem] == 1 else path.name  # a.jpg beside a.png
        jobs.append(Job(str(path), str(place / (name + extension))))
    return jobs


def run_all(
    jobs: list[Job],
    args: Namespace,
    work: Callable[[Job], dict[str, Any]],
    describe: Callable[[dict[str, Any]], str],
) -> int:
    """Runs every job and prints its report; for several, also a summary.

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
    several, reports, started = _several(args), [], time.perf_counter()
    show_bar = several and not args.quiet
    for job in tqdm(jobs, unit="file", disable=None if show_bar else True):
        done = False
        try:
            if _may_make_folder(args):
                outputs.make_folder(Path(job.target).parent, args.recursive)
            done = args.resume and _is_done(job, args)
            if done:
                report = {"input": job.source, "output": job.target, "skipped": True}
            else:
                report = work(job)
        except (RdcError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            message = of_system(error) if isinstance(error, OSError) else str(error)
            if f"'{job.source}'" not in message:
                source = "standard input" if job.source == STREAM else f"'{job.source}'"
                message = f"{source}: {message}"
            if not several:
                raise RdcError(message) from error
            report = {"input": job.source, "error": message}
        reports.append(report)
        if not args.quiet and (args.json or "error" not in report):
            text = _describe_skipped if done else describe
            _say(json.dumps(report) if args.json else text(report), job.target)
    if several and not args.quiet and not args.json:
        seconds = time.perf_counter() - started
        _say(folder_summary.of_reports(reports, seconds), jobs[0].target if jobs else "")
    failures = [report["error"] for report in reports if "error" in report]
    for message in failures:
        print("rdc: error:", one_line(message), file=sys.stderr)
    return 2 if failures else 0


def _say(line: str, target: str) -> None:
    """Prints a line to standard output, or to standard error where that has the image.

    Args:
        line: To print.
        target: The output.
    """
    said_to = sys.stderr if target == STREAM else sys.stdout
    if said_to is not None:
        tqdm.write(line, file=said_to)


def read_bytes(source: str) -> bytes:
    """A whole file, or standard input."""
    if source == STREAM:
        if sys.stdin is None:
            raise RdcError("standard input is closed; name a file")
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise RdcError(f"cannot read '{source}': {reason(error)}") from None


def _several(args: Namespace) -> bool:
    return len(args.input) > 1 or (args.input[0] != STREAM and os.path.isdir(args.input[0]))


def _may_make_folder(args: Namespace) -> bool:
    return _several(args) or outputs.ends_in_slash(args.output)


def _folder_of_outputs(args: Namespace) -> tuple[bool, str | None]:
    """Whether missing folders are made, and the folder of all outputs if one is named."""
    return _may_make_folder(args), args.output if _may_make_folder(args) else None


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
        outputs.check_target(job, args.force, *_folder_of_outputs(args))
        return False
    return True


def _describe_skipped(report: dict[str, Any]) -> str:
    return f"{report['input']} -> {report['output']}: exists already"
