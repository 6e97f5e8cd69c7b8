"""The graphs of `interop.onnx` for a web page, with float16 weights in files beside them.

    faithful.onnx   as of `interop.onnx.export`, with its weights in codec.bin
    knob.onnx       the same with a fusion module, whose weights are in fusion.bin

A graph holds each weight as float16 and converts it to float32 when it is loaded, so a page
computes with the same numbers as the package. Both graphs share codec.bin. Model folders store
float16, so nothing is lost; a weight that float16 cannot hold stays float32.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.errors import RdcError
from rdc_jax.interop.onnx.decoder import FAITHFUL, FOLDER, KNOB
from rdc_jax.interop.torch.layout import PREFIXES, decoder_state
from rdc_jax.model_folder import codec_model, fusion_module

CODEC_WEIGHTS, FUSION_WEIGHTS = "codec.bin", "fusion.bin"
ALIGNMENT = 64  # bytes; the start of each weight in its file


def files(model: codec_model.Model, module: fusion_module.Module | None) -> dict[str, bytes]:
    """Returns graphs and weights of a model, contents by file name.

    Args:
        model: The model.
        module: Its fusion module, None to leave the second graph out.

    Raises:
        RdcError: the model's folder holds no graphs, and the packages that make them are missing.
    """
    try:
        import onnx
    except ImportError:
        raise RdcError("exporting to the web needs onnx: pip install 'rdc_jax[onnx]'") from None
    params = model.params
    if module is not None:
        params = params | {"transform": module.params["transform"]}
    weights = _Weights(decoder_state(params))
    contents = {}
    for name, data in _weightless(model, module).items():
        proto = onnx.load_from_string(data)
        _point_to(proto, weights)
        contents[name] = proto.SerializeToString(deterministic=True)
    return contents | weights.files()


def _weightless(model: codec_model.Model, module: fusion_module.Module | None) -> dict[str, bytes]:
    """Graphs without weights: those in the model's folder if they fit, else new ones."""
    folder, names = model.path / FOLDER, [FAITHFUL] if module is None else [FAITHFUL, KNOB]
    identity = None if module is None else module.identity
    if _made_for(folder, model.model_id.hex(), identity):
        return {name: (folder / name).read_bytes() for name in names}
    from rdc_jax.interop.onnx.export import graphs
    from rdc_jax.interop.torch.decoder import load

    return graphs(load(model.path, "none" if module is None else module.path), weights=False)


def _made_for(folder: Path, model_id: str, module_id: str | None) -> bool:
    try:
        said = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    return said.get("model_id") == model_id and module_id in (None, said.get("module_id"))


class _Weights:
    """Weights of the graphs, written one after the other into two files when a graph needs them."""

    def __init__(self, state: Mapping[str, np.ndarray]):
        self._state = state
        self._files = {CODEC_WEIGHTS: bytearray(), FUSION_WEIGHTS: bytearray()}
        self._places: dict[str, tuple[str, int, np.ndarray]] = {}

    def place(self, name: str) -> tuple[str, int, np.ndarray]:
        """Returns file, offset and stored array of a weight. Raises RdcError for an unknown one."""
        if name not in self._places:
            if name not in self._state:
                raise RdcError(f"the graph needs {name}, which the model's folder does not hold")
            weight = np.asarray(self._state[name], np.float32)
            half = weight.astype(np.float16)
            stored = half if np.array_equal(half.astype(np.float32), weight) else weight
            file = FUSION_WEIGHTS if name.startswith(PREFIXES["transform"]) else CODEC_WEIGHTS
            data = self._files[file]
            data += bytes(-len(data) % ALIGNMENT)
            self._places[name] = file, len(data), stored
            data += stored.astype(stored.dtype.newbyteorder("<")).tobytes()
        return self._places[name]

    def files(self) -> dict[str, bytes]:
        """Returns the contents of the files that hold a weight."""
        return {name: bytes(data) for name, data in self._files.items() if data}


def _point_to(proto: Any, weights: _Weights) -> None:
    """Makes a graph without weights read them from the files of `weights`."""
    import onnx

    casts = []
    for tensor in proto.graph.initializer:
        if tensor.data_location != tensor.EXTERNAL:
            continue
        name = tensor.name
        file, offset, stored = weights.place(name)
        if stored.dtype == np.float16:
            tensor.name, tensor.data_type = f"{name}.float16", onnx.TensorProto.FLOAT16
            casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=1))
        tensor.ClearField("external_data")
        for key, value in (("location", file), ("offset", offset), ("length", stored.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
    nodes = [*casts, *proto.graph.node]
    proto.graph.ClearField("node")
    proto.graph.node.extend(nodes)
