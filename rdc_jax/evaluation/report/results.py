"""Parts of every comparison: the images of a folder, a results file, a table, the machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from rdc_jax.errors import RdcError
from rdc_jax.images import atomic_write, formats


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


def write_results(path: str | Path | None, results: dict) -> None:
    """Writes JSON through a temporary file, so that a stopped run leaves the last complete one."""
    if path is not None:
        text = json.dumps(results, indent=1)
        atomic_write(path, text.encode("utf-8"), overwrite=True)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned columns of text: the first to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def usable_cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hardware() -> str:
    """One line: processor, usable cores, accelerators that JAX finds, versions."""
    import jax

    parts = [f"{_processor()}, {usable_cores()} cores"]
    kinds = [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    parts += [f"{kinds.count(kind)} x {kind}" for kind in sorted(set(kinds))]
    versions = [f"{name} {metadata.version(name)}" for name in ("jax", "flax", "numpy", "pillow")]
    return "; ".join([*parts, f"Python {platform.python_version()}, " + ", ".join(versions)])


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
