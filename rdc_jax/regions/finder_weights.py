"""Networks that find objects and faces: ONNX files of other packages, run by onnxruntime.

Only the file is read: nothing of those packages is imported, so what they depend on (OpenCV and
more) need not be there, and nothing is ever downloaded.
"""

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.errors import RdcError

LIBRARIES = ("onnxruntime", "onnx")


def libraries_installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in LIBRARIES)


def in_package(package: str, name: str) -> Path | None:
    """The file `name` in an installed package's folder, which is not imported; None without."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / name).is_file():
            return path
    return None


@functools.lru_cache(maxsize=4)
def _session(weights: Path) -> Any:
    import onnx
    import onnxruntime

    graph = onnx.load(weights)
    for value in (*graph.graph.input, *graph.graph.output):  # sizes as exported become any size
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            size.dim_param = f"{value.name}_{axis}"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # some of these files hold constants that nothing uses
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(weights: Path, picture: np.ndarray, channels: Sequence[int]) -> list[np.ndarray]:
    """The first outputs, float32 [c,h,w], of a network for a picture float32 [3,h,w].

    channels: how many each output must have. Raises RdcError where the file is not a network of
    that kind, or onnxruntime cannot run it.
    """
    try:
        session = _session(weights)
        names = [output.name for output in session.get_outputs()[: len(channels)]]
        feed = {session.get_inputs()[0].name: np.asarray(picture, np.float32)[None]}
        found = session.run(names, feed)
        if tuple(values.shape[:2] for values in found) != tuple((1, n) for n in channels):
            raise ValueError(f"its outputs have the shapes {[values.shape for values in found]}")
    except Exception as error:  # onnx and onnxruntime have many kinds of their own
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise RdcError(
            f"the network '{weights}' cannot be used ({reason}); install its package again, or "
            f"give --roi contrast, which needs none"
        ) from error
    return [values[0] for values in found]
