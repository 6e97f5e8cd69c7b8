"""Decoding `.rdc` files in PyTorch, without JAX: the entropy stage in NumPy, the networks here.

    from rdc_jax.interop.torch import decoder as torch_decoding
    picture = torch_decoding.decode(data, tau=0.5)   uint8 tensor [H,W,3] of an .rdc file's bytes
    decoder = torch_decoding.load("tiny")            a torch.nn.Module, to decode many files
    picture = decoder.to("cuda").decode(data)

Symbols are those of `rdc decode`, pixels equal up to rounding.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.decoding import decoder as file_decoding
from rdc_jax.decoding.opened_file import open_file
from rdc_jax.entropy import latent_coding
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.interop.torch.extra import Tensor, nn, torch
from rdc_jax.interop.torch.fusion import Fusion
from rdc_jax.interop.torch.layout import decoder_state
from rdc_jax.interop.torch.networks import Networks
from rdc_jax.interop.torch.sampler import reconstruct_tile
from rdc_jax.interop.torch.weights import load_state
from rdc_jax.model_folder import codec_model, fusion_module


class Decoder(nn.Module):
    """A model, and its plug-and-play module if there is one, ready to decode; see `load`."""

    def __init__(self, model: codec_model.Model, module: fusion_module.Module | None = None):
        super().__init__()
        self.entropy = EntropyModel.from_arrays(model.entropy)
        params, self.fusion, self.module_identity = model.params, None, None
        with codec_model.described_by(model.path, "a model"):
            self.networks = Networks(model.config, self.entropy.latent_unit)
        if module is not None:
            with codec_model.described_by(module.path, "a module"):
                self.fusion = Fusion(module.config, self.networks)
            params = params | {"transform": module.params["transform"]}
            self.module_identity = module.identity
        load_state(self, decoder_state(params))
        self.model = dataclasses.replace(model, params={}, entropy={})  # they are loaded now
        self.requires_grad_(False).eval()

    def decode_latent(
        self, data: bytes, *, max_pixels: int = container.DEFAULT_MAX_PIXELS
    ) -> tuple[container.Header, latent_coding.CodedLatent, latent_coding.Conditions]:
        """The entropy stage alone: header, noisy latent with its prior, and map. No network."""
        f = self.networks.downsampling
        return file_decoding.decode_latent(data, self.model, self.entropy, f, max_pixels)

    def decode(
        self,
        data: bytes | BinaryIO,
        *,
        tau: float | np.ndarray | str | None = None,
        steps: int | None = None,
        clock: str = "proportional",
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        **partly: Any,
    ) -> Tensor:
        """Pixels uint8 [H,W,3] of an `.rdc` file; arguments as `rdc_jax.Codec.decode`."""
        f, num_levels = self.networks.downsampling, int(self.model.config["num_levels"])
        opened = open_file(data, self.model, f, max_pixels, **partly)
        header = opened.header
        how = file_decoding.sampling_of(header, opened.conditions, num_levels, f, steps, tau)
        pixels = file_decoding.picture(
            functools.partial(self._tile, how.timesteps, how.steps, clock),
            opened.windows(self.entropy),
            header,
            how,
            f,
            noise=self.fusion is not None,
            **opened.part,
        )
        return torch.from_numpy(pixels)

    @torch.inference_mode()
    def _tile(self, timesteps, steps, clock, yhat, mean, scale, levels, tau, noise) -> np.ndarray:
        """Picture float32 [fh,fw,3] in 0..255 of one tile [h,w,..] of the latent."""
        device = self.networks.knot_timesteps.device
        *latents, levels, tau = (
            torch.tensor(x, device=device)[None] for x in (yhat, mean, scale, noise, levels, tau)
        )
        latents = (x.permute(0, 3, 1, 2).contiguous() for x in latents)
        values = torch.tensor(timesteps, device=device)
        image = reconstruct_tile(
            self.networks, self.fusion, *latents, levels, tau, values, steps=steps, clock=clock
        )
        return (127.5 * (image[0] + 1.0)).permute(1, 2, 0).cpu().numpy()


def load(model: str | Path | None = None, fusion: str | Path | None = None) -> Decoder:
    """A decoder from a shipped model's name, a model folder, or (None) the default model.

    fusion: folder of another plug-and-play module than the one that comes with the model, or
    "none". Raises RdcError when something is missing or damaged.
    """
    loaded = codec_model.load(model)
    return Decoder(loaded, fusion_module.choose(loaded, fusion))


def decode(
    data: bytes,
    model: Decoder | str | Path | None = None,
    tau: float | np.ndarray | str | None = None,
    steps: int | None = None,
) -> Tensor:
    """Pixels uint8 [H,W,3] of an `.rdc` file's bytes.

    model: a decoder, or what `load` takes. tau, steps: as in `rdc decode`, None as the file
    suggests. Raises RdcError for a damaged file or one made by another model.
    """
    decoder = model if isinstance(model, Decoder) else load(model)
    return decoder.decode(data, tau=tau, steps=steps)
