"""Networks that detect objects and faces: ONNX files from other packages, run by onnxruntime.

Only the ONNX file is read. The packages are never imported, so their dependencies (such as OpenCV)
need not be installed, and nothing is ever downloaded.
"""

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax import onnx_sessions
from rdc_jax.errors import RdcError

LIBRARIES = ("onnxruntime", "onnx")


def missing_library() -> str | None:
    """Returns the first missing library of those that run a network, or None."""
    return next((name for name in LIBRARIES if importlib.util.find_spec(name) is None), None)


def in_package(package: str, name: str) -> Path | None:
    """Returns the path of a file in an installed package, without importing the package.

    Returns None if the package or the file is missing.
    """
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    folders = (spec and spec.submodule_search_locations) or ()
    return first_file([Path(folder) / name for folder in folders])


def first_file(candidates: Sequence[Path]) -> Path | None:
    """Returns the first candidate that is a readable file, or None."""
    for path in candidates:
        try:
            if path.is_file():
                return path
        except OSError:
            continue
    return None


@functools.lru_cache(maxsize=4)
def _session(weights: Path) -> Any:
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
        channels: number of channels of each output; further outputs are ignored.
        stride: input pixels per output pixel.

    Returns:
        One float32 [c, h/stride, w/stride] per entry of `channels`.

    Raises:
        RdcError: the file is not such a network, or onnxruntime cannot run it.
    """
    try:
        session = _session(weights)
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
        raise RdcError(
            f"the network '{weights}' cannot be used ({reason}); install it again, for example "
            "with pip's --force-reinstall, or use --roi contrast, which needs no network"
        ) from error
    return [values[0] for values in found]
