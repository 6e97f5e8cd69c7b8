"""Region-adaptive diffusion image compression.

    import rdc_jax
    data   = rdc_jax.encode("photo.jpg", quality=40, importance="auto")     bytes of an .rdc file
    pixels = rdc_jax.decode(data)                                           uint8 [H,W,3]

    codec  = rdc_jax.load()                                                 a model, to use it often
    data   = codec.encode(pixels, quality=40, importance=mask)
    pixels = codec.decode(data, tau=1.0)

Importing the package is cheap: JAX is imported when a model is loaded, not before. Without JAX,
`decode` and `info` work, see docs/install.md.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from rdc_jax.errors import RdcError

if TYPE_CHECKING:
    from rdc_jax.codec.api import decode, encode
    from rdc_jax.codec.codec import Codec, load
    from rdc_jax.codec.file_info import info
    from rdc_jax.codec.report import Report as Report
    from rdc_jax.images import read_image, write_image

__version__ = "0.1.0"
__all__ = [
    "Codec",
    "RdcError",
    "decode",
    "encode",
    "info",
    "load",
    "read_image",
    "write_image",
]

# Where the names above live: the same modules as for type checkers, imported when first used.
_HOMES = {
    "Codec": "rdc_jax.codec.codec",
    "Report": "rdc_jax.codec.report",
    "decode": "rdc_jax.codec.api",
    "encode": "rdc_jax.codec.api",
    "info": "rdc_jax.codec.file_info",
    "load": "rdc_jax.codec.codec",
    "read_image": "rdc_jax.images",
    "write_image": "rdc_jax.images",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from rdc_jax.installation import explain_missing

        with explain_missing():
            return getattr(_import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'rdc_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__version__"]
