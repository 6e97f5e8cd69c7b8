"""The output file of a command: whatever would stop its writing is said before the work starts."""

import os
import sys
import tempfile
from pathlib import Path

from rdc_jax.errors import RdcError

STREAM = "-"  # standard output; as an input, standard input


def check(
    target: str | Path, source: str | None, *, overwrite: bool, several: bool = False
) -> None:
    """Checks that an output can be written.

    Args:
        target: Path of the output, or "-" for standard output.
        source: Path of the input, or "-" for standard input; None for no single input.
        overwrite: Whether an existing file may be replaced.
        several: Whether it is one of several outputs. Their folder is made later if it is missing,
            and a link must not lead out of it.

    Raises:
        RdcError: The output exists, is the input, or cannot be written.
    """
    if str(target) == STREAM:
        if sys.stdout.isatty():
            raise RdcError("images are not written to a terminal; name an output with -o")
        return
    target = Path(target)
    if target.is_dir():
        raise RdcError(f"the output '{target}' is a folder; name a file in it")
    if target.exists() and not target.is_file():
        return  # a device or pipe
    real, within = os.path.realpath(target), os.path.realpath(target.parent)
    if several and os.path.dirname(real) != within:
        # The folder may come from someone else: a link in it must not redirect what is written.
        raise RdcError(f"the output '{target}' is a link into another folder; remove it first")
    if source is not None and target.exists() and real == os.path.realpath(source):
        raise RdcError(f"the output '{target}' is the input itself; choose another name")
    if target.exists() and not overwrite:
        resume = ", or --resume to keep what is there" if several else ""
        raise RdcError(f"the output '{target}' exists; give -f to replace it{resume}")
    folder = Path(real).parent
    if several and not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
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
