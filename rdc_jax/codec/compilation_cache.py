"""Compiled networks on disk, so that they are compiled once per machine, not once per process."""

import os
import tempfile
import warnings
from pathlib import Path


def folder() -> Path:
    """$RDC_CACHE_DIR, or `rdc_jax` in the user's cache folder."""
    if named := os.environ.get("RDC_CACHE_DIR"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "rdc_jax"


def enable_by_default() -> None:
    """Turns JAX's persistent cache on, unless JAX has been told to use a folder already."""
    import jax

    if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]  # set at run time
        enable()


def enable() -> Path | None:
    """Turns JAX's persistent cache on; None, without a message, if the folder is not writable."""
    path = folder()
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
