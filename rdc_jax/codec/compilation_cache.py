"""Compiled networks on disk, so that they are compiled once per machine, not once per process.

A run of several hosts keeps them in its workdir, which all hosts share, because JAX writes them
from the first process only.
"""

import os
import tempfile
import warnings
from pathlib import Path

from rdc_jax import paths

FOLDER_IN_WORKDIR = "compilation_cache"


def folder() -> Path:
    """$RDC_CACHE_DIR, which may be in a bucket, or `rdc_jax` in the user's cache folder."""
    if named := os.environ.get("RDC_CACHE_DIR"):
        return paths.of(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "rdc_jax"


def enable_by_default() -> None:
    """Turns JAX's persistent cache on, unless JAX has been told to use a folder already."""
    import jax

    if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]  # set at run time
        enable()


def enable_for_several_hosts(workdir: str) -> None:
    """Turns the cache on for one process of several; without $RDC_CACHE_DIR it is in the workdir.

    `jax_share_binary_between_hosts` stays off. It saves no time, since all hosts compile at once,
    and where two hosts name a program differently, as two CPUs do (jax 0.10.2), one of them waits
    for a program that never comes.
    """
    named = os.environ.get("RDC_CACHE_DIR")
    enable(None if named else paths.of(workdir) / FOLDER_IN_WORKDIR)


def enable(path: Path | None = None) -> Path | None:
    """Turns JAX's persistent cache on; None, without a message, if the folder is not writable.

    path: The folder; None for `folder()`.
    """
    path = folder() if path is None else path
    if not paths.is_remote(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError:
            return None
    import jax

    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # A damaged entry, or a full disk, only costs a compilation.
    warnings.filterwarnings("ignore", message=".*persistent compilation cache")
    return path
