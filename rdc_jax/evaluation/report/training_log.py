"""The scalars that a training run has logged.

A run's folder contains metrics.jsonl: one JSON object per line with "step" and scalars by name. In
a bucket, where nothing can be appended to, the file goes on in metrics-00001.jsonl and so on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rdc_jax import paths as locations
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.metric_names import number

FILE = "metrics.jsonl"
FURTHER_PARTS = "metrics-*.jsonl"  # in a bucket
NO_CURVES = ("step", "time", "images", "seconds_per_step")

Series = dict[int, float]  # value by step


class Run(NamedTuple):
    """The scalars of one run, by name."""

    name: str
    scalars: dict[str, Series]


def read_runs(paths: Sequence[str | Path]) -> list[Run]:
    """The runs of these folders or metrics.jsonl files, named by folder; by path if names repeat.

    Raises RdcError when a file is missing or contains no scalars.
    """
    files = [_file(locations.of(path)) for path in paths]
    folders = [str(file.parent) if file.name == FILE else str(file) for file in files]
    names = [os.path.basename(os.path.abspath(folder)) for folder in folders]  # gs:// as well
    if len(set(names)) < len(names):
        names = folders
    return [Run(name, read_scalars(file)) for name, file in zip(names, files, strict=True)]


def read_scalars(file: Path) -> dict[str, Series]:
    """All finite scalars of a metrics.jsonl by name and step.

    Lines that are not JSON objects are skipped, because a run that was killed or is writing may
    leave half a line. If a resumed run logged a step again, the later value counts.

    Raises:
        RdcError: The file is missing or contains no scalars.
    """
    try:
        with locations.errors(file):
            lines = b"\n".join(part.read_bytes() for part in parts(file))
    except locations.RemoteError:
        raise
    except OSError as error:
        raise RdcError(
            f"cannot read '{file}' ({error.strerror}); name the workdir of a training run"
        ) from None
    scalars: dict[str, Series] = {}
    for line in lines.decode("utf-8", errors="replace").splitlines():
        for name, step, value in _entries(line):
            scalars.setdefault(name, {})[step] = value
    if lines.strip() and not scalars and file.name != FILE:
        raise RdcError(f"'{file}' is no metrics.jsonl; name the workdir of a training run")
    if not any(name not in NO_CURVES for name in scalars):
        raise RdcError(f"'{file}' has no scalars; wait until the run has logged its first step")
    return scalars


def parts(file: Path) -> list[Path]:
    """The files that a run's metrics are in, in order: `file` and, in a bucket, further parts."""
    if not locations.is_remote(file):
        return [file]
    first = [file] if file.exists() else []
    return [*first, *sorted(file.parent.glob(FURTHER_PARTS))] or [file]


def _file(path: Path) -> Path:
    """The metrics.jsonl of a run, named by its folder or itself."""
    with locations.errors(path):
        return path / FILE if path.is_dir() else path


def _entries(line: str) -> list[tuple[str, int, float]]:
    """(name, step, value) of every finite number in a line."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return []
    step = number(content.get("step")) if isinstance(content, dict) else None
    if step is None:
        return []
    values = ((name, number(value)) for name, value in content.items())
    return [(name, int(step), value) for name, value in values if value is not None]
