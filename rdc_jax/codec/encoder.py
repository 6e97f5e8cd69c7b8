"""From the clean latent of an image to a file: quality or target size, map, symbols, container.

    encoder = Encoder(model, module, entropy, size, options)      checks the settings, no network
    data, report = encoder.encode(latent)

The networks have done their work before: everything here is NumPy.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from rdc_jax.bitstream import container, tile_index
from rdc_jax.bitstream.container import ColourMode, Header
from rdc_jax.bitstream.sections import WHOLE_LATENT, SectionType, section_name
from rdc_jax.codec import rate_control
from rdc_jax.codec.options import DEFAULT_QUALITY, EncodeOptions
from rdc_jax.codec.report import Report
from rdc_jax.entropy import importance_coding, latent_coding, tiled_latent
from rdc_jax.entropy.coded_latent import CodedLatent, Conditions
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.entropy.tiled_latent import Tally
from rdc_jax.errors import RdcError
from rdc_jax.importance import maps, simplification, timesteps
from rdc_jax.importance.conditions import conditions_of
from rdc_jax.importance.simplification import Map
from rdc_jax.model_folder.codec_model import Model
from rdc_jax.model_folder.fusion_module import Module
from rdc_jax.progress import ReportShare, nothing

USUAL_CODINGS = 3  # to hit a size


class Encoder:
    """Encodes one image. Its latent may be coded several times, to hit a size.

    Raises RdcError for settings that do not fit the model or the image.
    """

    def __init__(
        self,
        model: Model,
        module: Module | None,
        entropy: EntropyModel,
        size: tuple[int, int],
        options: EncodeOptions,
    ):
        """Checks the settings; no network runs.

        Args:
            model: The model.
            module: Its fusion module, which suggests steps and tau; or None.
            entropy: The integer part of the model.
            size: (height, width) of the image in pixels.
            options: The settings.
        """
        self._model, self._entropy, self._options = model, entropy, options
        self._range = tuple(model.config["timestep_range"])
        self._extras = dict(options.extras or {})
        cell_size = int(model.config["cell_size"])
        grid, num_levels = maps.from_either(
            options.importance, options.levels, *size, cell_size, model.num_levels
        )
        if options.roi_only and not grid.any():
            raise RdcError("roi_only has no region to work on: nothing is important")
        self._map = Map(grid, num_levels, cell_size)
        self._header = self._header_of(size, module)
        self._target = rate_control.target_bytes(
            *size, options.quality, options.target_bpp, options.target_bytes
        )
        self._side = tile_index.chosen_side(
            *size, model.downsampling, options.tile, options.resilient
        )
        self._codings = 0
        self._progress: ReportShare = nothing

    def encode(self, latent: np.ndarray, progress: ReportShare = nothing) -> tuple[bytes, Report]:
        """The file, and what encoding did.

        Args:
            latent: float32 [h,w,C], the clean latent of the image.
            progress: Called with the share that is done, 0 to 1. With a target size it is an
                estimate. An exception that it raises ends the work.
        """
        self._codings = 0
        self._progress = progress
        data, report = simplification.code_within(
            lambda given: self._with_map(latent, given),
            self._map,
            self._options.map_cost,
            self._target,
        )
        return data, dataclasses.replace(report, codings=self._codings)

    def _header_of(self, size: tuple[int, int], module: Module | None) -> Header:
        """The header of every coding, but for the timesteps and the map."""
        options = self._options
        options.check_seed()
        steps, tau = options.hints(module)
        return Header(
            width=size[1],
            height=size[0],
            model_id=self._model.model_id,
            num_levels=self._map.num_levels,
            timestep_background=0,
            timestep_roi=0,
            cell_size=self._map.cell_size,
            dither_seed=options.seed,
            default_steps=steps,
            default_tau=tau,
            colour_mode=ColourMode.GREY if options.grey else ColourMode.RGB,
        )

    def _timesteps_at(self, quality: float) -> tuple[int, int]:
        """(background, region of interest) at a quality."""
        options = self._options
        if options.roi_only:
            return timesteps.region_only_timesteps(quality, *self._range)
        gain = options.roi_gain if self._map.num_levels > 1 else 0.0
        return timesteps.quality_to_timesteps(quality, gain, *self._range)

    def _header_at(self, quality: float, given: Map) -> Header:
        background, roi = self._timesteps_at(quality)
        return dataclasses.replace(
            self._header,
            num_levels=given.num_levels,
            cell_size=given.cell_size,
            timestep_background=background,
            timestep_roi=roi,
        )

    def _conditions_at(self, quality: float, given: Map) -> Conditions:
        header = self._header_at(quality, given)
        return conditions_of(header, given.levels, self._model.downsampling)

    def _with_map(self, latent: np.ndarray, given: Map) -> tuple[bytes, Report]:
        """The file with a map, at the quality asked for, or at the best quality within a size."""

        def at(quality: float) -> tuple[bytes, Report]:
            before = self._codings
            self._codings += 1
            expected = max(self._codings, 1 if self._target is None else USUAL_CODINGS)
            self._progress(before / expected)
            return coded(
                self._entropy,
                latent,
                given.levels,
                self._header_at(quality, given),
                downsampling=self._model.downsampling,
                quality=quality,
                tile_side=self._side,
                extras=self._extras,
                progress=lambda share: self._progress((before + share) / expected),
            )

        quality = self._options.quality
        if self._target is None:
            return at(DEFAULT_QUALITY if quality is None else quality)
        return rate_control.largest_within(
            at,
            rate_control.distinct_qualities(self._timesteps_at, *self._range),
            rate_control.size_estimate(
                self._entropy,
                latent,
                lambda quality: self._conditions_at(quality, given),
                besides=sum(map(len, self._extras.values())),
            ),
            self._target,
            best_effort=self._options.best_effort,
        )


def coded(
    entropy: EntropyModel,
    latent: np.ndarray,
    levels: np.ndarray,
    header: Header,
    *,
    downsampling: int,
    quality: float,
    tile_side: int | None = None,
    extras: Mapping[int, bytes] | None = None,
    progress: ReportShare = nothing,
) -> tuple[bytes, Report]:
    """Codes a latent once.

    Args:
        entropy: The integer part of the model.
        latent: float32 [h,w,C], the clean latent.
        levels: uint8 [rows, columns], the importance map.
        header: Header of the file, which decides everything else.
        downsampling: Image pixels per latent pixel along a side.
        quality: For the report.
        tile_side: Side of the tiles in pixels, None to code the latent as a whole.
        extras: Payloads of optional sections.
        progress: Called with the share that is done, 0 to 1, after each tile.

    Returns:
        The file, and what coding did.
    """
    conditions = conditions_of(header, levels, downsampling)
    tally: CodedLatent | Tally
    kinds: tuple[SectionType, ...]
    if tile_side is None:
        *streams, tally = latent_coding.encode_latent(entropy, latent, conditions)
        kinds = WHOLE_LATENT
    else:
        *streams, tally = tiled_latent.encode(
            entropy, latent, conditions, tile_side, downsampling, progress
        )
        kinds = (SectionType.TILES,)
    coded_map = importance_coding.encode_importance(levels, header.num_levels)
    sections: list[tuple[int, bytes]] = [(SectionType.IMPORTANCE, coded_map)]
    sections += [*zip(kinds, streams, strict=True), *(extras or {}).items()]
    data = container.pack(header, sections)
    assert tally.bits_map is not None  # encoding counts bits
    report = Report(
        bytes=len(data),
        bpp=8 * len(data) / (header.width * header.height),
        quality=quality,
        timesteps=(header.timestep_background, header.timestep_roi),
        ideal_bits=8 * len(coded_map) + tally.hyper_bits + tally.latent_bits,
        section_bytes={section_name(kind).lower(): len(payload) for kind, payload in sections},
        bits_map=tally.bits_map,
        levels=conditions.levels[: conditions.height, : conditions.width],
        symbol_hash=tally.symbol_hash,
        map_grid=(header.num_levels, header.cell_size),
    )
    return data, report
