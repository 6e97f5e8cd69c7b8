"""Dither from a counter-based integer generator. It depends only on seed and position.

The generator is Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC 2011. docs/bitstream.md specifies how positions map to counters and outputs to phases.
"""

import numpy as np

from rdc_jax.entropy.tables import NUM_PHASES
from rdc_jax.errors import RdcError

KEY_TAG = 0x52444331  # "RDC1"

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW_WORD = np.uint64(0xFFFFFFFF)
_WORD_BITS = np.uint64(32)
_CHANNELS_PER_CALL = 16


def philox4x32(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Applies Philox4x32-10 to many counters under one key.

    Args:
        counter: uint32 [..., 4].
        key: Two integers in 0..2**32 - 1.

    Returns:
        uint32 [..., 4].
    """
    x0, x1, x2, x3 = (counter[..., word].astype(np.uint64) for word in range(4))
    for step in range(_ROUNDS):
        key0, key1 = (np.uint64((key[i] + step * _WEYL[i]) & 0xFFFFFFFF) for i in range(2))
        product0, product1 = x0 * _MULTIPLIERS[0], x2 * _MULTIPLIERS[1]
        x0 = (product1 >> _WORD_BITS) ^ x1 ^ key0
        x1 = product1 & _LOW_WORD
        x2 = (product0 >> _WORD_BITS) ^ x3 ^ key1
        x3 = product0 & _LOW_WORD
    return np.stack([x0, x1, x2, x3], axis=-1).astype(np.uint32)


def dither_phases(
    seed: int, height: int, width: int, channels: int, *, row0: int = 0, col0: int = 0
) -> np.ndarray:
    """Returns the dither phases of a window of the latent.

    The counter is (column, row, channel // 16, 0) and the key (seed, KEY_TAG). The four output
    words, least significant byte first, are the bytes of 16 consecutive channels. The phase is
    byte >> 3. A window has the same phases as the same place in the whole latent.

    Args:
        seed: Seed of the dither, 0..2**32 - 1.
        height: Height of the window in latent pixels.
        width: Width of the window in latent pixels.
        channels: Number of channels.
        row0: First row of the window in the latent.
        col0: First column of the window in the latent.

    Returns:
        uint8 [height, width, channels] in 0..31.

    Raises:
        RdcError: the seed or a position is out of range.
    """
    if not 0 <= seed < 2**32:
        raise RdcError(f"dither seed {seed} is out of range: choose 0..{2**32 - 1}")
    if min(height, width, channels, row0, col0) < 0 or max(row0 + height, col0 + width) > 2**32:
        raise RdcError("dither window is out of range: use non-negative 32-bit positions")
    blocks = -(-channels // _CHANNELS_PER_CALL)
    counter = np.zeros((height, width, blocks, 4), np.uint32)
    counter[..., 0] = (np.arange(width) + col0)[None, :, None]
    counter[..., 1] = (np.arange(height) + row0)[:, None, None]
    counter[..., 2] = np.arange(blocks)[None, None, :]
    words = philox4x32(counter, (seed, KEY_TAG))
    octets = words.astype("<u4").view(np.uint8).reshape(height, width, blocks * _CHANNELS_PER_CALL)
    return octets[..., :channels] >> 3


def dither_values(phases: np.ndarray) -> np.ndarray:
    """Returns the dither d = (2 j + 1) / 64 - 1/2 of phases j, float64 in (-1/2, 1/2), exact."""
    return symbols_plus_dither_numerator(np.zeros(1, np.int64), phases) / (2.0 * NUM_PHASES)


def symbols_plus_dither_numerator(symbols: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Returns the exact int64 numerator n of k + d = n / 64, which is 64 k + 2 j + 1 - 32."""
    return 64 * np.asarray(symbols).astype(np.int64) + 2 * np.asarray(phases).astype(np.int64) - 31
