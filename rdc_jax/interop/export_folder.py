"""What the folders of `rdc export` have in common: a manifest, written last, and a licence.

manifest.json    {"model_id": ..., "sha256": {file: hash of its bytes}}
LICENSE*         as it lies beside the weights
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rdc_jax.model_folder import Model, as_json

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


def remove_older(out: Path) -> None:
    """Deletes the manifest of an earlier export and the files that it lists."""
    try:
        listed = json.loads((out / MANIFEST).read_bytes())["sha256"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return  # not complete: its files are written over
    for name in (MANIFEST, *listed):
        if ".." not in Path(name).parts and not Path(name).is_absolute():
            (out / name).unlink(missing_ok=True)


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
