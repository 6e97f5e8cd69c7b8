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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rdc_jax.bitstream import container, tile_index
from rdc_jax.bitstream.container import TAU_UNITS
from rdc_jax.bitstream.sections import WHOLE_LATENT, SectionType, section_name
from rdc_jax.codec import loading, metadata_sections, rate_control, window_networks
from rdc_jax.codec.report import Report
from rdc_jax.decoding import decoder, opened_file
from rdc_jax.decoding.reconstruction import WindowFunction
from rdc_jax.decoding.sampling import Sampling, check_sampling
from rdc_jax.entropy import importance_coding, latent_coding, tiled_latent
from rdc_jax.entropy.tiled_latent import DamagedTile
from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage, checked_pixels
from rdc_jax.importance import maps as importance_maps
from rdc_jax.importance import simplification as map_costs
from rdc_jax.importance import timesteps
from rdc_jax.importance.conditions import conditions_of
from rdc_jax.model_folder import codec_model, fusion_module

DEFAULT_QUALITY = 50.0
DEFAULT_ROI_GAIN = 300.0  # timesteps between background and region of interest


class Codec(decoder.Decoder):
    """A model ready to encode and decode; see `rdc_jax.load`."""

    def __init__(self, model: codec_model.Model, module: fusion_module.Module | None = None):
        super().__init__(model, module)
        self._networks, self._params = loading.of_model(model)
        self._num_levels = model.num_levels
        self._cell_size = int(model.config["cell_size"])
        self.timestep_range = tuple(model.config["timestep_range"])
        self._fusion = None
        if module is not None:
            self._fusion = loading.of_module(module, self._networks)

    # Encoding

    def encode(
        self,
        pixels: np.ndarray,
        *,
        quality: float | None = None,
        target_bpp: float | None = None,
        target_bytes: int | None = None,
        best_effort: bool = False,
        importance: np.ndarray | None = None,
        levels: np.ndarray | None = None,
        roi_gain: float = DEFAULT_ROI_GAIN,
        roi_only: bool = False,
        map_cost: float = map_costs.PERCENT,
        seed: int = 0,
        steps: int | None = None,
        tau: float | None = None,
        grey: bool = False,
        extras: Mapping[int, bytes] | None = None,
        tile: int | None = None,
        resilient: bool = False,
        return_report: bool = False,
        progress: bool = False,
    ) -> Any:
        """Bytes of an `.rdc` file for uint8 pixels [H,W,3] (or [H,W] for grey).

        quality 0..100 (default 50) sets the rate; or target_bpp (bits per pixel of the whole file)
        or target_bytes, which are never exceeded: if even quality 0 is larger, that is an error,
        or with best_effort the result. importance [H,W]: bool, uint8 (255 = important) or float in
        [0,1]; or `levels`, a ready grid as made by `rdc_jax.importance.maps`. roi_gain: timesteps
        between importance 0 and 1; roi_only instead: quality is that of importance 1, and
        importance 0 gets as little as the model can send. map_cost: percent of the file that the
        map may take; one that takes more is made coarser (0: never). seed: of the dither. steps,
        tau: what a decoder uses by default, hints without effect on the coded picture; None is
        the module's own choice. extras: payloads of optional sections, as
        `metadata_sections.extras_of` makes them; they count as bytes of the file. tile: side in
        pixels, a power of two, of parts that decode alone, 0 for none; None: 1024 for pictures of
        more than 2**22 pixels. resilient: parts of 256 instead, so that less is lost with one. With
        return_report, returns (bytes, Report). progress: shows a bar for large pictures. Raises
        RdcError for unusable input.
        """
        pixels, grey = checked_pixels(pixels, grey)
        height, width = pixels.shape[:2]
        grid, num_levels = importance_maps.from_either(
            importance, levels, height, width, self._cell_size, self._num_levels
        )
        if roi_only and not grid.any():
            raise RdcError("roi_only has no region to work on: nothing is important")
        if not 0 <= seed < 2**32:
            raise RdcError(f"seed {seed} must be between 0 and {2**32 - 1}")
        if steps is None:
            steps = self.module.default_steps if self.module else 1
        if tau is None:
            tau = self.module.default_tau if self.module else 1.0
        check_sampling(steps, tau)
        target = rate_control.target_bytes(height, width, quality, target_bpp, target_bytes)
        f = self._networks.downsampling
        side = tile_index.chosen_side(height, width, f, tile, resilient)
        latent = self.analyse(pixels, progress=progress)
        gain = roi_gain if num_levels > 1 and not roi_only else 0.0
        codings = 0

        def timesteps_at(quality):
            if roi_only:
                return timesteps.region_only_timesteps(quality, *self.timestep_range)
            return timesteps.quality_to_timesteps(quality, gain, *self.timestep_range)

        def header_at(quality, given):
            background, roi = timesteps_at(quality)
            return container.Header(
                width=width,
                height=height,
                model_id=self.model.model_id,
                num_levels=given.num_levels,
                timestep_background=background,
                timestep_roi=roi,
                cell_size=given.cell_size,
                dither_seed=seed,
                default_steps=steps,
                default_tau=round(TAU_UNITS * tau),
                colour_mode=container.ColourMode.GREY if grey else container.ColourMode.RGB,
            )

        def code(quality, given):
            nonlocal codings
            codings += 1
            header = header_at(quality, given)
            return self._code(latent, given.levels, header, quality, side, extras or {})

        def code_with(given):
            if target is None:
                return code(DEFAULT_QUALITY if quality is None else quality, given)
            return rate_control.largest_within(
                lambda quality: code(quality, given),
                rate_control.distinct_qualities(timesteps_at, *self.timestep_range),
                rate_control.size_estimate(
                    self.entropy,
                    latent,
                    lambda q: conditions_of(header_at(q, given), given.levels, f),
                    besides=sum(map(len, (extras or {}).values())),
                ),
                target,
                best_effort=best_effort,
            )

        given = map_costs.Map(grid, num_levels, self._cell_size)
        data, report = map_costs.within(code_with, given, map_cost, target)
        report = dataclasses.replace(report, codings=codings)
        return (data, report) if return_report else data

    def analyse(self, pixels: np.ndarray, *, progress: bool = False) -> np.ndarray:
        """The clean latent float32 [h,w,C] of a picture uint8 [H,W,3], before it is coded."""
        return window_networks.analyse(self._networks, self._params, pixels, progress=progress)

    def _code(self, latent, grid, header, quality, side, extras) -> tuple[bytes, Report]:
        conditions = conditions_of(header, grid, self._networks.downsampling)
        if side is None:
            *streams, coded = latent_coding.encode_latent(self.entropy, latent, conditions)
            kinds = WHOLE_LATENT
        else:
            *streams, coded = tiled_latent.encode(
                self.entropy, latent, conditions, side, self._networks.downsampling
            )
            kinds = (SectionType.TILES,)
        coded_map = importance_coding.encode_importance(grid, header.num_levels)
        sections = [(SectionType.IMPORTANCE, coded_map), *zip(kinds, streams, strict=True)]
        sections += extras.items()
        data = container.pack(header, sections)
        report = Report(
            bytes=len(data),
            bpp=8 * len(data) / (header.width * header.height),
            quality=quality,
            timesteps=(header.timestep_background, header.timestep_roi),
            ideal_bits=8 * len(coded_map) + coded.hyper_bits + coded.latent_bits,
            section_bytes={section_name(kind).lower(): len(payload) for kind, payload in sections},
            bits_map=coded.bits_map,
            levels=conditions.levels[: conditions.height, : conditions.width],
            symbol_hash=coded.symbol_hash,
            map_grid=(header.num_levels, header.cell_size),
        )
        return data, report

    # Decoding

    def window_function(self, sampling: Sampling) -> WindowFunction:
        """The networks on one window, see `window_networks.reconstruction`."""
        return window_networks.reconstruction(
            self._networks,
            self._params,
            sampling.timesteps,
            steps=sampling.steps,
            clock=sampling.clock,
            fusion=None if self.module is None else self._fusion,
        )

    def decode_picture(
        self,
        data: bytes | BinaryIO,
        *,
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        crop: opened_file.Crop | None = None,
        resilient: bool = False,
        on_damage: Callable[[DamagedTile], None] = opened_file.warn,
        **sampling: Any,
    ) -> LoadedImage:
        """Everything that a file holds: pixels, alpha and metadata.

        Args:
            data: As in `decode`.
            max_pixels: As in `decode`.
            crop: As in `decode`.
            resilient: As in `decode`.
            on_damage: As in `decode`.
            **sampling: steps, tau, clock and progress of `decode`.
        """
        how = opened_file.ReadOptions(max_pixels, crop, resilient, on_damage)
        opened = self.open(data, how)
        parts = metadata_sections.parts_of(opened.reader, crop=crop)
        return LoadedImage(pixels=self.decode_opened(opened, **sampling), **parts)


def load(model: str | Path | None = None, fusion: str | Path | None = None) -> Codec:
    """A codec from a shipped model's name, a model folder, or (None) the default model.

    fusion: folder of another plug-and-play module than the one that comes with the model, or
    "none". Raises RdcError when something is missing or damaged.
    """
    loaded = codec_model.load(model)
    return Codec(loaded, fusion_module.choose(loaded, fusion))
