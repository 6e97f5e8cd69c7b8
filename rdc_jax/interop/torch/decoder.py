"""Decoding `.rdc` files in PyTorch, without JAX: the entropy stage in NumPy, the networks here.

    from rdc_jax.interop.torch import decoder as torch_decoding
    image   = torch_decoding.decode(data, tau=0.5)   uint8 tensor [H,W,3] of an .rdc file's bytes
    decoder = torch_decoding.load("tiny")            a torch.nn.Module, to decode many files
    image   = decoder.to("cuda").decode(data)

Symbols equal those of `rdc decode`; pixels are equal up to rounding.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.decoding import decoder as file_decoding
from rdc_jax.decoding.opened_file import Source
from rdc_jax.decoding.reconstruction import WindowFunction
from rdc_jax.decoding.sampling import Sampling, Tau
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.interop.torch.extra import Tensor, nn, torch
from rdc_jax.interop.torch.fusion import Fusion
from rdc_jax.interop.torch.layout import decoder_state
from rdc_jax.interop.torch.networks import Networks
from rdc_jax.interop.torch.sampler import reconstruct_tile
from rdc_jax.interop.torch.weights import load_state
from rdc_jax.model_folder import codec_model, files, fusion_module


class Decoder(nn.Module, file_decoding.Decoder):
    """A model, and its fusion module if it has one, ready to decode; see `load`."""

    def __init__(self, model: codec_model.Model, module: fusion_module.Module | None = None):
        nn.Module.__init__(self)
        file_decoding.Decoder.__init__(self, model, module)
        params, self.fusion = model.params, None
        with files.described_by(model.path, "a model"):
            self.networks = Networks(model.config, self.entropy.latent_unit)
        if module is not None:
            with files.described_by(module.path, "a module"):
                self.fusion = Fusion(module.config, self.networks)
            params = params | {"transform": module.params["transform"]}
            self.module = dataclasses.replace(module, params={})
        load_state(self, decoder_state(params))
        self.model = dataclasses.replace(model, params={}, entropy={})  # both are loaded now
        self.requires_grad_(False).eval()

    @property
    def module_identity(self) -> str | None:
        """Names the weights of the fusion module."""
        return None if self.module is None else self.module.identity

    def decode(self, data: Source, **options: Any) -> Tensor:
        """Decodes an `.rdc` file.

        Args:
            data: The file's bytes, its path, or the file opened for reading bytes.
            **options: The other arguments of `rdc_jax.Codec.decode`.

        Returns:
            uint8 [H,W,3], on the CPU.
        """
        return torch.from_numpy(super().decode(data, **options))

    def window_function(self, sampling: Sampling) -> WindowFunction:
        """The networks on one window, for one image."""
        return functools.partial(self._window, sampling)

    @torch.inference_mode()
    def _window(self, sampling: Sampling, yhat, mean, scale, levels, tau, noise) -> np.ndarray:
        """Image float32 [f h,f w,3] in 0..255 of one window of the latent."""
        device = self.networks.knot_timesteps.device
        *latents, levels, tau = (
            torch.tensor(x, device=device)[None] for x in (yhat, mean, scale, noise, levels, tau)
        )
        latents = (x.permute(0, 3, 1, 2).contiguous() for x in latents)
        values = torch.tensor(sampling.timesteps, device=device)
        how = {"steps": sampling.steps, "clock": sampling.clock}
        image = reconstruct_tile(self.networks, self.fusion, *latents, levels, tau, values, **how)
        return (PIXEL_RANGE * (image[0] + 1.0)).permute(1, 2, 0).cpu().numpy()


def load(model: str | Path | None = None, fusion: str | Path | None = None) -> Decoder:
    """Loads a decoder.

    Args:
        model: Name of a shipped model, a model folder, or None for the default model.
        fusion: Folder of a fusion module; None for the one that comes with the model, "none" for
            no fusion module.

    Raises:
        RdcError: Something is missing or damaged.
    """
    loaded = codec_model.load(model)
    return Decoder(loaded, fusion_module.choose(loaded, fusion))


def decode(
    data: Source,
    model: Decoder | str | Path | None = None,
    tau: Tau | None = None,
    steps: int | None = None,
) -> Tensor:
    """Decodes an `.rdc` file.

    Args:
        data: The file's bytes, its path, or the file opened for reading bytes.
        model: A decoder, or the argument of `load`.
        tau: As in `rdc_jax.Codec.decode`.
        steps: As in `rdc_jax.Codec.decode`.

    Returns:
        uint8 [H,W,3].

    Raises:
        RdcError: The file is damaged, or was made by another model.
    """
    decoder = model if isinstance(model, Decoder) else load(model)
    return decoder.decode(data, tau=tau, steps=steps)
