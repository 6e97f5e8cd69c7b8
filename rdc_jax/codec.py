"""The codec: image + importance -> bytes -> image. The only place where networks meet the coder.

    codec = rdc_jax.load()
    data  = codec.encode(pixels, quality=40, importance=mask)      bytes of an .rdc file
    image = codec.decode(data, tau=0.0)                            uint8 [H,W,3], faithful
    image = codec.decode(data, tau=1.0)                            realistic, of the same file

Encoding: pixels -> latent (network) -> symbols under the timesteps of the map -> container.
Decoding: container -> the same symbols, means, scales (integers) -> denoiser [-> module, as far as
tau goes] -> pixels.
"""

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax import fusion_folder, model_folder, rate_control, stored_networks, tiled_networks
from rdc_jax import importance as importance_maps
from rdc_jax.diffusion import sampling
from rdc_jax.entropy import bitstream, dither, importance_coding, latent_coding
from rdc_jax.entropy.bitstream import TAU_UNITS, SectionType
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.errors import RdcError
from rdc_jax.image_io import checked_pixels

DEFAULT_QUALITY = 50.0
DEFAULT_ROI_GAIN = 300.0  # timesteps between background and region of interest
MAX_STEPS = 255
NOISE_SEED = 0x9E3779B9  # added to the dither's seed for the noise that a module starts from


@dataclasses.dataclass(frozen=True)
class Report:
    """What encoding did. Sizes in bytes, ideal_bits without container, bits_map [h,w] in bits."""

    bytes: int
    bpp: float
    quality: float
    timesteps: tuple[int, int]  # background, region of interest
    ideal_bits: float
    section_bytes: dict[str, int]
    bits_map: np.ndarray
    levels: np.ndarray  # importance levels on the latent grid, uint8 [h,w]
    symbol_hash: str


