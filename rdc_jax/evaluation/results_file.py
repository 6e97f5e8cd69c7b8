"""Results of a measurement as a JSON file."""

import json
from pathlib import Path
from typing import Any

from rdc_jax.images import atomic_write


def write_results(path: str | Path | None, results: dict[str, Any]) -> None:
    """Writes JSON through a temporary file, so that a stopped run leaves the last complete one.

    Without a path, nothing is written.
    """
    if path is not None:
        text = json.dumps(results, indent=1)
        atomic_write(path, text.encode("utf-8"), overwrite=True)
