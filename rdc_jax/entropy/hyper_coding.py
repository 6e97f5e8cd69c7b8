"""The hyper-latent's symbols: its lattice, its passes, and the one place that decides how each is
coded.

    s = (2^10 + (x mod 2^10)) 2^floor(x / 2^10), x the log2 of the step; 2^10, or 1, without one
    c = the mean, rounded, or 0 without a learnt step
    z = 2^10 c + k s,   k + n the symbol, n and the phase from the mean in steps less c

Without a learnt step z is an integer. Its mean's fractional part plays the role of a dither. All
numbers have 10 fractional bits but k, n and c. `rdc_jax.models.hyper_latent` is the float original.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rdc_jax.entropy import tables
from rdc_jax.entropy.integer_layers import FRACTION_BITS, ONE
from rdc_jax.entropy.integer_network import IntegerHyperprior
from rdc_jax.entropy.mean_scale_network import IntegerMeanScale

LOG2_STEP_RANGE = (-3 * ONE, 6 * ONE)


class Lattice(NamedTuple):
    """Where the values of a pass's cells can lie: int64 [P,Cz] each, or 0 and ONE for all."""

    centre: np.ndarray | int  # whole
    step: np.ndarray | int  # 10 fractional bits

    def nearest(self, z: np.ndarray) -> np.ndarray:
        """Steps from the centre to the point next to z (10 fractional bits), int64."""
        return (2 * (z - (self.centre << FRACTION_BITS)) + self.step) // (2 * self.step)

    def value(self, steps: np.ndarray) -> np.ndarray:
        """z at 10 fractional bits."""
        return (self.centre << FRACTION_BITS) + steps * self.step

    def in_steps(self, mean: np.ndarray) -> np.ndarray:
        """From the centre to the mean, in steps, both at 10 fractional bits."""
        return ((mean - (self.centre << FRACTION_BITS)) << FRACTION_BITS) // self.step


INTEGERS = Lattice(0, ONE)

# (where, lattice, scale_index, phase, shift) -> symbols [P * Cz]; symbol - shift is in steps
HyperSource = Callable[[np.ndarray, Lattice, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def lattice_of(mean: np.ndarray, log2_step: np.ndarray) -> Lattice:
    """mean and log2_step (within LOG2_STEP_RANGE) at 10 fractional bits, int64."""
    below_one = -LOG2_STEP_RANGE[0] >> FRACTION_BITS
    mantissa = ONE + (log2_step & (ONE - 1))
    step = (mantissa << ((log2_step >> FRACTION_BITS) + below_one)) >> below_one
    return Lattice((mean + ONE // 2) >> FRACTION_BITS, step)


def code_hyper_latent(
    network: IntegerHyperprior | IntegerMeanScale,
    condition: np.ndarray,
    code_pass: HyperSource,
    digest,
    *,
    count_bits: bool,
) -> tuple[np.ndarray, float]:
    """Walks through the hyper-latent's symbols in coding order.

    Args:
      network: gives prior, passes and, if it has one, step.
      condition: integers in float64 [h,w,16], h and w multiples of 4.
      code_pass: turns table indexes into symbols, by writing or by reading them.
      digest: a hash object that all symbols go into.
      count_bits: whether to add up ideal code lengths.

    Returns:
      z, int64 [h/4,w/4,Cz] at 10 fractional bits, and its bits, 0.0 if not counted.
    """
    prior = network.hyper_latent_prior(condition)
    log2_step = network.hyper_log2_step(condition)
    if log2_step is not None:
        log2_step = np.clip(log2_step, *LOG2_STEP_RANGE)
    z, known, bits = np.zeros(prior[0].shape, np.int64), np.zeros(prior[0].shape, np.int64), 0.0
    for number, where in enumerate(network.hyper_passes(*z.shape[:2])):
        if not where.any():
            continue
        mean, log2_scale = (x[where] for x in prior)
        if number:
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
    """Writes -mean as n + d_j, d_j a dither value: z = symbol - n is coded with phase j.

    mean_fixed int64, 10 fractional bits -> (n int64, phase uint8). With q = floor(-32 mean),
    n = (q + 16) div 32 and j = (q + 16) mod 32; |n + d_j + mean| <= 1/64.
    """
    q = (-mean_fixed * 32) >> FRACTION_BITS
    return (q + 16) >> 5, ((q + 16) & 31).astype(np.uint8)
