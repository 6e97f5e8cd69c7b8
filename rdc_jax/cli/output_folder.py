"""A folder that a command makes: never on top of strange files, and replaced when all is there."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from rdc_jax.errors import RdcError
from rdc_jax.interop import export_folder

UNFINISHED = ".rdc-*.tmp"  # what stays of a command that was killed


def check(out: Path, is_older: bool, force: bool) -> None:
    """Raises RdcError where writing into `out` could lose anything but what -f is for.

    is_older: whether `out` holds what an earlier run of the command made.
    """
    if out.exists() and not out.is_dir():
        raise RdcError(f"{out} is a file; name a new folder")
    held = out.is_dir() and any(not path.match(UNFINISHED) for path in out.iterdir())
    if held and not (is_older and force):
        mend = "-f replaces it" if is_older else "name a new folder"
        raise RdcError(f"{out} is not empty; {mend}")


@contextlib.contextmanager
def made(out: Path, unlisted: Collection[str] = ()) -> Iterator[Path]:
    """The name of a folder, to be made and filled; its files then move into `out`.

    Of what was in `out` before, the files of the same names are replaced, and then those go that
    its manifest lists and those named in `unlisted`. After an error while the folder is filled
    `out` is as it was; after one while files move, all is there that was not replaced.
    """
    out = Path(os.path.realpath(out))
    # Within `out`, which may be a file system of its own: between two nothing can be renamed.
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
            os.replace(filled / file, out / file)  # the manifest last: it says that all is there
        for path in older - {export_folder.place(out, file) for file in files}:
            path.unlink(missing_ok=True)
    finally:
        shutil.rmtree(filled, ignore_errors=True)
