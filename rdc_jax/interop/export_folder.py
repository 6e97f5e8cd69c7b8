"""What the folders of `rdc export` have in common: a manifest, written last, and a licence.

manifest.json    {"model_id": ..., "sha256": {file: hash of its bytes}}
LICENSE*         as it lies beside the weights
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
    """Writes files (names and contents, one at a time) and their manifest; returns the hashes.

    said: what else the manifest says. Raises OSError when the folder cannot be written.
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
    """The manifest of an earlier export and the files that it lists, those that lie in `out`.

    Whoever made the folder wrote that list: a name that leads elsewhere, by a link too, is left
    out. Without a manifest that can be read the set is empty. Raises OSError.
    """
    try:
        names = json.loads((out / MANIFEST).read_bytes())["sha256"]
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return set()  # not complete: its files are written over
    root, found = os.path.realpath(out), set()
    for name in (MANIFEST, *(names if isinstance(names, dict) else ())):
        with contextlib.suppress(OSError, ValueError):  # what no file can be called
            path = place(out, name)
            if path.is_relative_to(root) and path.is_file():
                found.add(path)
    return found


def place(out: Path, name: str | Path) -> Path:
    """Where a file of that name lies, no folder above it a link."""
    path = out / name
    return Path(os.path.realpath(path.parent)) / path.name


def licence_files(model: Model) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the licences beside the weights."""
    for file in sorted(model.path.glob("LICENSE*")):
        yield file.name, file.read_bytes()


def licence(model: Model) -> str:
    """Whose terms apply, from the files beside the weights."""
    found = sorted(path.name for path in model.path.glob("LICENSE*"))
    if found:
        return f"See {', '.join(found)}. It covers the weights and not the code of rdc_jax."
    return (
        "None came with the weights. The licence of those they were made from applies (a model "
        "from `rdc import`: that of its source), else the word of whoever trained them."
    )
