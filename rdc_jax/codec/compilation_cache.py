"""Compiled networks kept on disk, so that a command compiles once per machine, not per start."""

import os
import tempfile
import warnings
from pathlib import Path


def folder() -> Path:
    """$RDC_CACHE_DIR, or `rdc_jax` in the user's cache folder."""
    if named := os.environ.get("RDC_CACHE_DIR"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "rdc_jax"


def enable() -> Path | None:
    """Turns JAX's persistent cache on; None, without a word, where the folder is not writable."""
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
    # A damaged entry, or a disk that is full, costs a compilation and nothing else.
    warnings.filterwarnings("ignore", message=".*persistent compilation cache")
    return path
