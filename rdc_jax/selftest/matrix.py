"""`rdc selftest`: does a file decode to the same symbols here with every setting?

Each setting is a fresh process that decodes the same files: the reference files that come with the
model, which other machines have decoded, and the files that the first setting has encoded. Decoding
must give the same digests everywhere. Encoding runs networks in floating point and may differ; the
report says so. But the file that a setting encodes must decode elsewhere to the encoded symbols.
"""

import base64
import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model
from rdc_jax.model_folder.files import as_json, damage
from rdc_jax.selftest.corpus import corpus
from rdc_jax.selftest.settings import Setting, on_the_cpu, settings
from rdc_jax.selftest.worker import decoded_here

REFERENCE = "selftest.json"  # in a model's folder, not part of its id
PACKAGES = ("jax", "jaxlib", "flax", "numpy", "constriction", "onnxruntime", "pillow")
QUICK_IMAGES = ("odd", "pixel", "region")
TIMEOUT = 900.0


class Row(NamedTuple):
    """The result of one setting.

    Attributes:
        setting: Its name.
        decoded: Number of decoded files.
        difference: The first difference found, None if there is none.
        encoding: How the encoded files compare with those of the first setting, as information.
        seconds: Wall time.
    """

    setting: str
    decoded: int
    difference: str | None
    encoding: str
    seconds: float


@dataclasses.dataclass
class _Corpus:
    """The files that every setting decodes and the digests they must give, by name.

    The first setting adds the files that it encodes.
    """

    files: dict[str, Path]
    expected: dict[str, Any]
    encoded: dict[str, Any] | None = None  # by the first setting
    platforms: Sequence[str] = ()  # of the first setting


