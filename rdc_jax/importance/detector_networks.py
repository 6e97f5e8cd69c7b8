"""Networks that detect objects and faces: ONNX files from other packages, run by onnxruntime.

Only the ONNX file is read. The packages are never imported, so their dependencies (such as OpenCV)
need not be installed.
"""

import functools
import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax import onnx_sessions
from rdc_jax.errors import RdcError

LIBRARIES = {"onnxruntime": "onnxruntime>=1.22", "onnx": "onnx>=1.17"}  # pip requirements


def missing_libraries() -> list[str]:
    """Returns the names of those libraries that run a network and are not installed."""
    return [name for name in LIBRARIES if importlib.util.find_spec(name) is None]


def in_package(package: str, name: str) -> Path | None:
    """Returns the path of a file in an installed package, without importing the package.

    Returns None if the package or the file is missing.
    """
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    folders = (spec and spec.submodule_search_locations) or ()
    return next(iter(existing(Path(folder) / name for folder in folders)), None)


def existing(places: Iterable[Path | None]) -> list[Path]:
    """Returns the paths of `places` at which there is a file."""
    found = []
    for path in places:
        try:
            if path is not None and path.is_file():
                found.append(path)
        except OSError:
            continue
    return found


def state(path: Path) -> tuple[int, int]:
    """Returns what changes when a file is replaced. Raises OSError if it is not there."""
    now = path.stat()
    return now.st_size, now.st_mtime_ns


@functools.lru_cache(maxsize=4)
def _session(weights: Path, state: tuple[int, int]) -> Any:
    """Returns the session of a network; a file that was replaced has another state."""
    import onnx
    import onnxruntime

    graph = onnx.load(weights)
    for value in (*graph.graph.input, *graph.graph.output):  # replace fixed sizes with any size
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            size.dim_param = f"{value.name}_{axis}"
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), onnx_sessions.options(), providers=["CPUExecutionProvider"]
    )


def run(weights: Path, image: np.ndarray, channels: Sequence[int], stride: int) -> list[np.ndarray]:
    """Runs a network on one image.

    Args:
        weights: ONNX file.
        image: [3,h,w], normalised as the network expects.
        channels: Number of channels of each output; further outputs are ignored.
        stride: Input pixels per output pixel.

    Returns:
        One float32 [c, h/stride, w/stride] per entry of `channels`.

    Raises:
        RdcError: the file is not such a network, or onnxruntime cannot run it.
    """
    try:
        session = _session(weights, state(weights))
        names = [output.name for output in session.get_outputs()[: len(channels)]]
        feed = {session.get_inputs()[0].name: np.asarray(image, np.float32)[None]}
        found = session.run(names, feed)
        shapes = [values.shape for values in found]
        if shapes != [(1, c, *(n // stride for n in image.shape[1:])) for c in channels]:
            raise ValueError("it is another network")
        if not all(np.isfinite(values).all() for values in found):
            raise ValueError("its output is not finite")
    except Exception as error:  # onnx and onnxruntime raise many exception types of their own
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise RdcError(f"the network '{weights}' cannot be used ({reason})") from error
    return [values[0] for values in found]
