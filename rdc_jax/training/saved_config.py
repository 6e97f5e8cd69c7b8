"""The config of a run, kept in its workdir as config.json.

It is the resolved config: the file's, changed by the command line, with the `model` section of the
base codec. Every start writes it anew, so it always says what the newest steps were trained with.
"""

import json
from typing import Any

import ml_collections

from rdc_jax import paths
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.results_file import write_results
from rdc_jax.model_folder.files import flatten

FILE = "config.json"
FIXED = (
    *("stage", "seed", "model"),
    *("fusion/from_base", "fusion/transform", "fusion/auxiliary", "fusion/discriminator"),
)
"""Settings, or sections, that may not change while a run goes on.

They say what is trained and which examples are drawn. Everything else may change: a run can be
extended, slowed down, moved to other devices or to another folder of the same images.
"""
MISSING = object()


def check(config: ml_collections.ConfigDict, workdir: str | None = None) -> None:
    """Compares a run that goes on with what workdir/config.json says.

    Runs of earlier versions have no such file, and are not checked.

    Args:
        config: Of the run.
        workdir: Of the run that it continues; None: its own.

    Raises:
        RdcError: it would be another run.
    """
    path = paths.of(workdir or config.workdir) / FILE
    try:
        with paths.errors(path):
            text = path.read_text(encoding="utf-8")
        stored = flatten(json.loads(text))
    except FileNotFoundError:
        return
    except paths.RemoteError:
        raise
    except (OSError, ValueError, AttributeError) as error:
        raise RdcError(f"cannot read {path}; remove it to go on without its check") from error
    given = flatten(_as_json(config))
    for name in sorted(stored | given):
        old, new = stored.get(name, MISSING), given.get(name, MISSING)
        if old != new and name.startswith(tuple(f"{fixed}/" for fixed in FIXED) + FIXED):
            raise RdcError(
                f"this run was started with {_said(name, old)} ({path}), and the config says "
                f"{_said(name, new)}; name another workdir, or train on with the config it was "
                "made with"
            )


def read(workdir: str) -> ml_collections.ConfigDict:
    """The config of a run. Raises RdcError if it has none, or it cannot be read."""
    path = paths.of(workdir) / FILE
    try:
        with paths.errors(path):
            text = path.read_text(encoding="utf-8")
        return ml_collections.ConfigDict(json.loads(text))
    except FileNotFoundError as error:
        raise RdcError(f"no {FILE} in {workdir}; name the workdir of a run") from error
    except paths.RemoteError:
        raise
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RdcError(f"cannot read {path}; it is no config of a run") from error


def write(config: ml_collections.ConfigDict) -> None:
    """Writes workdir/config.json. Raises RdcError when the disk refuses."""
    path = paths.of(config.workdir) / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_results(path, _as_json(config))
    except OSError as error:
        raise RdcError(
            f"cannot write {path}: {error.strerror or error}; make room there or name another "
            "workdir"
        ) from error


def _as_json(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """The config's values as JSON keeps them, tuples as lists."""
    return json.loads(json.dumps(config.to_dict(), sort_keys=True))


def _said(name: str, value: Any) -> str:
    name = name.replace("/", ".")
    return f"no {name}" if value is MISSING else f"{name}={value}"
