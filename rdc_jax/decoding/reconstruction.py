"""From a decoded latent to the image: the networks see one window at a time.

Each window runs all steps of the sampler by itself, and the resulting pixels are cross-faded.
Starting noise depends only on the position, so neighbouring windows start alike, and end alike
where they overlap. Blending latents after each step would need the overlap of all windows at every
step, and is not necessary: a cross-fade of images that differ would be blurred, but gradients in
the middle of the fades, relative to the original's, are 0.67 (elsewhere 0.64) after 1 step and 1.06
(elsewhere 1.10) after 4.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from rdc_jax.bitstream.container import ColourMode, Header
from rdc_jax.bitstream.tile_index import Window
from rdc_jax.decoding import concealment, deblocking
from rdc_jax.decoding.sampling import Sampling, starting_noise
from rdc_jax.decoding.windows import OVERLAP_PIXELS, WINDOW_PIXELS, windowed_rows
from rdc_jax.entropy.tiled_latent import DamagedTile, Windows
from rdc_jax.progress import ReportShare, nothing

WindowFunction = Callable[..., np.ndarray]
"""The networks on one window: (yhat, mean, scale, levels, tau, noise) -> pixels.

yhat, mean, scale, noise are float32 [h,w,C], levels is uint8 [h,w], tau is float32 [h,w]. The
result is float32 [f h,f w,3], about 0..255. Without a fusion module, noise is an empty [h,w,0].
"""


@dataclasses.dataclass(frozen=True)
class Part:
    """Which part of an image is wanted, and the tiles of its file.

    Attributes:
        area: The wanted part in pixels, None for the whole image.
        tile_side: Side of the file's tiles in pixels, None if the latent is coded as a whole.
        damaged: Damaged tiles, to be filled in. Decoding the latent may add to this list.
    """

    area: Window | None = None
    tile_side: int | None = None
    damaged: Sequence[DamagedTile] = ()


def reconstruct(
    function: WindowFunction,
    windows: Windows,
    header: Header,
    sampling: Sampling,
    part: Part,
    *,
    downsampling: int,
    noise: bool,
    report: ReportShare = nothing,
) -> np.ndarray:
    """The image of a latent, or a part of it.

    Args:
        function: The networks on one window.
        windows: Decodes a window of the latent.
        header: Header of the file.
        sampling: Steps, tau and timesteps.
        part: The wanted part of the image, and the tiles of the file.
        downsampling: Image pixels per latent pixel along a side.
        noise: Whether `function` uses starting noise; if not, it receives an empty [h,w,0] array.
        report: Called with the share that is done, 0 to 1.

    Returns:
        uint8 [H,W,3].
    """
    everything = Window(0, header.height, 0, header.width)
    wanted = area = part.area or everything
    if part.tile_side is not None:
        area = area.grown(deblocking.MARGIN).common(everything)
    pixels = np.empty((area.bottom - area.top, area.right - area.left, 3), np.uint8)
    position = 0
    for rows in windowed_rows(
        function,
        _inputs(windows, header.dither_seed, sampling, noise),
        sampling.levels.shape,
        input_scale=1,
        output_scale=downsampling,
        window=WINDOW_PIXELS // downsampling,
        overlap=OVERLAP_PIXELS // downsampling,
        area=area,
        report=report,
    ):
        pixels[position : position + len(rows)] = to_pixels(rows, header.colour_mode)
        position += len(rows)
    if part.damaged:
        pixels = concealment.filled(pixels, area, part.damaged)
    if part.tile_side is not None:
        pixels = deblocking.smoothed(pixels, area, part.tile_side)
    return pixels[wanted.of(area)]


def _inputs(
    windows: Windows, dither_seed: int, sampling: Sampling, noise: bool
) -> Callable[[int, int, int, int], list[np.ndarray]]:
    """Returns the function that makes the arguments of a WindowFunction for a band of windows."""

    def band(top: int, bottom: int, left: int, right: int) -> list[np.ndarray]:
        where = np.s_[top:bottom, left:right]
        latents = windows(Window(top, bottom, left, right))
        levels, tau = sampling.levels[where], sampling.tau[where]
        start = np.zeros((*tau.shape, 0), np.float32)
        if noise:
            start = starting_noise(dither_seed, latents[0].shape, top, left)
        return [*latents, levels, tau, start]

    return band


def to_pixels(image: np.ndarray, colour_mode: ColourMode) -> np.ndarray:
    """uint8 [h,w,3] of the networks' image, float [h,w,3] of about 0..255."""
    pixels = np.rint(np.clip(image, 0, 255)).astype(np.uint8)
    if colour_mode == ColourMode.GREY:
        pixels = np.repeat(np.rint(pixels.mean(-1, keepdims=True)).astype(np.uint8), 3, -1)
    return pixels
