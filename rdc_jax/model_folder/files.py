"""Reading and writing the files of a model folder: manifest, JSON, safetensors.

A manifest holds the SHA-256 of every other file. The id of a folder is the first 8 bytes of the
manifest's own SHA-256.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from rdc_jax import paths
from rdc_jax.errors import RdcError

MANIFEST = "manifest.json"
ID_BYTES = 8


def name_or_path(value: Any, parameter: str) -> str:
    """A name or a path as text. Raises RdcError, naming the parameter, if it is neither."""
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise RdcError(f"{parameter} must be a name or a path, not {value!r:.60}")
    return os.fspath(value)


def write(folder: Path, files: Mapping[str, bytes]) -> bytes:
    """Writes files and a manifest with their hashes into a folder; returns the manifest's id."""
    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in sorted(files.items())}
    manifest = as_json({"sha256": hashes})
    with paths.errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in {**files, MANIFEST: manifest}.items():
            (folder / file).write_bytes(data)
    return hashlib.sha256(manifest).digest()[:ID_BYTES]


def read(folder: Path, required: set[str]) -> tuple[dict[str, bytes], bytes]:
    """Reads all files that a folder's manifest lists, and checks their hashes.

    Args:
        folder: The folder.
        required: Names of files that the manifest must list.

    Returns:
        Contents by file name, and the manifest's id.

    Raises:
        RdcError: A file is missing, not listed, or has another hash.
    """
    manifest = read_bytes(folder / MANIFEST)
    with damage(folder / MANIFEST):
        hashes = dict(json.loads(manifest)["sha256"])
        if missing := required - hashes.keys():
            raise ValueError(f"{missing} not listed")
    contents = {name: read_bytes(folder / Path(name).name) for name in hashes}
    for name, data in contents.items():
        if hashlib.sha256(data).hexdigest() != hashes[name]:
            raise RdcError(f"{folder}/{name} does not match its hash; install the model again")
    return contents, hashlib.sha256(manifest).digest()[:ID_BYTES]


def as_float16(part: str, tree: Mapping[str, Any]) -> bytes:
    """Safetensors bytes of a nested dict of arrays, in float16.

    Raises RdcError if a weight is not finite or overflows float16. part: names it in the message.
    """
    arrays = {k: np.asarray(v).astype(np.float16) for k, v in flatten(tree).items()}
    if not all(np.all(np.isfinite(a)) for a in arrays.values()):
        raise RdcError(f"the {part} has weights that are not finite or overflow float16")
    return safetensors.numpy.save(arrays)


def as_exact(part: str, tree: Mapping[str, Any]) -> bytes:
    """As `as_float16`, but arrays that float16 would round stay float32."""
    return safetensors.numpy.save({k: exactly(part, v) for k, v in flatten(tree).items()})


def exactly(part: str, value: np.ndarray) -> np.ndarray:
    """The array as float16 if that loses nothing, else as float32.

    Raises RdcError if a value is not finite. part: names the weights in the message.
    """
    value = np.asarray(value, np.float32)
    if not np.all(np.isfinite(value)):
        raise RdcError(f"the {part} has weights that are not finite")
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), value) else value


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": x}} -> {"a/b": x}."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}/")
        else:
            flat[prefix + key] = value
    return flat


def parameter_shapes(tree: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Flat names and shapes of all arrays (or shape structs) of a nested dict."""
    return {name: tuple(value.shape) for name, value in flatten(tree).items()}


def unflatten(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The inverse of `flatten`; values become float32."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        node = tree
        *parents, leaf = key.split("/")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value.astype(np.float32)
    return tree


def as_json(value: Any) -> bytes:
    """Readable JSON; equal values give equal bytes."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def read_bytes(path: Path) -> bytes:
    """The contents of one file. Raises RdcError if it cannot be read."""
    try:
        with paths.errors(path):
            return path.read_bytes()
    except paths.RemoteError:
        raise
    except OSError as error:
        raise RdcError(
            f"cannot read {path}: {paths.reason(error)}; install the model again"
        ) from error


@contextlib.contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turns errors while parsing a file into one RdcError that names the file."""
    try:
        yield
    except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise RdcError(f"{path} is damaged; install the model again") from error


@contextlib.contextmanager
def described_by(folder: Path, what: str) -> Iterator[None]:
    """Turns errors in a folder's config into one RdcError that names its file.

    what: What the config should describe, such as "a model".
    """
    try:
        yield
    except RdcError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RdcError(f"{folder / 'config.json'} does not describe {what}: {error}") from error
