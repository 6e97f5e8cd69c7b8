"""Chooses the back end that decodes a file: XLA through JAX, or onnxruntime.

onnxruntime starts sooner on a CPU. auto means onnxruntime if all of these hold, else xla:

    onnxruntime is installed, and the model's folder contains graphs of exactly these weights
    no accelerator is requested: JAX_PLATFORMS is cpu, or it is unset and no JAX plugin for a GPU
    or TPU is installed
    the file needs one step: steps 1, or tau 0 everywhere

Without JAX, auto always means onnxruntime. An explicit --backend is used, or rejected with a
reason.
"""

import functools
import os

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.bitstream.container import TAU_UNITS
from rdc_jax.cli.lazy_codec import LazyCodec
from rdc_jax.errors import RdcError
from rdc_jax.installation import installed
from rdc_jax.interop.onnx import decoder

AUTO, XLA, ONNXRUNTIME = "auto", "xla", "onnxruntime"
PLUGINS = ("jax_plugins", "libtpu")  # packages for accelerators


class Backends:
    """The choice for every file of one call; what is loaded is shared by all files."""

    def __init__(self, asked: str, model: LazyCodec):
        self._asked, self._model = asked, model
        self._refused = False  # onnxruntime cannot start here; auto tries it only once

    @functools.cached_property
    def onnx(self) -> decoder.Decoder:
        """The decoder of onnxruntime, made once."""
        model = self._model.model
        return decoder.Decoder(model, self._model.module, model.path / decoder.FOLDER)

    def choose(
        self,
        header: container.Header,
        steps: int | None,
        tau: float | np.ndarray | str | None,
    ) -> str:
        """Chooses the back end for a file, and starts onnxruntime if it is chosen.

        Args:
            header: The file's header.
            steps: Sampler steps; None for what the file suggests.
            tau: A number, a map or "roi"; None for what the file suggests.

        Returns:
            "xla" or "onnxruntime".

        Raises:
            RdcError: onnxruntime was asked for, or is the only one left, and it cannot start.
        """
        steps = header.default_steps if steps is None else steps
        tau = header.default_tau / TAU_UNITS if tau is None else tau
        if self._asked == ONNXRUNTIME or (self._asked == AUTO and not installed("jax")):
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
        """Whether the model has graphs and onnxruntime is installed."""
        graph = self._model.model.path / decoder.FOLDER / decoder.FAITHFUL
        return graph.is_file() and installed("onnxruntime")


def accelerator() -> bool:
    """Whether JAX would use anything but the CPU."""
    if platforms := os.environ.get("JAX_PLATFORMS"):
        return platforms != "cpu"
    return any(installed(name) for name in PLUGINS)
