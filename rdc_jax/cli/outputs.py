"""Where outputs go, and which outputs are refused before the work starts."""

import dataclasses
import os
import sys
import tempfile
from pathlib import Path

from rdc_jax.errors import RdcError

STREAM = "-"  # standard input or output
_SLASHES = tuple({os.sep, os.altsep or os.sep})


@dataclasses.dataclass(frozen=True)
class Job:
    """One file to write; source and target are paths or "-"."""

    source: str
    target: str


def ends_in_slash(output: str | None) -> bool:
    """Whether -o says that it names a folder, which may be a new one."""
    return output is not None and output.endswith(_SLASHES)


def single_job(source: str, output: str | None, ending: str) -> Job:
    """The job of a command with one input.

    Args:
        source: The input.
        output: The value of -o: a file, a folder, or "-"; None for a name beside the input, or for
            standard output if the input is standard input.
        ending: What replaces the extension of the input in a name that is not given.

    Raises:
        RdcError: The input is a folder without a name, such as ".".
    """
    if not Path(source).name:  # "." and "/"
        raise RdcError(f"'{source}' is a folder; name a file")
    made = ("standard_input" if source == STREAM else Path(source).stem) + ending
    if output is None:
        return Job(source, STREAM if source == STREAM else str(Path(source).with_name(made)))
    if output != STREAM and (ends_in_slash(output) or os.path.isdir(output)):
        return Job(source, str(Path(output) / made))
    return Job(source, output)


def check_distinct(jobs: list[Job]) -> None:
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


def check_target(job: Job, overwrite: bool, may_make_folder: bool, base: str | None = None) -> None:
    """Raises RdcError for an output that could not be written at the end.

    Args:
        job: The job.
        overwrite: Whether -f was given.
        may_make_folder: Whether the folder of the output is made if it is missing.
        base: The folder of all outputs, if one was named. Folders in it are made as well.
    """
    if job.target == STREAM:
        if sys.stdout is None:
            raise RdcError("standard output is closed; name an output with -o")
        if sys.stdout.isatty():
            raise RdcError("images are not written to a terminal; name an output with -o")
        return
    target = Path(job.target)
    _check_name(job.target)
    if os.path.isdir(target):
        raise RdcError(f"the output '{target}' is a folder; name a file in it")
    exists = os.path.exists(target)
    if exists and not os.path.isfile(target):
        return  # a device or pipe
    within = os.path.realpath(target.parent)
    leaves = base is not None and not Path(within).is_relative_to(os.path.realpath(base))
    if may_make_folder and (leaves or os.path.dirname(os.path.realpath(target)) != within):
        # The folder may come from someone else: a link in it must not redirect what is written.
        raise RdcError(f"the output '{target}' is a link into another folder; remove it first")
    if exists and os.path.realpath(target) == os.path.realpath(job.source):
        raise RdcError(f"the output '{target}' is the input itself; choose another name")
    if exists and not overwrite:
        resume = ", or --resume to keep what is there" if may_make_folder else ""
        raise RdcError(f"the output '{target}' exists; give -f to replace it{resume}")
    folder = Path(os.path.realpath(target)).parent  # of a link, where it leads
    top = None if base is None else Path(os.path.realpath(base))
    while top is not None and not os.path.exists(folder) and folder != top:
        folder = folder.parent
    if may_make_folder and not os.path.exists(folder):
        folder = folder.parent
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise RdcError(f"cannot write '{target}': '{target.parent}' is a file, not a folder")
    if not os.path.isdir(folder):
        raise RdcError(f"the folder of the output '{target}' does not exist; create it first")
    check_folder(folder, target)


def check_folder(folder: Path, target: Path) -> None:
    """Raises RdcError, naming the output `target`, if no file can be made in an existing folder.

    A file without a name is made and removed: permissions alone do not tell, since in /proc they
    allow everything to root.
    """
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".rdc-"):
            pass
    except OSError as error:
        raise RdcError(
            f"cannot write '{target}': no file can be made in '{folder}' ({error.strerror})"
        ) from None


def _check_name(target: str) -> None:
    """Raises RdcError for a name that the file system refuses, such as one that is too long."""
    try:
        os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise RdcError(
            f"cannot write '{target}': {reason}; choose another output with -o"
        ) from None


def make_folder(folder: Path, parents: bool = False) -> None:
    """Makes the folder of an output if it is missing. Raises RdcError if that fails.

    parents: Whether the folders around it are made too.
    """
    try:
        folder.mkdir(exist_ok=True, parents=parents)
    except OSError as error:
        raise RdcError(f"cannot make the folder '{folder}': {error.strerror}") from None
