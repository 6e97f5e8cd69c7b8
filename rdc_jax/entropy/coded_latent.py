"""A latent as encoder and decoder see it, and what both know before its first symbol."""

import dataclasses

import numpy as np

from rdc_jax.entropy.integer_network import HYPER_DOWNSAMPLING


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What encoder and decoder both know before the first symbol of a latent.

    Attributes:
        height: Height of the latent in latent pixels.
        width: Width of the latent in latent pixels.
        levels: uint8 [h4,w4], importance level of each latent pixel. h4 and w4 are height and width
            rounded up to multiples of 4.
        timesteps: int64 [num_levels], timestep of each level.
        dither_seed: Seed of the dither, 0..2**32 - 1.
        row0: First row of a tile in the image's latent. It only affects the dither.
        col0: First column of a tile in the image's latent. It only affects the dither.
    """

    height: int
    width: int
    levels: np.ndarray
    timesteps: np.ndarray
    dither_seed: int
    row0: int = 0
    col0: int = 0


@dataclasses.dataclass(frozen=True)
class CodedLatent:
    """The latent as encoder and decoder see it.

    Bits are counted only when encoding. A decoder sets them to 0.0 and None.

    Attributes:
        yhat: float32 [h,w,C], the coded values, in latent units.
        mean: float32 [h,w,C], predicted means, in latent units.
        scale: float32 [h,w,C], predicted standard deviations, in latent units.
        hyper_bits: Ideal code length of the hyper-latent under the continuous model, in bits.
        latent_bits: Ideal code length of the latent under the continuous model, in bits.
        bits_map: float64 [h,w], ideal bits of each latent pixel without the hyper-latent.
        symbol_hash: SHA-256 of all symbols in coding order, the same on every machine.
    """

    yhat: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    hyper_bits: float
    latent_bits: float
    bits_map: np.ndarray | None
    symbol_hash: str


def padded_size(size: int) -> int:
    """Rounds latent rows or columns up to a multiple of the hyper-latent's cells."""
    return -(-size // HYPER_DOWNSAMPLING) * HYPER_DOWNSAMPLING
