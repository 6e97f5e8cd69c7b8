"""Paths that may lie in a bucket: gs://BUCKET/runs/sd21 beside runs/sd21.

pathlib would make a local folder named "gs:". What a run or a model reads and writes goes through
`of`, whose result has pathlib's methods wherever the path leads. In a bucket, files appear whole
when they are closed, and nothing can be renamed or appended to.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rdc_jax.errors import RdcError

FILE_SYSTEMS = {"gs": "gcs", "s3": "s3", "az": "az", "hf": "hf"}
"""Schemes that epath knows, and fsspec's names of the file systems behind them."""
INSTALLED_BY = {"gs": "'rdc_jax[gcs]'", "s3": "s3fs", "az": "adlfs", "hf": "huggingface_hub"}


class RemoteError(RdcError, OSError):
    """An error of a bucket's client, in one line."""


def is_remote(path: Any) -> bool:
    """Whether a path is a URI such as gs://BUCKET/NAME."""
    return "://" in str(path)


def of(path: Any) -> Path:
    """The path as an object with pathlib's methods.

    Args:
        path: Text or a path object, local or remote.

    Returns:
        A pathlib.Path, or for a remote path an epath.Path.

    Raises:
        RemoteError: The scheme is unknown, or the package that reads it is missing.
    """
    if not is_remote(path):
        return Path(path)
    text = str(path)
    scheme = text.partition("://")[0]
    if scheme not in FILE_SYSTEMS:
        raise RemoteError(f"{text}: the scheme {scheme}:// is unknown; write gs://BUCKET/FOLDER")
    import fsspec
    from etils import epath

    try:
        fsspec.get_filesystem_class(FILE_SYSTEMS[scheme])
    except ImportError as error:
        raise RemoteError(
            f"{text}: {scheme}:// needs a package; pip install {INSTALLED_BY[scheme]}"
        ) from error
    return epath.Path(text)  # type: ignore[return-value]


def size(path: Path) -> int:
    """Size of a file in bytes. Raises OSError if it cannot be had."""
    with errors(path):
        found: Any = path.stat()
    return found.length if is_remote(path) else found.st_size


@contextlib.contextmanager
def errors(path: Any) -> Iterator[None]:
    """Around work on a path: every error of a bucket's client becomes a RemoteError.

    The clients have no common type: gcsfs, google-auth and aiohttp have their own.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if not is_remote(path):
            raise
        raise RemoteError(f"{path}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """The first line of an error, or its type."""
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
