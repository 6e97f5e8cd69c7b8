"""Starts JAX where its failure is the user's to repair, and not a bug."""

import os

from rdc_jax.errors import RdcError


def start_jax() -> None:
    """Starts the back end of JAX. Raises RdcError if the one that is asked for cannot start."""
    import jax

    try:
        jax.devices()
    except Exception as error:  # JAX fails with errors of many types, even an empty AssertionError
        reason = " ".join(str(error).split("\n")[0].split())
        said = f": {reason:.200}" if reason else ""
        asked = os.environ.get("JAX_PLATFORMS")
        if asked:
            raise RdcError(
                f"JAX cannot start on JAX_PLATFORMS={asked}{said}; unset JAX_PLATFORMS or set it "
                "to cpu"
            ) from None
        raise RdcError(f"JAX cannot start{said}; try again with JAX_PLATFORMS=cpu") from None
