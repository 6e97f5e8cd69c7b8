"""The decoder that every back end shares, in NumPy: only running the networks differs.

    bytes -> header, importance map, tiles            open
    symbols -> noisy latent with its prior            decode_latent
    latent -> networks, window by window -> pixels    decode, reconstruct

A back end derives from `Decoder` and defines `window_function`.
"""

import abc
from collections.abc import Callable

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.decoding import reconstruction
from rdc_jax.decoding.opened_file import Crop, OpenFile, ReadOptions, Source, open_file, warn
from rdc_jax.decoding.reconstruction import Part, WindowFunction
from rdc_jax.decoding.sampling import Clock, Sampling, SamplingOptions, Tau
from rdc_jax.entropy import tiled_latent
from rdc_jax.entropy.coded_latent import CodedLatent, Conditions
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.entropy.tiled_latent import DamagedTile
from rdc_jax.model_folder.codec_model import Model
from rdc_jax.model_folder.fusion_module import Module
from rdc_jax.progress import Progress, reporting


class Decoder(abc.ABC):
    """A model, and its fusion module if it has one, ready to decode.

    Attributes:
        model: The model.
        module: Its fusion module, or None. With None, decoding does without a fusion module.
        entropy: The integer part of the model, which decodes symbols.
    """

    def __init__(self, model: Model, module: Module | None = None):
        self.model, self.module = model, module
        self.entropy = EntropyModel.from_arrays(model.entropy)

    @abc.abstractmethod
    def window_function(self, sampling: Sampling) -> WindowFunction:
        """The networks on one window, for one image.

        Raises RdcError if this back end cannot do the sampling.
        """

    def open(self, data: Source, options: ReadOptions = ReadOptions()) -> OpenFile:
        """Header and importance map of a file, the latent still as bytes. See `open_file`."""
        return open_file(data, self.model, options)

    def decode(
        self,
        data: Source,
        *,
        steps: int | None = None,
        tau: Tau | None = None,
        clock: Clock = "proportional",
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        progress: Progress = False,
        crop: Crop | None = None,
        resilient: bool = False,
        on_damage: Callable[[DamagedTile], None] = warn,
    ) -> np.ndarray:
        """Decodes an `.rdc` file.

        Args:
            data: The file's bytes, its path, or the file opened for reading bytes. From an open
                file with tiles, only the tiles in use are read and checked.
            steps: Steps of the fusion module's sampler, or of the denoiser's if the model has no
                fusion module. None: as the file suggests.
            tau: From the faithful image (0, smallest squared error) to the realistic one (1): a
                number, an array [H,W] (uint8 with 255 = realistic, or float in 0..1), or "roi",
                which keeps important parts of the image faithful. None: as the file suggests.
            clock: How timesteps fall if the denoiser samples in several steps.
            max_pixels: Larger images are refused.
            progress: Show a bar on a terminal if this takes two seconds or more; or a function
                that is called with the share that is done, 0 to 1, and may raise an exception to
                stop.
            crop: (x, y, width, height), the only part to decode. Its pixels equal those of the
                whole image, except in damaged tiles.
            resilient: Fill damaged tiles in, instead of raising an error.
            on_damage: Called for each damaged tile; by default it warns.

        Returns:
            uint8 [H,W,3].

        Raises:
            RdcError: The file is damaged or was made by another model, or an argument is unusable.
        """
        opened = self.open(data, ReadOptions(max_pixels, crop, resilient, on_damage))
        return self.decode_opened(opened, steps=steps, tau=tau, clock=clock, progress=progress)

    def decode_opened(
        self,
        opened: OpenFile,
        *,
        steps: int | None = None,
        tau: Tau | None = None,
        clock: Clock = "proportional",
        progress: Progress = False,
    ) -> np.ndarray:
        """The image of a file that is open already.

        Args:
            opened: The file, as from `open`.
            steps: As in `decode`.
            tau: As in `decode`.
            clock: As in `decode`.
            progress: As in `decode`.

        Returns:
            uint8 [H,W,3].
        """
        asked, windows = SamplingOptions(steps, tau, clock), opened.windows(self.entropy)
        return self._image(windows, opened.header, opened.conditions, asked, opened.part, progress)

    def reconstruct(
        self,
        header: container.Header,
        coded: CodedLatent,
        conditions: Conditions,
        *,
        steps: int | None = None,
        tau: Tau | None = None,
        clock: Clock = "proportional",
        part: Part = Part(),
        progress: Progress = False,
    ) -> np.ndarray:
        """The networks' share of `decode`: the image of a latent that is decoded already.

        Args:
            header: As returned by `decode_latent`.
            coded: As returned by `decode_latent`.
            conditions: As returned by `decode_latent`.
            steps: As in `decode`.
            tau: As in `decode`.
            clock: As in `decode`.
            part: `OpenFile.part` of a file with tiles, so that their borders are smoothed.
            progress: As in `decode`.

        Returns:
            uint8 [H,W,3].
        """
        asked, windows = SamplingOptions(steps, tau, clock), tiled_latent.whole_windows(coded)
        return self._image(windows, header, conditions, asked, part, progress)

    def decode_latent(
        self, data: Source, *, max_pixels: int = container.DEFAULT_MAX_PIXELS
    ) -> tuple[container.Header, CodedLatent, Conditions]:
        """The entropy stage alone, without networks. See `decoding.decoder.decode_latent`."""
        return decode_latent(data, self.model, self.entropy, max_pixels)

    def _image(
        self,
        windows: tiled_latent.Windows,
        header: container.Header,
        conditions: Conditions,
        asked: SamplingOptions,
        part: Part,
        progress: Progress = False,
    ) -> np.ndarray:
        sampling = asked.resolved(header, conditions, self.model)
        with reporting(progress, "decode") as report:
            return reconstruction.reconstruct(
                self.window_function(sampling),
                windows,
                header,
                sampling,
                part,
                downsampling=self.model.downsampling,
                noise=self.module is not None,
                report=report,
            )


def decode_latent(
    data: Source,
    model: Model,
    entropy: EntropyModel,
    max_pixels: int = container.DEFAULT_MAX_PIXELS,
) -> tuple[container.Header, CodedLatent, Conditions]:
    """The entropy stage: header, noisy latent with its prior, and importance map of a file.

    Args:
        data: The file's bytes, its path, or the file opened for reading bytes.
        model: The model that made the file.
        entropy: The integer part of this model.
        max_pixels: Larger images are refused.

    Raises:
        RdcError: The file is damaged, or was made by another model.
    """
    opened = open_file(data, model, ReadOptions(max_pixels))
    return opened.header, opened.latent(entropy), opened.conditions
