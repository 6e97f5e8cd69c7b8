"""The common parts of all folders of `rdc export`: a manifest, written last, and licences.

manifest.json    {"model_id": ..., "sha256": {file: hash of its bytes}}
LICENSE*         copies of the licence files beside the weights
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rdc_jax.model_folder.codec_model import Model
from rdc_jax.model_folder.files import as_json

MANIFEST = "manifest.json"


def write(
    out: Path, model: Model, files: Iterable[tuple[str, bytes]], **said: Any
) -> dict[str, str]:
    """Writes files and then their manifest.

    Args:
        out: Folder to write to.
        model: Model whose id goes into the manifest.
        files: Names and contents, taken one at a time.
        **said: Further entries of the manifest.

    Returns:
        SHA-256 of each file by its name.

    Raises:
        OSError: the folder cannot be written.
    """
    hashes = {}
    for name, data in files:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    manifest = {"model_id": model.model_id.hex(), **said, "sha256": hashes}
    (out / MANIFEST).write_bytes(as_json(manifest))
    return hashes


def listed(out: Path) -> set[Path]:
    """Returns the manifest of an earlier export and the files it lists that are inside `out`.

    The list comes from an unknown author. So names that lead outside the folder, also through
    links, are left out. Without a readable manifest the set is empty.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        names = json.loads((out / MANIFEST).read_bytes())["sha256"]
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return set()  # an incomplete export, whose files are overwritten
    root, found = os.path.realpath(out), set()
    for name in (MANIFEST, *(names if isinstance(names, dict) else ())):
        with contextlib.suppress(OSError, ValueError):  # a name that no file can have
            path = place(out, name)
            if path.is_relative_to(root) and path.is_file():
                found.add(path)
    return found


def place(out: Path, name: str | Path) -> Path:
    """Returns the path of a file in `out`, with links in its folder resolved."""
    path = out / name
    return Path(os.path.realpath(path.parent)) / path.name


def licence_files(model: Model) -> Iterator[tuple[str, bytes]]:
    """Yields names and contents of the licence files beside the weights."""
    for file in sorted(model.path.glob("LICENSE*")):
        yield file.name, file.read_bytes()


def licence(model: Model) -> str:
    """Returns a text on the licence that applies, from the files beside the weights."""
    found = sorted(path.name for path in model.path.glob("LICENSE*"))
    if found:
        return f"See {', '.join(found)}. It covers the weights and not the code of rdc_jax."
    return (
        "No licence file came with the weights. For a model from `rdc import`, the licence of its "
        "source applies. Otherwise, ask the person who trained the weights."
    )
