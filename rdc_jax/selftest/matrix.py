"""`rdc selftest`: does a file decode to the same symbols here, whatever the settings?

Each setting is a fresh process that decodes the same files: those of the reference that comes with
the model, which other machines have decoded, and those that the first setting has just encoded.
Decoding must give the same digests everywhere. Encoding runs networks in floating point, may
differ, and is reported; but whatever a setting encodes must decode elsewhere to what it encoded.
"""

import base64
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

REFERENCE = "selftest.json"  # in a model's folder, no part of its id
PACKAGES = ("jax", "jaxlib", "flax", "numpy", "constriction", "onnxruntime", "pillow")
QUICK_PICTURES = ("odd", "pixel", "region")
TIMEOUT = 900.0


class Row(NamedTuple):
    """What one setting gave. difference: the first, None if there is none."""

    setting: str
    decoded: int  # files
    difference: str | None
    encoding: str  # what encoding gave, as information
    seconds: float


def run(
    model: str | Path | None = None,
    full: bool = False,
    only: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """All settings, one after the other; a report ready for JSON.

    only: names of settings instead of all, the first setting of all runs too. progress: is called
    with each name. Raises RdcError when a model cannot be loaded or the first setting fails.
    """
    folder = codec_model.find(model)
    loaded = codec_model.load(folder)
    model_id = loaded.model_id.hex()
    reference = read_reference(folder, model_id)
    names = list(corpus()) if full else list(QUICK_PICTURES)
    chosen = [s for s in settings() if full or s.quick]
    if only is not None:
        chosen = [s for s in settings() if s == settings()[0] or s.name in only]
    rows: list[Row] = []
    platforms: list[str] = []
    with tempfile.TemporaryDirectory(prefix="rdc_selftest_") as scratch:
        root = Path(scratch)
        files = {}
        for name, entry in reference.items():
            files[f"reference {name}"] = root / f"reference_{name}.rdc"
            files[f"reference {name}"].write_bytes(base64.b64decode(entry["file"]))
        first, expected = None, {f"reference {k}": v["digests"] for k, v in reference.items()}
        pending = list(chosen)
        for number, setting in enumerate(pending):
            progress(setting.name)
            started = time.perf_counter()
            out = root / str(number)
            encode = names if setting.encodes == "all" else names[: setting.encodes == "small"]
            try:
                found = start(folder, setting, files, encode, out)
            except RdcError as error:
                if first is None:
                    raise
                rows.append(Row(setting.name, 0, str(error), "", time.perf_counter() - started))
                continue
            if first is None:
                first = found["encoded"]
                files |= {name: out / f"{name}.rdc" for name in names}
                expected |= decoded_here(loaded, {name: files[name] for name in names})
                platforms = found["platforms"]
                if platforms != ["cpu"]:
                    pending.append(on_the_cpu())
            difference = first_difference(expected, found["decoded"])
            difference = difference or not_decoded(found["encoded"], loaded, out)
            rows.append(
                Row(
                    setting.name,
                    len(found["decoded"]),
                    difference,
                    compared_encoding(first, found["encoded"]),
                    time.perf_counter() - started,
                )
            )
    return {
        "ok": all(row.difference is None for row in rows),
        "model": folder.name,
        "model_id": model_id,
        "reference_files": len(reference),
        "rows": [row._asdict() for row in rows],
        "versions": versions() | {"jax runs on": " ".join(platforms)},
    }


def start(
    folder: Path, setting: Setting, files: dict[str, Path], encode: Sequence[str], out: Path
) -> dict[str, Any]:
    """One setting in a fresh process. Raises RdcError with its last line when it fails."""
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
    """The first file of a setting that does not decode elsewhere to the symbols it was made of."""
    found = decoded_here(model, {name: out / f"{name}.rdc" for name in encoded})
    for name, entry in encoded.items():
        if found[name]["symbols"] != entry["symbols"]:
            return f"{name}: what this setting encodes decodes to other symbols elsewhere"
    return None


def first_difference(expected: dict[str, Any], found: dict[str, Any]) -> str | None:
    """Of digests, file by file and stage by stage; files that were not decoded do not count."""
    for name, digests in found.items():
        for stage, value in digests.items():
            if value != expected[name][stage]:
                return f"{name}: {stage} {value[:12]}, not {expected[name][stage][:12]}"
    return None


def compared_encoding(first: dict[str, Any], found: dict[str, Any]) -> str:
    """How many files of a setting are those of the first setting, bit for bit."""
    if not found:
        return "-"
    same = sum(first[name]["file"] == entry["file"] for name, entry in found.items())
    return f"{same} of {len(found)} files the same"


def read_reference(folder: Path, model_id: str) -> dict[str, Any]:
    """Files that came with the weights and their digests; none where they are of other weights."""
    path = folder / REFERENCE
    if not path.is_file():
        return {}
    with damage(path):
        stored = json.loads(path.read_text())
        return dict(stored["files"]) if stored["model_id"] == model_id else {}


def write_reference(model: str | Path | None = None) -> Path:
    """Makes the reference of a model anew, once for its weights; returns its path."""
    folder = codec_model.find(model)
    with tempfile.TemporaryDirectory() as scratch:
        out, names = Path(scratch), [*QUICK_PICTURES, "noise", "grey", "tiles"]
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
    """Of Python, of the packages that could matter, and of the machine."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    found |= {"processor": platform.machine(), "cores": str(os.cpu_count())}
    for name in ("rdc_jax", *PACKAGES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "from its source" if name == "rdc_jax" else "not installed"
    return found
