"""The machine that measures, named in results."""

import os
import platform
from importlib import metadata
from pathlib import Path


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
