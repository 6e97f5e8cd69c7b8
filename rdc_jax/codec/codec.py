"""The codec: image and importance -> bytes -> image. Only here do the networks meet the coder.

    codec = rdc_jax.load()
    data  = codec.encode(image, quality=40, importance=mask)       bytes of an .rdc file
    image = codec.decode(data, tau=0.0)                            uint8 [H,W,3], faithful
    image = codec.decode(data, tau=1.0)                            realistic, from the same file

Encoding: pixels -> latent (network) -> symbols at the timesteps of the map -> container.
Decoding: container -> the same symbols, means and scales (integers) -> denoiser and, as far as tau
goes, fusion module -> pixels.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.codec import compilation_cache as cache
from rdc_jax.codec import importance_input, loading, metadata_sections, window_networks
from rdc_jax.codec.encoder import Encoder
from rdc_jax.codec.keywords import check_keywords
from rdc_jax.codec.options import DEFAULT_QUALITY, DEFAULT_ROI_GAIN, EncodeOptions
from rdc_jax.codec.report import Report
from rdc_jax.decoding import decoder, opened_file
from rdc_jax.decoding.reconstruction import WindowFunction
from rdc_jax.decoding.sampling import Sampling
from rdc_jax.entropy.tiled_latent import DamagedTile
from rdc_jax.errors import RdcError
from rdc_jax.images import LoadedImage
from rdc_jax.images.arrays import as_image, is_batch
from rdc_jax.importance import simplification
from rdc_jax.model_folder import codec_model, files, fusion_module
from rdc_jax.progress import Progress, ReportShare, nothing, reporting

__all__ = ["DEFAULT_QUALITY", "DEFAULT_ROI_GAIN", "Codec", "Report", "load"]

ANALYSIS_SHARE = 0.5  # of encoding, for progress; the rest is coding


class Codec(decoder.Decoder):
    """A model ready to encode and decode; `rdc_jax.load` makes one.

    Attributes:
        model: The model.
        module: Its fusion module, or None. With None, decoding does without a fusion module.
        entropy: The integer part of the model, which codes symbols.
        timestep_range: (smallest, largest) timestep that qualities use.
    """

    def __init__(self, model: codec_model.Model, module: fusion_module.Module | None = None):
        super().__init__(model, module)
        self._networks, self._params = loading.of_model(model)
        self._fusion = None if module is None else loading.of_module(module, self._networks)
        self.timestep_range = tuple(model.config["timestep_range"])

    def __repr__(self) -> str:
        trees = [self.model.params]
        fusion = "no fusion module"
        if self.module is not None:
            trees.append({"transform": self.module.params["transform"]})
            fusion = f"fusion module {self.module.identity}"
        count = sum(x.size for tree in trees for x in files.flatten(tree).values())
        model = f"{self.model.name} {self.model.model_id.hex()}"
        return f"<Codec: model {model}, {count:,} parameters, {fusion}>"

    def encode(
        self, image: Any, *,
        quality: float | None = None, target_bpp: float | None = None,
        target_bytes: int | None = None, best_effort: bool = False,
        importance: Any = None, levels: np.ndarray | None = None,
        roi_gain: float = DEFAULT_ROI_GAIN, roi_only: bool = False,
        map_cost: float = simplification.PERCENT, seed: int = 0, steps: int | None = None,
        tau: float | None = None, grey: bool = False,
        extras: Mapping[int, bytes] | None = None, tile: int | None = None,
        resilient: bool = False, return_report: bool = False, progress: Progress = False,
    ) -> Any:  # fmt: skip
        """Encodes an image, or each image of a list.

        Args:
            image: Array uint8 [H,W,3] or [H,W], float 0..1 [H,W,3] or [3,H,W], PIL image, or path.
                A list of these is a batch, and an empty list gives an empty list.
            quality: 0 (smallest file) to 100 (closest to the image), default 50.
            target_bpp: Instead of quality: most bits per pixel, of the whole file.
            target_bytes: Instead of quality: most bytes of the file.
            best_effort: If the target is out of reach, use quality 0 instead of raising an error.
            importance: Mask [H,W] (bool, uint8 with 255 = important, or float 0..1), path of one,
                "auto", "center" or another detector. A list: one for each image of a list.
            levels: Instead of importance: a map as made by `rdc_jax.importance.maps`.
            roi_gain: Timesteps between importance 0 and 1.
            roi_only: Importance 1 gets the quality, importance 0 as little as possible.
            map_cost: Percent of the file that the map may take before it is made coarser; 0: any.
            seed: Seed of the dither, 0 to 2**32 - 1.
            steps: Sampler steps that the file suggests to decoders.
            tau: Tau that the file suggests to decoders, 0 to 1.
            grey: Whether the three channels are known to be equal.
            extras: Optional sections, see `metadata_sections`; by default alpha and metadata.
            tile: Side in pixels of tiles that decode alone, a power of two, 0 for no tiles; by
                default 1024 for images of more than 2**22 pixels.
            resilient: Tiles of 256 pixels, so that damage costs less of the image.
            return_report: Return (bytes, Report).
            progress: Show a bar on a terminal if this takes two seconds or more; or a function
                that is called with the share that is done, 0 to 1, and may raise an exception to
                stop.

        Returns:
            The bytes of an `.rdc` file, or a list of them.

        Raises:
            RdcError: The image or a setting is unusable.
        """
        options = EncodeOptions(
            quality, target_bpp, target_bytes, best_effort, importance, levels, roi_gain, roi_only,
            map_cost, seed, steps, tau, grey, extras, tile, resilient,
        )  # fmt: skip
        if is_batch(image):
            done = self._encode_batch(image, options, progress)
            return done if return_report else [data for data, _ in done]
        data, report = self.encode_with(image, options, progress=progress)
        return (data, report) if return_report else data

    def encode_with(
        self, image: Any, options: EncodeOptions, *, progress: Progress = False
    ) -> tuple[bytes, Report]:
        """Encodes one image, with typed settings.

        Args:
            image: As in `encode`.
            options: The settings.
            progress: As in `encode`.

        Returns:
            The bytes of an `.rdc` file, and what encoding did.
        """
        image = as_image(image)
        options = dataclasses.replace(
            options,
            importance=importance_input.mask_of(options.importance, image),
            grey=options.grey or image.grey,
        )
        if options.extras is None:
            options = dataclasses.replace(options, extras=metadata_sections.extras_of(image))
        size = image.pixels.shape[:2]
        encoder = Encoder(self.model, self.module, self.entropy, size, options)
        with reporting(progress, "encode") as report:
            latent = self.analyse(image.pixels, report=lambda share: report(ANALYSIS_SHARE * share))
            return encoder.encode(
                latent, lambda share: report(ANALYSIS_SHARE + (1 - ANALYSIS_SHARE) * share)
            )

    def _encode_batch(
        self, images: list[Any], options: EncodeOptions, progress: Progress
    ) -> list[tuple[bytes, Report]]:
        given = options.importance
        masks: list[Any] = given if isinstance(given, list) else [given] * len(images)
        if len(masks) != len(images):
            raise RdcError(f"{len(images)} images have {len(masks)} masks; give one for each")
        return [
            self.encode_with(
                image, dataclasses.replace(options, importance=mask), progress=progress
            )
            for image, mask in zip(images, masks, strict=True)
        ]

    def analyse(self, pixels: np.ndarray, *, report: ReportShare = nothing) -> np.ndarray:
        """The clean latent float32 [h,w,C] of an image uint8 [H,W,3], before it is coded."""
        return window_networks.analyse(self._networks, self._params, pixels, report=report)

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

    def decode_image(
        self,
        data: opened_file.Source,
        *,
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        crop: opened_file.Crop | None = None,
        resilient: bool = False,
        on_damage: Callable[[DamagedTile], None] = opened_file.warn,
        **sampling: Any,
    ) -> LoadedImage:
        """Decodes everything that a file holds: pixels, alpha and metadata.

        Args:
            data: As in `decode`.
            max_pixels: As in `decode`.
            crop: As in `decode`.
            resilient: As in `decode`.
            on_damage: As in `decode`.
            **sampling: Steps, tau, clock and progress of `decode`.

        Raises:
            RdcError: As in `decode`, or `decode` has no such option.
        """
        check_keywords("decode_image", sampling, self.decode_image, self.decode_opened)
        how = opened_file.ReadOptions(max_pixels, crop, resilient, on_damage)
        opened = self.open(data, how)
        parts = metadata_sections.parts_of(opened.reader, crop=crop)
        return LoadedImage(pixels=self.decode_opened(opened, **sampling), **parts)

    decode_picture = decode_image  # the old name, for programs written for version 0.1.0


def load(
    model: str | Path | None = None,
    fusion: str | Path | None = None,
    *,
    compilation_cache: bool = True,
) -> Codec:
    """Loads a model.

    Args:
        model: Name of a shipped model, a model folder, or None for the default model.
        fusion: Folder of a fusion module; None for the one that comes with the model, "none" for
            no fusion module.
        compilation_cache: Keep compiled networks on disk, so that the next process starts sooner.
            The folder is $RDC_CACHE_DIR, or `rdc_jax` in the user's cache folder. A cache that
            JAX has been told to use already is left alone.

    Raises:
        RdcError: Something is missing or damaged.
    """
    if compilation_cache:
        cache.enable_by_default()
    loaded = codec_model.load(model)
    return Codec(loaded, fusion_module.choose(loaded, fusion))
