"""Decoding `.rdc` files in onnxruntime, without JAX or PyTorch: the graphs of `onnx_export`.

    decoder = onnx_decoder.load("tiny", folder=GRAPHS)
    pixels  = decoder.decode(data, tau=0.5)          uint8 [H,W,3] of an .rdc file's bytes

One step only. Symbols are those of `rdc decode`, pixels equal up to rounding.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rdc_jax import onnx_sessions
from rdc_jax.bitstream import container
from rdc_jax.decoding import decoder
from rdc_jax.decoding.opened_file import OpenFile, open_file
from rdc_jax.entropy import latent_coding
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.errors import RdcError
from rdc_jax.interop.torch.layout import decoder_state
from rdc_jax.model_folder import codec_model, fusion_module
from rdc_jax.model_folder.codec_model import downsampling_of

FAITHFUL, KNOB = "faithful.onnx", "knob.onnx"
MODEL_ID, MODULE_ID = "rdc_model_id", "rdc_module_id"  # metadata of a graph
ELSEWHERE = "weights of the model folder"  # where a graph without weights says that they are
FOLDER = "onnx"  # inside a model's folder: the graphs that come with it, without weights
EXTRA = "decoding with onnxruntime needs that package: pip install 'rdc_jax[onnx]'"
MEND = (
    "make it with `rdc export --to onnx --without-weights -f MODEL {folder}`, or decode with "
    "--backend xla"
)


class Decoder:
    """A model and the ONNX graphs of its networks, each loaded when it is needed; see `load`."""

    def __init__(self, model: codec_model.Model, module: fusion_module.Module | None, folder: Path):
        self.model, self.entropy = model, EntropyModel.from_arrays(model.entropy)
        self.downsampling = downsampling_of(model.config)
        params = model.params
        if module is not None:
            params = params | {"transform": module.params["transform"]}
        state = decoder_state(params)
        expected = {MODEL_ID: model.model_id.hex()}
        self._faithful = functools.cache(
            functools.partial(_session, folder / FAITHFUL, expected, state)
        )
        self._knob = None
        if module is not None:
            expected = expected | {MODULE_ID: module.identity}
            self._knob = functools.cache(
                functools.partial(_session, folder / KNOB, expected, state)
            )

    def start(self, tau: float | np.ndarray | str) -> None:
        """Loads the graphs that decoding at tau may need; RdcError where that is impossible."""
        a_map = not isinstance(tau, int | float)
        if self._knob is None or a_map or tau == 0:
            self._faithful()
        if self._knob is not None and (a_map or tau > 0):
            self._knob()

    def decode_latent(
        self, data: bytes, *, max_pixels: int = container.DEFAULT_MAX_PIXELS
    ) -> tuple[container.Header, latent_coding.CodedLatent, latent_coding.Conditions]:
        """The entropy stage alone: header, noisy latent with its prior, and map. No network."""
        return decoder.decode_latent(data, self.model, self.entropy, self.downsampling, max_pixels)

    def decode(
        self,
        data: bytes | BinaryIO,
        *,
        tau: float | np.ndarray | str | None = None,
        steps: int | None = None,
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        progress: bool = False,
        **partly: Any,
    ) -> np.ndarray:
        """Pixels uint8 [H,W,3] of an `.rdc` file; arguments as `rdc_jax.Codec.decode`.

        Raises RdcError for more than one step, too, if any pixel's tau is above 0.
        """
        opened = open_file(data, self.model, self.downsampling, max_pixels, **partly)
        return self.decode_opened(opened, tau=tau, steps=steps, progress=progress)

    def decode_opened(
        self,
        opened: OpenFile,
        *,
        tau: float | np.ndarray | str | None = None,
        steps: int | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """The same of a file that is open."""
        f, num_levels = self.downsampling, int(self.model.config["num_levels"])
        header, known = opened.header, opened.conditions
        how = decoder.sampling_of(header, known, num_levels, f, steps, tau)
        if how.steps > 1 and how.tau.any():
            raise RdcError(
                f"onnxruntime decodes in one step, not {how.steps}; --steps 1 or --backend xla"
            )

        def tile(yhat, mean, scale, levels, tau, noise):
            feeds = dict(yhat=yhat, mean=mean, scale=scale, levels=levels, timesteps=how.timesteps)
            if self._knob is None or not tau.any():
                return self._faithful().run(None, feeds)[0]
            return self._knob().run(None, feeds | dict(noise=noise, tau=tau))[0]

        return decoder.picture(
            tile,
            opened.windows(self.entropy),
            header,
            how,
            f,
            noise=self._knob is not None,
            **opened.part,
            progress=progress,
        )


def load(
    model: str | Path | None = None,
    fusion: str | Path | None = None,
    folder: str | Path | None = None,
) -> Decoder:
    """A decoder from a shipped model's name, a model folder, or (None) the default model.

    fusion: as in `rdc_jax.load`. folder: of the graphs, None for those in the model's folder.
    Raises RdcError when something is missing, damaged, or made for other weights; `decode` does,
    when a graph is.
    """
    loaded = codec_model.load(model)
    module = fusion_module.choose(loaded, fusion)
    return Decoder(loaded, module, loaded.path / FOLDER if folder is None else Path(folder))


def _session(path: Path, expected: Mapping[str, str], state: Mapping[str, np.ndarray]) -> Any:
    """An inference session of a graph that was made for these weights."""
    if not path.is_file():
        raise RdcError(f"no ONNX graph {path}; {MEND.format(folder=path.parent)}")
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
    except Exception as error:  # the library's own classes, with nothing in common
        raise RdcError(f"cannot load {path}: {str(error).splitlines()[0]}") from error
    found = session.get_modelmeta().custom_metadata_map
    for key, value in expected.items():
        if found.get(key) != value:
            raise RdcError(
                f"{path} was made for {key} {found.get(key)}, not {value}; "
                f"{MEND.format(folder=path.parent)}"
            )
    return session
