"""Which packages are installed, and what to say where one is missing.

`requirements-decode.txt` installs only what decoding needs. It leaves out JAX, SciPy and all
packages of training, so most commands must say what they miss.
"""

import contextlib
import importlib.util
from collections.abc import Iterator

from rdc_jax.errors import RdcError

REMEDY = "`pip install -e .` in the clone of rdc_jax installs what it needs"


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:  # an import hook refuses it
        return False


def check_jax() -> None:
    """Raises RdcError if JAX is not installed."""
    if not installed("jax"):
        raise RdcError(f"this needs JAX, which is not installed; {REMEDY}")


@contextlib.contextmanager
def explain_missing() -> Iterator[None]:
    """Turns the ModuleNotFoundError of a package into an RdcError; that of our own module stays."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "rdc_jax").split(".")[0]
        if package == "rdc_jax":
            raise
        raise RdcError(f"this needs {package}, which is not installed; {REMEDY}") from error
