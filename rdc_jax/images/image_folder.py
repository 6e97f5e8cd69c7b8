"""The images of a folder."""

from pathlib import Path

from rdc_jax.errors import RdcError
from rdc_jax.images import formats


def image_files(folder: str | Path, limit: int | None = None) -> list[Path]:
    """The first `limit` PNG, JPEG and WebP files directly in a folder, by name.

    Raises RdcError when there is no such folder or it has no images.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RdcError(f"no such folder: '{folder}'")
    files = sorted(path for path in folder.iterdir() if formats.is_named(path, formats.COMMON))
    if not files:
        raise RdcError(f"no PNG, JPEG or WebP files in '{folder}'")
    return files[:limit]
