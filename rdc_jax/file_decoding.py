"""What decoding does before and after the networks, in NumPy: without JAX, for every back end.

bytes -> header, importance map, symbols -> noisy latent with its prior       decode_latent
what the caller asked for, or the file suggests -> steps, taus, timesteps     sampling_of
the networks' picture -> uint8 pixels                                         to_pixels
"""

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from rdc_jax import importance
from rdc_jax.entropy import bitstream, dither, importance_coding, latent_coding
from rdc_jax.entropy.bitstream import TAU_UNITS, SectionType
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import Model
from rdc_jax.tiling import OVERLAP_PIXELS, TILE_PIXELS, apply_tiled

MAX_STEPS = 255
NOISE_SEED = 0x9E3779B9  # added to the dither's seed for the noise that a module starts from


class Sampling(NamedTuple):
    """How to make a picture of a decoded latent."""

    steps: int
    tau: np.ndarray  # float32 [h,w] in 0..1
    levels: np.ndarray  # uint8 [h,w], importance level of each latent pixel
    timesteps: np.ndarray  # float32 [L] of the model's L levels


def downsampling_of(config: Mapping[str, Any]) -> int:
    """Picture pixels per latent pixel along a side, of the `model` section of a config."""
    autoencoder = config["autoencoder"]
    if autoencoder["kind"] == "kl":
        return 2 ** (len(autoencoder.get("block_out_channels", range(4))) - 1)
    return {"transform": 8, "gdn": 16}[autoencoder["kind"]]


def conditions(
    header: bitstream.Header, grid: np.ndarray, downsampling: int
) -> latent_coding.Conditions:
    """What encoder and decoder both know before the latent; from header and decoded map."""
    f = downsampling
    height, width = (-(-n // f) for n in (header.height, header.width))
    padded = latent_coding.padded_size(height), latent_coding.padded_size(width)
    return latent_coding.Conditions(
        height=height,
        width=width,
        levels=importance.cells_to_latent(grid, *padded, header.cell_size // f),
        timesteps=importance.level_timesteps(
            header.timestep_background, header.timestep_roi, header.num_levels
        ),
        dither_seed=header.dither_seed,
    )


def decode_latent(
    data: bytes,
    model: Model,
    entropy: EntropyModel,
    downsampling: int,
    max_pixels: int = bitstream.DEFAULT_MAX_PIXELS,
) -> tuple[bitstream.Header, latent_coding.CodedLatent, latent_coding.Conditions]:
    """The entropy stage: header, noisy latent with its prior, and map, of an `.rdc` file's bytes.

    entropy: that of the model. downsampling: picture pixels per latent pixel. Raises RdcError for
    a damaged file or one made by another model.
    """
    if isinstance(data, str | os.PathLike):
        path = str(data)
        raise RdcError(
            f"decoding takes bytes, not a path: pass pathlib.Path({path!r}).read_bytes()"
        )
    header, sections = bitstream.unpack(data, max_pixels=max_pixels)
    if header.model_id != model.model_id:
        raise RdcError(
            f"the file needs model {header.model_id.hex()}, but {model.path} is "
            f"{model.model_id.hex()}; give the right one with --model"
        )
    if header.num_levels > int(model.config["num_levels"]) or header.cell_size % downsampling:
        raise RdcError("the file's importance map does not fit its model; the file is damaged")
    payloads = {section.type: section.payload for section in sections}
    grid = importance_coding.decode_importance(
        payloads[SectionType.IMPORTANCE], header.map_shape, header.num_levels
    )
    known = conditions(header, grid, downsampling)
    coded = latent_coding.decode_latent(
        entropy, payloads[SectionType.HYPER_LATENT], payloads[SectionType.LATENT], known
    )
    return header, coded, known


def sampling_of(
    header: bitstream.Header,
    known: latent_coding.Conditions,
    num_levels: int,
    downsampling: int,
    steps: int | None,
    tau: float | np.ndarray | str | None,
) -> Sampling:
    """Steps and tau as asked for, or (None) as the file suggests, and the map for the networks.

    num_levels: of the model, 1 or more; a file may have fewer. tau: see `importance.tau_map`.
    Raises RdcError for what is out of range.
    """
    steps = header.default_steps if steps is None else steps
    tau = header.default_tau / TAU_UNITS if tau is None else tau
    check_sampling(steps, tau)
    levels = known.levels[: known.height, : known.width]
    size = header.height, header.width
    taus = importance.tau_map(tau, levels, header.num_levels, size, downsampling)
    timesteps = np.full(num_levels, known.timesteps[-1], np.float32)
    timesteps[: len(known.timesteps)] = known.timesteps
    return Sampling(steps, taus, levels, timesteps)


def check_sampling(steps: int, tau: Any) -> None:
    """Raises RdcError for a number of steps, or a single tau, that is out of range."""
    if not 1 <= steps <= MAX_STEPS:
        raise RdcError(f"steps {steps} must be between 1 and {MAX_STEPS}")
    if not isinstance(tau, str) and np.ndim(tau) == 0 and not 0.0 <= tau <= 1.0:
        raise RdcError(f"tau {tau} must be between 0 (faithful) and 1 (realistic)")


def module_noise(dither_seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    """What a module's sampling starts from, float32 [h,w,C], uniform, of unit variance.

    A function of the file alone.
    """
    phases = dither.dither_phases((dither_seed + NOISE_SEED) % 2**32, *shape)
    return (math.sqrt(12.0) * dither.dither_values(phases)).astype(np.float32)


def tiled_picture(
    tile: Callable[..., np.ndarray],
    coded: latent_coding.CodedLatent,
    how: Sampling,
    noise: np.ndarray | None,
    downsampling: int,
    progress: bool = False,
) -> np.ndarray:
    """The networks' picture float32 [fh,fw,3] of a latent, tile by tile.

    tile(yhat, mean, scale, levels, tau, noise) makes the picture of one tile. noise: what a module
    starts from (None: an array without channels stands for it). progress: shows a bar for large
    pictures.
    """
    if noise is None:
        noise = np.zeros((*how.tau.shape, 0), np.float32)
    return apply_tiled(
        tile,
        [coded.yhat, coded.mean, coded.scale, how.levels, how.tau, noise],
        input_scale=1,
        output_scale=downsampling,
        tile=TILE_PIXELS // downsampling,
        overlap=OVERLAP_PIXELS // downsampling,
        progress="decode" if progress else "",
    )


def to_pixels(image: np.ndarray, header: bitstream.Header) -> np.ndarray:
    """uint8 [H,W,3] of the networks' picture, float [>=H,>=W,3] of about 0..255."""
    pixels = np.rint(np.clip(image[: header.height, : header.width], 0, 255)).astype(np.uint8)
    if header.colour_mode == bitstream.ColourMode.GREY:
        pixels = np.repeat(np.rint(pixels.mean(-1, keepdims=True)).astype(np.uint8), 3, -1)
    return pixels
