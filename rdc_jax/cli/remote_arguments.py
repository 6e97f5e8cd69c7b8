"""Arguments that may name something in a bucket (gs://...), and those that may not."""

from argparse import Namespace

from rdc_jax import paths
from rdc_jax.errors import RdcError

EVERYWHERE = ("model", "fusion", "overrides")
"""Read through `rdc_jax.paths` by every command; settings of training are checked there."""
OF_COMMANDS = {"plot_training": ("input",), "export_model": ("workdir",)}
"""Further arguments of this kind, by the module of the command."""


def refuse(args: Namespace) -> None:
    """Raises RdcError for a remote path in an argument that is read or written as a local path.

    Without this, a command would make a local folder named "gs:".
    """
    allowed = (*EVERYWHERE, *OF_COMMANDS.get(args.module, ()))
    for name, given in vars(args).items():
        for value in given if isinstance(given, list | tuple) else [given]:
            if name not in allowed and isinstance(value, str) and paths.is_remote(value):
                raise RdcError(
                    f"{value}: this argument must be a local path; copy it with `gcloud storage "
                    "cp -r`, or mount the bucket"
                )