class Codec:
    """A model ready to encode and decode; see `rdc_jax.load`."""

    def __init__(self, model: model_folder.Model, module: fusion_folder.Module | None = None):
        self.model, self.module = model, module
        self._networks, self._params = stored_networks.of_model(model)
        self.entropy = EntropyModel.from_arrays(model.entropy)
        self._num_levels = int(model.config["num_levels"])
        self._cell_size = int(model.config["cell_size"])
        self._timestep_range = tuple(model.config["timestep_range"])
        if module is not None:
            self._fusion, self._fusion_params = stored_networks.of_module(module, self._networks)

    # Encoding

    def encode(
        self,
        pixels: np.ndarray,
        *,
        quality: float | None = None,
        target_bpp: float | None = None,
        importance: np.ndarray | None = None,
        levels: np.ndarray | None = None,
        roi_gain: float = DEFAULT_ROI_GAIN,
        seed: int = 0,
        steps: int | None = None,
        tau: float | None = None,
        grey: bool = False,
        return_report: bool = False,
        progress: bool = False,
    ) -> Any:
        """Bytes of an `.rdc` file for uint8 pixels [H,W,3] (or [H,W] for grey).

        quality 0..100 (default 50) or target_bpp (bits per pixel of the whole file) sets the
        rate. importance [H,W]: bool, uint8 (255 = important) or float in [0,1]; or `levels`, a
        ready grid as made by `rdc_jax.importance`. roi_gain: timesteps between importance 0 and
        1. seed: of the dither. steps, tau: what a decoder uses by default, hints without effect on
        the coded picture; None is the module's own choice. With return_report, returns (bytes,
        Report). progress: shows a bar for large pictures. Raises RdcError for unusable input.
        """
        pixels, grey = checked_pixels(pixels, grey)
        height, width = pixels.shape[:2]
        grid, num_levels = importance_maps.from_either(
            importance, levels, height, width, self._cell_size, self._num_levels
        )
        if not 0 <= seed < 2**32:
            raise RdcError(f"seed {seed} must be between 0 and {2**32 - 1}")
        if steps is None:
            steps = self.module.default_steps if self.module else 1
        if tau is None:
            tau = self.module.default_tau if self.module else 1.0
        _check_sampling(steps, tau)
        if quality is not None and target_bpp is not None:
            raise RdcError("give quality or target_bpp, not both")
        latent = tiled_networks.analyse(self._networks, self._params, pixels, progress=progress)

        def code(quality):
            gain = roi_gain if num_levels > 1 else 0.0
            background, roi = importance_maps.quality_to_timesteps(
                quality, gain, *self._timestep_range
            )
            header = bitstream.Header(
                width=width,
                height=height,
                model_id=self.model.model_id,
                num_levels=num_levels,
                timestep_background=background,
                timestep_roi=roi,
                cell_size=self._cell_size,
                dither_seed=seed,
                default_steps=steps,
                default_tau=round(TAU_UNITS * tau),
                colour_mode=bitstream.ColourMode.GREY if grey else bitstream.ColourMode.RGB,
            )
            return self._code(latent, grid, header, quality)

        if target_bpp is not None:
            if not target_bpp > 0:
                raise RdcError(f"target bits per pixel {target_bpp} must be above 0")
            quality = rate_control.search_quality(
                lambda q: 8.0 * len(code(q)[0]), target_bpp * height * width
            )
        data, report = code(DEFAULT_QUALITY if quality is None else quality)
        return (data, report) if return_report else data

    def _code(self, latent, grid, header, quality) -> tuple[bytes, Report]:
        conditions = self._conditions(header, grid)
        hyper, body, coded = latent_coding.encode_latent(self.entropy, latent, conditions)
        coded_map = importance_coding.encode_importance(grid, header.num_levels)
        sections = [
            (SectionType.IMPORTANCE, coded_map),
            (SectionType.HYPER_LATENT, hyper),
            (SectionType.LATENT, body),
        ]
        data = bitstream.pack(header, sections)
        report = Report(
            bytes=len(data),
            bpp=8 * len(data) / (header.width * header.height),
            quality=quality,
            timesteps=(header.timestep_background, header.timestep_roi),
            ideal_bits=8 * len(coded_map) + coded.hyper_bits + coded.latent_bits,
            section_bytes={kind.name.lower(): len(payload) for kind, payload in sections},
            bits_map=coded.bits_map,
            levels=conditions.levels[: conditions.height, : conditions.width],
            symbol_hash=coded.symbol_hash,
        )
        return data, report

    def _conditions(self, header: bitstream.Header, grid: np.ndarray) -> latent_coding.Conditions:
        """What encoder and decoder both know before the latent; from header and decoded map."""
        f = self._networks.downsampling
        height, width = (-(-n // f) for n in (header.height, header.width))
        padded = latent_coding.padded_size(height), latent_coding.padded_size(width)
        return latent_coding.Conditions(
            height=height,
            width=width,
            levels=importance_maps.cells_to_latent(grid, *padded, header.cell_size // f),
            timesteps=importance_maps.level_timesteps(
                header.timestep_background, header.timestep_roi, header.num_levels
            ),
            dither_seed=header.dither_seed,
        )

    # Decoding

    def decode(
        self,
        data: bytes,
        *,
        steps: int | None = None,
        tau: float | np.ndarray | str | None = None,
        clock: sampling.Clock = "proportional",
        max_pixels: int = bitstream.DEFAULT_MAX_PIXELS,
        progress: bool = False,
    ) -> np.ndarray:
        """Pixels uint8 [H,W,3] of an `.rdc` file's bytes.

        tau: from the faithful picture (0, smallest squared error) to the realistic one (1): a
        number, an array [H,W] (uint8, 255 = realistic, or float in [0,1]), or "roi", which keeps
        faithful what the file's map calls important. steps: sampler steps of the realistic latent,
        by the plug-and-play module if the model has one, else by the denoiser. None: as the file
        suggests. Raises RdcError for a damaged file or one made by another model.
        """
        received = self.decode_latent(data, max_pixels=max_pixels)
        return self.reconstruct(*received, steps=steps, tau=tau, clock=clock, progress=progress)

    def reconstruct(
        self,
        header: bitstream.Header,
        coded: latent_coding.CodedLatent,
        conditions: latent_coding.Conditions,
        *,
        steps: int | None = None,
        tau: float | np.ndarray | str | None = None,
        clock: sampling.Clock = "proportional",
        progress: bool = False,
    ) -> np.ndarray:
        """The networks' part of `decode`: pixels of what `decode_latent` returned."""
        steps = header.default_steps if steps is None else steps
        tau = header.default_tau / TAU_UNITS if tau is None else tau
        levels = conditions.levels[: conditions.height, : conditions.width]
        _check_sampling(steps, tau)
        taus = importance_maps.tau_map(
            tau,
            levels,
            header.num_levels,
            (header.height, header.width),
            self._networks.downsampling,
        )
        timesteps = np.full(self._num_levels, conditions.timesteps[-1], np.float32)
        timesteps[: len(conditions.timesteps)] = conditions.timesteps
        image = tiled_networks.reconstruct(
            self._networks,
            self._params,
            coded.yhat,
            coded.mean,
            coded.scale,
            levels,
            timesteps,
            steps=steps,
            clock=clock,
            tau=taus,
            module=self._module(header.dither_seed, coded.yhat.shape),
            progress=progress,
        )
        pixels = np.rint(np.clip(image[: header.height, : header.width], 0, 255)).astype(np.uint8)
        if header.colour_mode == bitstream.ColourMode.GREY:
            pixels = np.repeat(np.rint(pixels.mean(-1, keepdims=True)).astype(np.uint8), 3, -1)
        return pixels

    def _module(
        self, dither_seed: int, shape: tuple[int, int, int]
    ) -> tiled_networks.Module | None:
        """The module with its noise, a function of the file alone; uniform, of unit variance."""
        if self.module is None:
            return None
        phases = dither.dither_phases((dither_seed + NOISE_SEED) % 2**32, *shape)
        noise = (math.sqrt(12.0) * dither.dither_values(phases)).astype(np.float32)
        return tiled_networks.Module(self._fusion, self._fusion_params, noise)

    def decode_latent(
        self, data: bytes, *, max_pixels: int = bitstream.DEFAULT_MAX_PIXELS
    ) -> tuple[bitstream.Header, latent_coding.CodedLatent, latent_coding.Conditions]:
        """The entropy stage alone: header, noisy latent with its prior, and map. No network."""
        if isinstance(data, str | os.PathLike):
            path = str(data)
            raise RdcError(
                f"decoding takes bytes, not a path: pass pathlib.Path({path!r}).read_bytes()"
            )
        header, sections = bitstream.unpack(data, max_pixels=max_pixels)
        if header.model_id != self.model.model_id:
            raise RdcError(
                f"the file needs model {header.model_id.hex()}, but {self.model.path} is "
                f"{self.model.model_id.hex()}; give the right one with --model"
            )
        if header.num_levels > self._num_levels or header.cell_size % self._networks.downsampling:
            raise RdcError("the file's importance map does not fit its model; the file is damaged")
        payloads = {section.type: section.payload for section in sections}
        grid = importance_coding.decode_importance(
            payloads[SectionType.IMPORTANCE], header.map_shape, header.num_levels
        )
        conditions = self._conditions(header, grid)
        coded = latent_coding.decode_latent(
            self.entropy,
            payloads[SectionType.HYPER_LATENT],
            payloads[SectionType.LATENT],
            conditions,
        )
        return header, coded, conditions


def load(model: str | Path | None = None, fusion: str | Path | None = None) -> Codec:
    """A codec from a shipped model's name, a model folder, or (None) the default model.

    fusion: folder of another plug-and-play module than the one that comes with the model, or
    "none". Raises RdcError when something is missing or damaged.
    """
    loaded = model_folder.load(model)
    return Codec(loaded, fusion_folder.choose(loaded, fusion))


def _check_sampling(steps: int, tau: Any) -> None:
    if not 1 <= steps <= MAX_STEPS:
        raise RdcError(f"steps {steps} must be between 1 and {MAX_STEPS}")
    if not isinstance(tau, str) and np.ndim(tau) == 0 and not 0.0 <= tau <= 1.0:
        raise RdcError(f"tau {tau} must be between 0 (faithful) and 1 (realistic)")
