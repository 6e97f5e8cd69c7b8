"""Files that are written whole or not at all."""

import errno
import os
import secrets
import stat
import sys
from pathlib import Path

from rdc_jax.errors import RdcError


def atomic_write(path: str | Path, data: bytes, *, overwrite: bool) -> None:
    """Writes a whole file or nothing.

    The data goes into a temporary file in the same folder. That file is synced to disk and then
    renamed, so even a power failure leaves either the old file or the new one.

    Args:
        path: Output file. "-" is standard output. Devices and pipes are written directly.
        data: Content of the file.
        overwrite: True to replace an existing file.

    Raises:
        RdcError: the file exists and `overwrite` is False, or the file cannot be written.
    """
    if str(path) == "-":
        if sys.stdout is None:
            raise RdcError("standard output is closed; name an output file")
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise RdcError(f"cannot write to standard output: {error.strerror}") from None
        return
    path = Path(path)
    temporary = None
    try:
        mode = path.stat().st_mode if os.path.exists(path) else None
        kind = None if mode is None else stat.S_IFMT(mode)
        if kind == stat.S_IFDIR:
            raise RdcError(f"the output '{path}' is a folder; name a file in it")
        if kind == stat.S_IFREG and not overwrite:
            raise RdcError(f"the output '{path}' exists; allow overwriting or choose another name")
        if kind not in (stat.S_IFREG, None):
            path.write_bytes(data)
            return
        target = Path(os.path.realpath(path))  # a symbolic link stays a link to the same file
        if not target.parent.is_dir():
            raise RdcError(f"the folder of the output '{path}' does not exist; create it first")
        temporary = target.with_name(f".rdc-{secrets.token_hex(8)}.tmp")
        with open(temporary, "xb") as file:
            if mode is not None:  # whoever may not read the old file may not read the new one
                os.chmod(temporary, stat.S_IMODE(mode))
            file.write(data)
            file.flush()
            _sync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        _remove(temporary)
        raise RdcError(f"cannot write '{path}': {error.strerror or error}") from None
    except BaseException:
        _remove(temporary)
        raise


def _sync(descriptor: int) -> None:
    """Waits until the file is on disk, on file systems that support it."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise


def _remove(temporary: Path | None) -> None:
    if temporary is not None:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            pass
