"""Decoding `.rdc` files in onnxruntime, without JAX or PyTorch: runs the graphs of `onnx.export`.

    decoder = onnx_decoder.load("tiny", folder=GRAPHS)
    pixels  = decoder.decode(data, tau=0.5)          uint8 [H,W,3] of an .rdc file's bytes

Decodes in one step only. Symbols equal those of `rdc decode`; pixels are equal up to rounding.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax import onnx_sessions
from rdc_jax.decoding import decoder
from rdc_jax.decoding.reconstruction import WindowFunction
from rdc_jax.decoding.sampling import Sampling, Tau
from rdc_jax.errors import RdcError, option
from rdc_jax.interop.torch.layout import decoder_state
from rdc_jax.model_folder import codec_model, fusion_module

FAITHFUL, KNOB = "faithful.onnx", "knob.onnx"  # graphs without and with the fusion module
MODEL_ID, MODULE_ID = "rdc_model_id", "rdc_module_id"  # metadata of a graph
ELSEWHERE = "weights of the model folder"  # how a graph without weights says where they are
FOLDER = "onnx"  # inside a model's folder: graphs that come with the model, without weights
EXTRA = "decoding with onnxruntime needs that package: pip install onnxruntime"


class Decoder(decoder.Decoder):
    """A model and the ONNX graphs of its networks, each loaded when it is needed; see `load`.

    `decode` raises RdcError for more than one step if the tau of any pixel is above 0. Its argument
    `clock` has no effect.
    """

    def __init__(self, model: codec_model.Model, module: fusion_module.Module | None, folder: Path):
        super().__init__(model, module)
        params, expected = model.params, {MODEL_ID: model.model_id.hex()}
        if module is not None:
            params = params | {"transform": module.params["transform"]}
        load = functools.partial(_session, state=decoder_state(params))
        self._faithful = functools.cache(functools.partial(load, folder / FAITHFUL, expected))
        self._fusion = None
        if module is not None:
            expected = expected | {MODULE_ID: module.identity}
            self._fusion = functools.cache(functools.partial(load, folder / KNOB, expected))

    def start(self, tau: Tau) -> None:
        """Loads the graphs that decoding at tau may need; RdcError if that is impossible."""
        a_map = not isinstance(tau, int | float)
        if self._fusion is None or a_map or tau == 0:
            self._faithful()
        if self._fusion is not None and (a_map or tau > 0):
            self._fusion()

    def window_function(self, sampling: Sampling) -> WindowFunction:
        """The graphs on one window. Raises RdcError if one step is not enough."""
        if sampling.steps > 1 and sampling.tau.any():
            raise RdcError(
                f"onnxruntime decodes in one step, not {sampling.steps}; use "
                + option("--steps 1 or --backend xla", "steps=1, or decode with JAX")
            )

        def window(yhat, mean, scale, levels, tau, noise):
            feeds = dict(yhat=yhat, mean=mean, scale=scale, levels=levels)
            feeds["timesteps"] = sampling.timesteps
            if self._fusion is None or not tau.any():
                return self._faithful().run(None, feeds)[0]
            return self._fusion().run(None, feeds | dict(noise=noise, tau=tau))[0]

        return window


def load(
    model: str | Path | None = None,
    fusion: str | Path | None = None,
    folder: str | Path | None = None,
) -> Decoder:
    """Loads a decoder.

    Args:
        model: Name of a shipped model, a model folder, or None for the default model.
        fusion: Folder of a fusion module; None for the one that comes with the model, "none" for
            no fusion module.
        folder: Folder of the graphs, None for those in the model's folder.

    Raises:
        RdcError: Something is missing, damaged, or made for other weights. `decode` raises it if
            that is a graph.
    """
    loaded = codec_model.load(model)
    module = fusion_module.choose(loaded, fusion)
    return Decoder(loaded, module, loaded.path / FOLDER if folder is None else Path(folder))


def _fix(folder: Path) -> str:
    """How to do without the graphs of a folder, or to make them."""
    xla = option("decode with --backend xla", "decode with JAX")
    return f"make it with `rdc export --to onnx --without-weights -f MODEL {folder}`, or {xla}"


def _session(path: Path, expected: Mapping[str, str], state: Mapping[str, np.ndarray]) -> Any:
    """An inference session of a graph, which must have been made for these weights."""
    if not path.is_file():
        raise RdcError(f"no ONNX graph {path}; {_fix(path.parent)}")
    try:
        import onnxruntime
    except ImportError:
        raise RdcError(EXTRA) from None
    options = onnx_sessions.options()
    try:
        graph = path.read_bytes()
        if ELSEWHERE.encode() in graph:
            names = [name for name in state if name.encode() in graph]
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(state[name]) for name in names]
            options.add_external_initializers(names, values)
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes, without a common base
        raise RdcError(f"cannot load {path}: {str(error).splitlines()[0]}") from error
    found = session.get_modelmeta().custom_metadata_map
    for key, value in expected.items():
        if found.get(key) != value:
            raise RdcError(
                f"{path} was made for {key} {found.get(key)}, not {value}; {_fix(path.parent)}"
            )
    return session
