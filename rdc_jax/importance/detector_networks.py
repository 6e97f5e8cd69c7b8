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

from rdc_jax import onnx_sessions
from rdc_jax.errors import RdcError

LIBRARIES = ("onnxruntime", "onnx")


def missing_library() -> str | None:
    """A library that is needed to run a network and is not installed."""
    return next((name for name in LIBRARIES if importlib.util.find_spec(name) is None), None)


def in_package(package: str, name: str) -> Path | None:
    """The file `name` in an installed package's folder, which is not imported; None without."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    folders = (spec and spec.submodule_search_locations) or ()
    return first_file([Path(folder) / name for folder in folders])


def first_file(candidates: Sequence[Path]) -> Path | None:
    """The first that is a file, of those that may be looked at."""
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
    for value in (*graph.graph.input, *graph.graph.output):  # sizes as exported become any size
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            size.dim_param = f"{value.name}_{axis}"
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), onnx_sessions.options(), providers=["CPUExecutionProvider"]
    )


def run(
    weights: Path, picture: np.ndarray, channels: Sequence[int], stride: int
) -> list[np.ndarray]:
    """The first outputs of a network for a picture float32 [3,h,w], float32 [c,h/stride,w/stride].

    channels: c of each. Raises RdcError where the file is not a network of that kind, or
    onnxruntime cannot run it.
    """
    try:
        session = _session(weights)
        names = [output.name for output in session.get_outputs()[: len(channels)]]
        feed = {session.get_inputs()[0].name: np.asarray(picture, np.float32)[None]}
        found = session.run(names, feed)
        shapes = [values.shape for values in found]
        if shapes != [(1, c, *(n // stride for n in picture.shape[1:])) for c in channels]:
            raise ValueError("it is another network")
        if not all(np.isfinite(values).all() for values in found):
            raise ValueError("its output is not finite")
    except Exception as error:  # onnx and onnxruntime have many kinds of their own
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise RdcError(
            f"the network '{weights}' cannot be used ({reason}); put it there again, as with "
            "pip's --force-reinstall, or choose the finder contrast, which needs none"
        ) from error
    return [values[0] for values in found]
