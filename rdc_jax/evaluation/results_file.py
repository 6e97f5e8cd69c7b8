"""Results of a measurement as a JSON file."""

import json
from pathlib import Path
from typing import Any

from rdc_jax import paths
from rdc_jax.images import atomic_write


def write_results(path: str | Path | None, results: dict[str, Any]) -> None:
    """Writes JSON through a temporary file, so that a stopped run leaves the last complete one.

    Without a path, nothing is written.
    """
    if path is None:
        return
    data = json.dumps(results, indent=1).encode("utf-8")
    if paths.is_remote(path):  # a file of a bucket is replaced as a whole
        with paths.errors(path):
            paths.of(path).write_bytes(data)
    else:
        atomic_write(path, data, overwrite=True)
