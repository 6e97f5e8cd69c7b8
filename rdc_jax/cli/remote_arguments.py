"""Arguments that may name something in a bucket (gs://...), and those that may not."""

from argparse import Namespace

from rdc_jax import paths
from rdc_jax.errors import RdcError

MAY_BE_REMOTE = {
    "model": "all commands read models through `paths`",
    "fusion": "and fusion modules",
    "overrides": "settings of training, which are checked there",
    "input": "runs of `rdc plot training`",
    "workdir": "runs of `rdc export --from`",
}
"""Arguments whose commands understand gs://BUCKET/NAME, with the reason."""


def refuse(args: Namespace) -> None:
    """Raises RdcError for a remote path in an argument that is read or written as a local path.

    Without this, a command would make a local folder named "gs:".
    """
    for name, given in vars(args).items():
        if name in MAY_BE_REMOTE:
            continue
        for value in given if isinstance(given, list | tuple) else [given]:
            if isinstance(value, str) and paths.is_remote(value):
                raise RdcError(
                    f"{value}: this argument must be a local path; copy it with `gcloud storage "
                    "cp -r`, or mount the bucket"
                )
