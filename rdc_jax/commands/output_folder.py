"""A folder that a command makes: never on top of strange files, and replaced when all is there."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from rdc_jax.errors import RdcError
from rdc_jax.interop import export_folder


def check(out: Path, is_older: bool, force: bool) -> None:
    """Raises RdcError where writing into `out` could lose anything but what -f is for.

    is_older: whether `out` holds what an earlier run of the command made.
    """
    if out.exists() and not out.is_dir():
        raise RdcError(f"{out} is a file; name a new folder")
    if out.is_dir() and any(out.iterdir()) and not (is_older and force):
        mend = "-f replaces it" if is_older else "name a new folder"
        raise RdcError(f"{out} is not empty; {mend}")


@contextlib.contextmanager
def made(out: Path, unlisted: Collection[str] = ()) -> Iterator[Path]:
    """The name of a folder beside `out`, to be made and filled; its files then move into `out`.

    Of what was in `out` before, the files that its manifest lists go then, those of the same names,
    and those named in `unlisted`. After an error `out` is as it was.
    """
    out = Path(os.path.realpath(out))
    beside = out.with_name(f".rdc-{secrets.token_hex(8)}.tmp")
    try:
        yield beside
        if not out.exists():
            beside.rename(out)
            return
        export_folder.remove_older(out)
        for name in unlisted:
            (out / name).unlink(missing_ok=True)
        files = [path.relative_to(beside) for path in beside.rglob("*") if path.is_file()]
        for file in sorted(files, key=lambda file: str(file) == export_folder.MANIFEST):
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(beside / file, out / file)  # the manifest last: it says that all is there
    finally:
        shutil.rmtree(beside, ignore_errors=True)
