"""Coding of the hyper-latent: its lattice, its passes, and the probability table of each symbol.

docs/bitstream.md, "Hyper-latent", defines the quantities:

    S = (2^10 + (x mod 2^10)) 2^floor(x / 2^10)   step; x is its log2
    c = (M + 2^9) >> 10                           centre of the lattice: the mean M, rounded
    e = k - n                                     steps from the centre, k the coded symbol
    Z = 2^10 c + e S                              value

The shift n and the phase j follow from the distance of the mean to the centre, in steps. Without a
learnt step, x = 0, S = 2^10 and c = 0. The values are then integers, and the fractional part of the
mean acts as a dither. All numbers have 10 fractional bits, except the integers c, e, k, n and j.
`rdc_jax.models.hyper_latent` is the floating-point version that training uses.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from rdc_jax.entropy import tables
from rdc_jax.entropy.integer_layers import FRACTION_BITS, ONE
from rdc_jax.entropy.integer_network import IntegerHyperprior
from rdc_jax.entropy.mean_scale_network import IntegerMeanScale

LOG2_STEP_RANGE = (-3 * ONE, 6 * ONE)


class Lattice(NamedTuple):
    """The possible values of the cells of a pass: int64 [P,Cz] each, or 0 and ONE for integers."""

    centre: np.ndarray | int  # c, an integer
    step: np.ndarray | int  # S, 10 fractional bits

    def nearest(self, z: np.ndarray) -> np.ndarray:
        """Returns e, int64, of the lattice point nearest to z (10 fractional bits)."""
        return (2 * (z - (self.centre << FRACTION_BITS)) + self.step) // (2 * self.step)

    def value(self, steps: np.ndarray) -> np.ndarray:
        """Returns the value Z of the point `steps` from the centre, 10 fractional bits."""
        return (self.centre << FRACTION_BITS) + steps * self.step

    def in_steps(self, mean: np.ndarray) -> np.ndarray:
        """Returns the distance from the centre to the mean M in steps, 10 fractional bits."""
        return ((mean - (self.centre << FRACTION_BITS)) << FRACTION_BITS) // self.step


INTEGERS = Lattice(0, ONE)

# (where, lattice, scale_index, phase, shift n) -> symbols k [P * Cz]; e = k - n
HyperSource = Callable[[np.ndarray, Lattice, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Digest(Protocol):
    """A hash object of `hashlib`."""

    def update(self, data: bytes, /) -> None: ...


def lattice_of(mean: np.ndarray, log2_step: np.ndarray) -> Lattice:
    """Returns the lattice for a mean M and a log2 step x in LOG2_STEP_RANGE.

    Both are int64 with 10 fractional bits.
    """
    below_one = -LOG2_STEP_RANGE[0] >> FRACTION_BITS
    mantissa = ONE + (log2_step & (ONE - 1))
    step = (mantissa << ((log2_step >> FRACTION_BITS) + below_one)) >> below_one
    return Lattice((mean + ONE // 2) >> FRACTION_BITS, step)


def code_hyper_latent(
    network: IntegerHyperprior | IntegerMeanScale,
    condition: np.ndarray,
    code_pass: HyperSource,
    digest: Digest,
    *,
    count_bits: bool,
) -> tuple[np.ndarray, float]:
    """Codes all symbols of the hyper-latent in coding order.

    Args:
        network: Provides the prior, the passes and, if the model has one, the learnt step.
        condition: integers in float64 [h,w,16], h and w multiples of 4.
        code_pass: Turns table indexes into symbols by writing or reading them.
        digest: Hash object that is updated with all symbols.
        count_bits: True to sum up ideal code lengths.

    Returns:
        z, int64 [h/4,w/4,Cz] with 10 fractional bits, and its ideal length in bits, 0.0 if not
        counted.
    """
    prior = network.hyper_latent_prior(condition)
    log2_step = network.hyper_log2_step(condition)
    if log2_step is not None:
        log2_step = np.clip(log2_step, *LOG2_STEP_RANGE)
    z: np.ndarray = np.zeros(prior[0].shape, np.int64)
    known, bits = np.zeros_like(z), 0.0
    for number, where in enumerate(network.hyper_passes(z.shape[0], z.shape[1])):
        if not where.any():
            continue
        mean, log2_scale = (x[where] for x in prior)
        if number and isinstance(network, IntegerHyperprior):  # the other has one pass
            mean, log2_scale = network.hyper_pass_parameters(number, prior, known, condition, where)
        lattice = INTEGERS
        if log2_step is not None:
            lattice = lattice_of(mean, log2_step[where])
            log2_scale = log2_scale - log2_step[where]
        scale_index = tables.scale_index_from_log2(log2_scale, FRACTION_BITS).reshape(-1)
        shift, phase = split_hyper_mean(lattice.in_steps(mean).reshape(-1))
        symbols = code_pass(where, lattice, scale_index, phase, shift)
        digest.update(np.ascontiguousarray(symbols, "<i4").tobytes())
        if count_bits:
            bits += float(tables.ideal_bits(symbols, scale_index, phase).sum())
        z[where] = lattice.value((symbols - shift).reshape(mean.shape))
        known[where] = z[where] - prior[0][where]
    return z, bits


def split_hyper_mean(mean_fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Writes -mean as n + d_j with a dither value d_j, so that e = k - n is coded with phase j.

    With q = floor(-32 u), n = (q + 16) div 32 and j = (q + 16) mod 32. So |n + d_j + u| <= 1/64.

    Args:
        mean_fixed: U, the distance of the mean to the centre in steps, int64 with 10 fractional
            bits.

    Returns:
        n (int64) and j (uint8).
    """
    q = (-mean_fixed * 32) >> FRACTION_BITS
    return (q + 16) >> 5, ((q + 16) & 31).astype(np.uint8)
