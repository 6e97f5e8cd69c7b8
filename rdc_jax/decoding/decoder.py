"""What decoding does before and after the networks, in NumPy: without JAX, for every back end.

bytes -> header, importance map, symbols -> noisy latent with its prior       decode_latent
what the caller asked for, or the file suggests -> steps, taus, timesteps     sampling_of
latent, window by window -> networks, tile by tile -> uint8 pixels            picture
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rdc_jax.bitstream import container
from rdc_jax.bitstream.container import TAU_UNITS
from rdc_jax.bitstream.tile_index import Window
from rdc_jax.decoding import concealment, deblocking
from rdc_jax.decoding.opened_file import open_file
from rdc_jax.decoding.windows import OVERLAP_PIXELS, TILE_PIXELS, tiled_rows
from rdc_jax.entropy import dither, latent_coding
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.entropy.tiled_latent import DamagedTile, Windows
from rdc_jax.errors import RdcError
from rdc_jax.importance import maps
from rdc_jax.model_folder.codec_model import Model

MAX_STEPS = 255
NOISE_SEED = 0x9E3779B9  # added to the dither's seed for the noise that a module starts from


class Sampling(NamedTuple):
    """How to make a picture of a decoded latent."""

    steps: int
    tau: np.ndarray  # float32 [h,w] in 0..1
    levels: np.ndarray  # uint8 [h,w], importance level of each latent pixel
    timesteps: np.ndarray  # float32 [L] of the model's L levels


def decode_latent(
    data: bytes,
    model: Model,
    entropy: EntropyModel,
    downsampling: int,
    max_pixels: int = container.DEFAULT_MAX_PIXELS,
) -> tuple[container.Header, latent_coding.CodedLatent, latent_coding.Conditions]:
    """The entropy stage: header, noisy latent with its prior, and map, of an `.rdc` file's bytes.

    entropy: that of the model. downsampling: picture pixels per latent pixel. Raises RdcError for
    a damaged file or one made by another model.
    """
    opened = open_file(data, model, downsampling, max_pixels)
    return opened.header, opened.latent(entropy), opened.conditions


def sampling_of(
    header: container.Header,
    known: latent_coding.Conditions,
    num_levels: int,
    downsampling: int,
    steps: int | None,
    tau: float | np.ndarray | str | None,
) -> Sampling:
    """Steps and tau as asked for, or (None) as the file suggests, and the map for the networks.

    num_levels: of the model, 1 or more; a file may have fewer. tau: see `maps.tau_map`.
    Raises RdcError for what is out of range.
    """
    steps = header.default_steps if steps is None else steps
    tau = header.default_tau / TAU_UNITS if tau is None else tau
    check_sampling(steps, tau)
    levels = known.levels[: known.height, : known.width]
    size = header.height, header.width
    taus = maps.tau_map(tau, levels, header.num_levels, size, downsampling)
    timesteps = np.full(num_levels, known.timesteps[-1], np.float32)
    timesteps[: len(known.timesteps)] = known.timesteps
    return Sampling(steps, taus, levels, timesteps)


def check_sampling(steps: int, tau: Any) -> None:
    """Raises RdcError for a number of steps, or a single tau, that is out of range."""
    if not 1 <= steps <= MAX_STEPS:
        raise RdcError(f"steps {steps} must be between 1 and {MAX_STEPS}")
    if not isinstance(tau, str) and np.ndim(tau) == 0 and not 0.0 <= tau <= 1.0:
        raise RdcError(f"tau {tau} must be between 0 (faithful) and 1 (realistic)")


def module_noise(
    dither_seed: int, shape: tuple[int, int, int], row0: int = 0, col0: int = 0
) -> np.ndarray:
    """What a module's sampling starts from, float32 [h,w,C], uniform, of unit variance.

    A function of the file and the position alone; row0, col0: where a window of it begins.
    """
    seed = (dither_seed + NOISE_SEED) % 2**32
    phases = dither.dither_phases(seed, *shape, row0=row0, col0=col0)
    return (math.sqrt(12.0) * dither.dither_values(phases)).astype(np.float32)


def picture(
    tile: Callable[..., np.ndarray],
    windows: Windows,
    header: container.Header,
    how: Sampling,
    downsampling: int,
    *,
    area: Window | None = None,
    noise: bool,
    tile_side: int | None = None,
    damaged: Sequence[DamagedTile] = (),
    progress: bool = False,
) -> np.ndarray:
    """The picture uint8 [H,W,3] of a latent, or the part of it that lies in `area` (pixels).

    tile(yhat, mean, scale, levels, tau, noise) makes the picture of one tile of the networks,
    float32 of about 0..255. noise: whether it has a use for what a module starts from (otherwise an
    array without channels stands for it). tile_side: of the entropy stage's tiles in pixels, None
    for a latent coded as a whole. damaged: tiles that `windows` found to be. progress: shows a bar
    for large pictures.

    Each tile runs all of a sampler's steps on its own window, and the tiles are cross-faded as
    pixels. Noise is a function of the position, so neighbours start alike and end alike where their
    windows agree; blending latents after each step would need a band of them at every step. It is
    enough: a cross-fade of pictures that differ would be blurred, and gradients in the middle of
    the fades, over the original's, are .67 (elsewhere .64) after 1 step and 1.06 (1.10) after 4.
    """
    everything = Window(0, header.height, 0, header.width)
    wanted = area = area or everything
    if tile_side is not None:
        area = area.grown(deblocking.MARGIN).common(everything)
    pixels = np.empty((area.bottom - area.top, area.right - area.left, 3), np.uint8)

    def bands(top, bottom, left, right):
        where = np.s_[top:bottom, left:right]
        latents = windows(Window(top, bottom, left, right))
        levels, tau = how.levels[where], how.tau[where]
        start = np.zeros((*tau.shape, 0), np.float32)
        if noise:
            start = module_noise(header.dither_seed, latents[0].shape, top, left)
        return [*latents, levels, tau, start]

    position = 0
    for rows in tiled_rows(
        tile,
        bands,
        how.levels.shape,
        input_scale=1,
        output_scale=downsampling,
        tile=TILE_PIXELS // downsampling,
        overlap=OVERLAP_PIXELS // downsampling,
        area=area,
        progress="decode" if progress else "",
    ):
        pixels[position : position + len(rows)] = to_pixels(rows, header.colour_mode)
        position += len(rows)
    if damaged:
        pixels = concealment.filled(pixels, area, damaged)
    if tile_side is not None:
        pixels = deblocking.smoothed(pixels, area, tile_side)
    return pixels[wanted.of(area)]


def to_pixels(image: np.ndarray, colour_mode: container.ColourMode) -> np.ndarray:
    """uint8 [h,w,3] of the networks' picture, float [h,w,3] of about 0..255."""
    pixels = np.rint(np.clip(image, 0, 255)).astype(np.uint8)
    if colour_mode == container.ColourMode.GREY:
        pixels = np.repeat(np.rint(pixels.mean(-1, keepdims=True)).astype(np.uint8), 3, -1)
    return pixels