def run(
    model: str | Path | None = None,
    full: bool = False,
    only: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Runs the settings one after another.

    Args:
        model: Name or folder of a model; None for the default model.
        full: Whether to run all images and settings instead of the quick ones.
        only: Names of settings to run after the first one, instead of all.
        progress: Called with the name of every setting before it runs.

    Returns:
        The report, ready for JSON.

    Raises:
        RdcError: The model cannot be loaded, or the first setting fails.
    """
    folder = codec_model.find(model)
    loaded = codec_model.load(folder)
    reference = read_reference(folder, loaded.model_id.hex())
    names = list(corpus()) if full else list(QUICK_IMAGES)
    pending = [s for s in settings() if full or s.quick]
    if only is not None:
        pending = [s for s in settings() if s == settings()[0] or s.name in only]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="rdc_selftest_") as scratch:
        files = _unpack_reference(reference, Path(scratch))
        expected = {f"reference {name}": entry["digests"] for name, entry in reference.items()}
        known = _Corpus(files, expected)
        for number, setting in enumerate(pending):
            progress(setting.name)
            is_first = known.encoded is None
            rows.append(_run_setting(setting, loaded, known, names, Path(scratch) / str(number)))
            if is_first and known.platforms != ["cpu"]:
                pending.append(on_the_cpu())
    return {
        "ok": all(row.difference is None for row in rows),
        "model": folder.name,
        "model_id": loaded.model_id.hex(),
        "reference_files": len(reference),
        "rows": [row._asdict() for row in rows],
        "versions": versions() | {"jax runs on": " ".join(known.platforms)},
    }


def _unpack_reference(reference: dict[str, Any], root: Path) -> dict[str, Path]:
    """Writes the files of a reference; returns their paths by name."""
    files = {}
    for name, entry in reference.items():
        files[f"reference {name}"] = root / f"reference_{name}.rdc"
        files[f"reference {name}"].write_bytes(base64.b64decode(entry["file"]))
    return files


def _run_setting(
    setting: Setting,
    model: codec_model.Model,
    known: _Corpus,
    names: Sequence[str],
    out: Path,
) -> Row:
    """Runs one setting in a process and compares its digests.

    Args:
        setting: The setting.
        model: The model.
        known: What files must decode to; the first setting adds its own files.
        names: Images to encode.
        out: Folder for the setting's files.

    Raises:
        RdcError: The first setting failed. The failure of another one becomes its row.
    """
    started = time.perf_counter()
    encode = names if setting.encodes == "all" else names[: setting.encodes == "small"]
    try:
        found = start(model.path, setting, known.files, encode, out)
    except RdcError as error:
        if known.encoded is None:
            raise
        return Row(setting.name, 0, str(error), "", time.perf_counter() - started)
    if known.encoded is None:
        known.encoded, known.platforms = found["encoded"], found["platforms"]
        known.files |= {name: out / f"{name}.rdc" for name in names}
        known.expected |= decoded_here(model, {name: known.files[name] for name in names})
    difference = first_difference(known.expected, found["decoded"])
    difference = difference or not_decoded(found["encoded"], model, out)
    encoding = compared_encoding(known.encoded, found["encoded"])
    seconds = time.perf_counter() - started
    return Row(setting.name, len(found["decoded"]), difference, encoding, seconds)


def start(
    folder: Path, setting: Setting, files: dict[str, Path], encode: Sequence[str], out: Path
) -> dict[str, Any]:
    """Runs one setting in a fresh process.

    Args:
        folder: Folder of the model.
        setting: The setting.
        files: Files to decode, by name.
        encode: Names of the images to encode.
        out: Folder for the encoded files.

    Returns:
        The JSON that the worker prints.

    Raises:
        RdcError: The process failed; the message is the last line of its errors.
    """
    out.mkdir(exist_ok=True)
    job = {
        "model": str(folder.resolve()),
        "decoder": setting.decoder,
        "decode": {name: str(path) for name, path in files.items()},
        "encode": list(encode),
        "out": str(out),
    }
    (out / "job.json").write_text(json.dumps(job))
    flags = " ".join([os.environ.get("XLA_FLAGS", ""), setting.environment.get("XLA_FLAGS", "")])
    environment = os.environ | setting.environment | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["XLA_FLAGS"] = flags.strip()
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "rdc_jax.selftest.worker", str(out / "job.json")]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        raise RdcError(f"took more than {TIMEOUT:.0f} s") from None
    if done.returncode:
        raise RdcError("failed: " + (done.stderr.strip().splitlines() or ["no message"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


def not_decoded(encoded: dict[str, Any], model: codec_model.Model, out: Path) -> str | None:
    """The first file that does not decode here to the symbols that the setting encoded.

    Args:
        encoded: Digests by name, of the setting.
        model: The model.
        out: The folder of the setting's files.
    """
    found = decoded_here(model, {name: out / f"{name}.rdc" for name in encoded})
    for name, entry in encoded.items():
        if found[name]["symbols"] != entry["symbols"]:
            return f"{name}: the file of this setting decodes to other symbols elsewhere"
    return None


def first_difference(expected: dict[str, Any], found: dict[str, Any]) -> str | None:
    """The first digest that differs, by file and stage; files that were not decoded are ignored."""
    for name, digests in found.items():
        for stage, value in digests.items():
            if value != expected[name][stage]:
                return f"{name}: {stage} {value[:12]}, not {expected[name][stage][:12]}"
    return None


def compared_encoding(first: dict[str, Any], found: dict[str, Any]) -> str:
    """How many files of a setting equal those of the first setting bit for bit."""
    if not found:
        return "-"
    same = sum(first[name]["file"] == entry["file"] for name, entry in found.items())
    return f"{same} of {len(found)} files the same"


def read_reference(folder: Path, model_id: str) -> dict[str, Any]:
    """Files that come with the weights, and their digests; empty if they are of other weights."""
    path = folder / REFERENCE
    if not path.is_file():
        return {}
    with damage(path):
        stored = json.loads(path.read_text())
        return dict(stored["files"]) if stored["model_id"] == model_id else {}


def write_reference(model: str | Path | None = None) -> Path:
    """Writes the reference of a model, needed once for its weights; returns its path."""
    folder = codec_model.find(model)
    with tempfile.TemporaryDirectory() as scratch:
        out, names = Path(scratch), [*QUICK_IMAGES, "noise", "grey", "tiles"]
        start(folder, Setting("", {}), {}, names, out)
        files = {name: out / f"{name}.rdc" for name in names}
        found = decoded_here(codec_model.load(folder), files)
        entries = {
            name: {
                "file": base64.b64encode(path.read_bytes()).decode(),
                "digests": found[name],
            }
            for name, path in files.items()
        }
    stored = {"model_id": codec_model.load(folder).model_id.hex(), "files": entries}
    (folder / REFERENCE).write_bytes(as_json(stored))
    return folder / REFERENCE


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that could matter, and the machine."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    found |= {"processor": platform.machine(), "cores": str(os.cpu_count())}
    for name in ("rdc_jax", *PACKAGES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "from its source" if name == "rdc_jax" else "not installed"
    return found
