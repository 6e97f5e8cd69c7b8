"""Region-adaptive diffusion image compression.

    import rdc_jax
    codec = rdc_jax.load()
    data = codec.encode(pixels, quality=40, importance=mask)
    pixels = codec.decode(data)

Importing the package is cheap: JAX is loaded by `load` or `Codec`, not before.
"""

import importlib
from typing import TYPE_CHECKING, Any

from rdc_jax.errors import RdcError

if TYPE_CHECKING:
    from rdc_jax.codec.codec import Codec, Report, load

__version__ = "0.1.0"
__all__ = ["Codec", "RdcError", "Report", "load"]


def __getattr__(name: str) -> Any:
    if name in ("Codec", "Report", "load"):
        return getattr(importlib.import_module("rdc_jax.codec.codec"), name)
    raise AttributeError(f"module 'rdc_jax' has no attribute {name!r}")
