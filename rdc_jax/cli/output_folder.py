"""The output folder of a command: it replaces only its own files, and only when it is complete."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from rdc_jax.cli import outputs
from rdc_jax.errors import RdcError
from rdc_jax.interop import export_folder

UNFINISHED = ".rdc-*.tmp"  # left over from a command that was killed


def check(out: Path, is_older: bool, force: bool) -> None:
    """Raises RdcError where writing into `out` is impossible or could lose files, older output too.

    Args:
        out: The output folder.
        is_older: Whether `out` contains the output of an earlier run of the command.
        force: Whether -f was given, which allows to replace older output.
    """
    check_place(out)
    held = out.is_dir() and any(not path.match(UNFINISHED) for path in out.iterdir())
    if held and not (is_older and force):
        fix = "-f replaces it" if is_older else "name a new folder"
        raise RdcError(f"{out} is not empty; {fix}")


def check_place(out: Path) -> None:
    """Raises RdcError where `out` is no folder, or no file can be made in it."""
    if out.exists() and not out.is_dir():
        raise RdcError(f"{out} is a file; name a new folder")
    real = Path(os.path.realpath(out))
    folder = next(path for path in (real, *real.parents) if path.exists())
    outputs.check_folder(folder, out)


@contextlib.contextmanager
def made(out: Path, unlisted: Collection[str] = ()) -> Iterator[Path]:
    """Yields the name of a folder for the caller to make and fill; its files then move into `out`.

    Files of `out` with the same names are replaced. Then the other files that its old manifest or
    `unlisted` names are removed. After an error while the folder is filled, `out` is unchanged;
    after an error while files move, every file that was not replaced is still there.
    """
    out = Path(os.path.realpath(out))
    # Inside `out` if it exists: renaming works only within one file system.
    folder = out if out.exists() else out.parent
    filled = folder / f".rdc-{secrets.token_hex(8)}.tmp"
    try:
        yield filled
        if folder != out:
            filled.rename(out)
            return
        older = export_folder.listed(out)
        older |= {out / name for name in unlisted if (out / name).is_file()}
        files = [path.relative_to(filled) for path in filled.rglob("*") if path.is_file()]
        for file in sorted(files, key=lambda file: (str(file) == export_folder.MANIFEST, file)):
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(
                filled / file, out / file
            )  # the manifest last, because it says that all files are there
        for path in older - {export_folder.place(out, file) for file in files}:
            path.unlink(missing_ok=True)
    finally:
        shutil.rmtree(filled, ignore_errors=True)
