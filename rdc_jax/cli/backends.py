"""Which back end decodes a file: XLA, through JAX, or onnxruntime, which starts sooner on a CPU.

auto is onnxruntime where all of these hold, else xla:

    onnxruntime is installed, and the model's folder holds graphs made for these very weights
    no accelerator is asked for: JAX_PLATFORMS is cpu, or it is unset and no JAX plugin for a GPU
    or a TPU is installed
    the file needs one step: steps 1, or tau 0 everywhere

A word of the user's own is obeyed, or refused with the reason.
"""

import functools
import importlib.util
import os

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.bitstream.container import TAU_UNITS
from rdc_jax.cli.lazy_codec import LazyCodec
from rdc_jax.errors import RdcError
from rdc_jax.interop.onnx import decoder

XLA, ONNXRUNTIME = "xla", "onnxruntime"
PLUGINS = ("jax_plugins", "libtpu")  # packages of accelerators


class Backends:
    """The choice for every file of one call; what is loaded serves all of them."""

    def __init__(self, asked: str, model: LazyCodec):
        self._asked, self._model = asked, model
        self._refused = False  # onnxruntime cannot start here, which auto tries once

    @functools.cached_property
    def onnx(self) -> decoder.Decoder:
        model = self._model.model
        return decoder.Decoder(model, self._model.module, model.path / decoder.FOLDER)

    def choose(
        self,
        header: container.Header,
        steps: int | None,
        tau: float | np.ndarray | str | None,
    ) -> str:
        """xla or onnxruntime, started, for a file. steps, tau: asked for, None as the file says.

        Raises RdcError where onnxruntime is asked for and cannot start.
        """
        steps = header.default_steps if steps is None else steps
        tau = header.default_tau / TAU_UNITS if tau is None else tau
        if self._asked == ONNXRUNTIME:
            self.onnx.start(tau)
            return ONNXRUNTIME
        everywhere_0 = isinstance(tau, float) and tau == 0
        if self._asked == XLA or self._refused or (steps > 1 and not everywhere_0):
            return XLA
        try:
            self._refused = accelerator() or not self._graphs_at_hand()
            if not self._refused:
                self.onnx.start(tau)
        except RdcError:  # made for other weights, or damaged
            self._refused = True
        return XLA if self._refused else ONNXRUNTIME

    def _graphs_at_hand(self) -> bool:
        """Whether it is worth while to load anything."""
        graph = self._model.model.path / decoder.FOLDER / decoder.FAITHFUL
        return graph.is_file() and installed("onnxruntime")


def accelerator() -> bool:
    """Whether JAX would be asked to use anything but the CPU."""
    if platforms := os.environ.get("JAX_PLATFORMS"):
        return platforms != "cpu"
    return any(installed(name) for name in PLUGINS)


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
