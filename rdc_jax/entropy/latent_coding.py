"""Coding of a clean latent to bytes and back. Only this module decides symbol probabilities.

    map + timesteps -> condition -> z (coded first, `hyper_coding`) -> features
    pass 0, pixels of even row and column: mean, scale from features               -> symbols
    pass 1, pixels of odd row and column:  mean, scale from features + pass 0      -> symbols
    pass 2, all other pixels:              mean, scale from features + both passes -> symbols

Skip mode: an element whose scale index is below the model's `skipped_scales` has no symbol. Encoder
and decoder assume the symbol 0, so its value is the mean plus the dither of its step. A skipped
element has no weight in the context.

Context: later passes see the Wiener estimate mean + w (value - mean) of an element, with
w = s^2 / (s^2 + Delta^2 / 12) from a table of integer weights by scale index. The denoiser gets
the value itself. The mean-scale network has a single pass, which codes all pixels like pass 0.

Encoder and decoder run the same function `_code`. They differ only in callbacks that turn table
indexes into symbols, by quantising and writing or by reading. All arithmetic here is exact in
integers, so a file decodes to the same symbols, means and scales on every machine.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rdc_jax.entropy import tables
from rdc_jax.entropy.coded_latent import CodedLatent, Conditions
from rdc_jax.entropy.coder import SymbolDecoder, SymbolEncoder
from rdc_jax.entropy.dither import dither_phases
from rdc_jax.entropy.entropy_model import STEP_BITS, EntropyModel
from rdc_jax.entropy.hyper_coding import HyperSource, Lattice, code_hyper_latent
from rdc_jax.entropy.integer_layers import FRACTION_BITS, ONE
from rdc_jax.entropy.integer_network import MAX_HYPER_SYMBOL, condition_table
from rdc_jax.entropy.wiener_context import continued, interpolated_weight, shrink_residual
from rdc_jax.errors import RdcError

DITHER_BITS = 6  # k + d is a multiple of 2**-6
PLAIN_PHASE = 15  # phase of the tables that code without dither; its dither is -1/64


class PassElements(NamedTuple):
    """The elements of one pass that have a symbol, in coding order.

    Attributes:
        where: bool [h,w], the pixels of the pass.
        sent: int64 [n], indexes into the pixels x channels of the pass.
        mean: int64 [n], predicted mean, 10 fractional bits, in units of latent_unit.
        step: int64 [n], quantiser step, 20 fractional bits, in units of latent_unit.
        scale_index: uint8 [n], scale of the probability table.
        phase: uint8 [n], phase of the probability table.
        shift: int64 [n], 64 times the dither.
    """

    where: np.ndarray
    sent: np.ndarray
    mean: np.ndarray
    step: np.ndarray
    scale_index: np.ndarray
    phase: np.ndarray
    shift: np.ndarray


SymbolSource = Callable[[PassElements], np.ndarray]
"""Turns the elements of a pass into symbols, int32 [n], by writing or by reading them."""


def encode_latent(
    model: EntropyModel, latent: np.ndarray, conditions: Conditions
) -> tuple[bytes, bytes, CodedLatent]:
    """Codes a clean latent.

    Args:
        model: The entropy model.
        latent: float [h,w,C] in latent units.
        conditions: Sizes, importance levels, timesteps and seed.

    Returns:
        The bytes of the hyper-latent, the bytes of the latent, and the latent that the decoder
        will see.

    Raises:
        RdcError: the latent is not finite.
    """
    if not np.all(np.isfinite(latent)):
        raise RdcError("the encoder network produced non-finite values; check the weights")
    y = np.asarray(latent, np.float64) / model.latent_unit
    h4, w4 = conditions.levels.shape
    padding = ((0, h4 - y.shape[0]), (0, w4 - y.shape[1]), (0, 0))
    condition = _condition(conditions)
    fixed = np.rint(np.pad(y, padding, mode="edge") * ONE)
    limit = MAX_HYPER_SYMBOL - 1
    z = model.network.hyper_analysis(fixed, condition)
    hyper_encoder, encoder = SymbolEncoder(model.bank), SymbolEncoder(model.bank)

    def write_hyper(
        where: np.ndarray,
        lattice: Lattice,
        scale_index: np.ndarray,
        phase: np.ndarray,
        shift: np.ndarray,
    ) -> np.ndarray:
        steps = np.clip(lattice.nearest(z[where]), -limit, limit)
        symbols = (steps.reshape(shift.shape) + shift).astype(np.int32)
        hyper_encoder.encode(symbols, scale_index, phase)
        return symbols

    def write(elements: PassElements) -> np.ndarray:
        values = y[elements.where].take(elements.sent)
        residual = (values - elements.mean / ONE) * (2**STEP_BITS / elements.step)
        dither = elements.shift * 2.0**-DITHER_BITS
        largest = tables.MAX_ABS_SYMBOL
        symbols = np.clip(np.rint(residual - dither), -largest, largest).astype(np.int32)
        encoder.encode(symbols, elements.scale_index, elements.phase)
        return symbols

    coded = _code(model, conditions, write_hyper, write, count_bits=True)
    return hyper_encoder.finish(), encoder.finish(), coded


def decode_latent(
    model: EntropyModel, hyper_data: bytes, latent_data: bytes, conditions: Conditions
) -> CodedLatent:
    """Inverse of `encode_latent`.

    Args:
        model: The entropy model.
        hyper_data: The bytes of the hyper-latent.
        latent_data: The bytes of the latent.
        conditions: Sizes, importance levels, timesteps and seed.

    Raises:
        RdcError: the data are damaged.
    """
    hyper_decoder = SymbolDecoder(model.bank, hyper_data)
    decoder = SymbolDecoder(model.bank, latent_data)

    def read_hyper(
        where: np.ndarray,
        lattice: Lattice,
        scale_index: np.ndarray,
        phase: np.ndarray,
        shift: np.ndarray,
    ) -> np.ndarray:
        symbols = hyper_decoder.decode(scale_index, phase)
        if np.any(np.abs(symbols - shift) >= MAX_HYPER_SYMBOL):
            raise RdcError("section hyper-latent is damaged: a value is out of range")
        return symbols

    def read(elements: PassElements) -> np.ndarray:
        return decoder.decode(elements.scale_index, elements.phase)

    coded = _code(model, conditions, read_hyper, read, count_bits=False)
    hyper_decoder.finish()
    decoder.finish()
    return coded


def missing_latent(model: EntropyModel, conditions: Conditions) -> CodedLatent:
    """Returns the latent that the prior predicts without data, to conceal a lost tile.

    Every hyper-latent is at its mean, and all elements of the latent are skipped.
    """
    all_skipped = dataclasses.replace(model, skipped_scales=tables.NUM_SCALES)

    def hyper_mean(*elements: Any) -> np.ndarray:
        shift = elements[-1]
        return np.zeros(shift.shape, np.int32)

    def nothing(elements: PassElements) -> np.ndarray:
        return np.zeros(elements.shift.shape, np.int32)

    return _code(all_skipped, conditions, hyper_mean, nothing, count_bits=False)


def _code(
    model: EntropyModel,
    conditions: Conditions,
    code_hyper: HyperSource,
    code_pass: SymbolSource,
    *,
    count_bits: bool,
) -> CodedLatent:
    """Codes all symbols in coding order; see the module docstring."""
    network, c = model.network, model.network.latent_channels
    h, w = conditions.height, conditions.width
    condition = _condition(conditions)
    digest = hashlib.sha256()

    z, hyper_bits = code_hyper_latent(network, condition, code_hyper, digest, count_bits=count_bits)
    bits_map = np.zeros((h, w)) if count_bits else None
    features = network.hyper_synthesis(z, condition)[:h, :w]

    # Latent, pass by pass. Exact values carry 26 fractional bits, in units of latent_unit.
    levels = conditions.levels[:h, :w]
    step_fixed = model.step_fixed[conditions.timesteps][levels]
    log2_step = model.log2_step_fixed[conditions.timesteps][levels]
    phases, shifts = _dither(model, conditions)
    exact, known, mean, log2_scale = (np.zeros((h, w, c), np.int64) for _ in range(4))
    for number, where in enumerate(network.passes(h, w)):
        if not where.any():
            continue
        context = (continued(known) if model.continued_context else known).astype(np.float64)
        mean[where], log2_scale[where] = network.pass_parameters(number, features, context, where)
        log2_ratio = log2_scale[where] - log2_step[where]
        scale_index = tables.scale_index_from_log2(log2_ratio, FRACTION_BITS)
        is_sent = scale_index >= model.skipped_scales
        sent = np.flatnonzero(is_sent)  # indexes into the pixels x channels of this pass
        known_here = (mean, np.broadcast_to(step_fixed, mean.shape), phases, shifts)
        own_mean, own_step, phase, shift = (array[where] for array in known_here)
        of_sent = (a.take(sent) for a in (own_mean, own_step, scale_index, phase, shift))
        sent_symbols = code_pass(PassElements(where, sent, *of_sent))
        digest.update(np.ascontiguousarray(sent_symbols, "<i4").tobytes())
        symbols = np.zeros(is_sent.shape, np.int64)
        symbols.put(sent, sent_symbols)
        if bits_map is not None:
            bits = tables.ideal_bits(symbols, scale_index, phase)
            bits_map[where] = (bits * is_sent).sum(-1)
        residual = own_step * ((symbols << DITHER_BITS) + shift)
        exact[where] = (own_mean << 16) + residual
        weight = interpolated_weight(model.shrink, log2_ratio.take(sent))
        own_mean.put(sent, own_mean.take(sent) + shrink_residual(residual.take(sent), weight))
        known[where] = own_mean

    unit = float(model.latent_unit)
    return CodedLatent(
        yhat=(exact * (unit / 2 ** (STEP_BITS + DITHER_BITS))).astype(np.float32),
        mean=(mean * (unit / ONE)).astype(np.float32),
        scale=_scale(log2_scale, log2_step),
        hyper_bits=hyper_bits,
        latent_bits=0.0 if bits_map is None else float(bits_map.sum()),
        bits_map=bits_map,
        symbol_hash=digest.hexdigest(),
    )


def _dither(model: EntropyModel, conditions: Conditions) -> tuple[np.ndarray, np.ndarray]:
    """Returns phases, uint8 [h,w,C], and 64 times the dither, int64 [h,w,C]."""
    shape = conditions.height, conditions.width, model.network.latent_channels
    if not model.dither:
        return np.full(shape, PLAIN_PHASE, np.uint8), np.zeros(shape, np.int64)
    origin = dict(row0=conditions.row0, col0=conditions.col0)
    phases = dither_phases(conditions.dither_seed, *shape, **origin)
    return phases, 2 * phases.astype(np.int64) + 1 - tables.NUM_PHASES


def _condition(conditions: Conditions) -> np.ndarray:
    """Returns the condition features of each latent pixel, integers in float64 [h4,w4,16]."""
    table = condition_table(conditions.timesteps, len(conditions.timesteps))
    return table[conditions.levels].astype(np.float64)


def _scale(log2_scale: np.ndarray, log2_step: np.ndarray) -> np.ndarray:
    """Returns float32 scales in latent units, with scale / step limited to that of the tables."""
    low, high = tables.MIN_LOG2_SCALE, tables.MIN_LOG2_SCALE + tables.NUM_SCALES / 6
    ratio = np.clip((log2_scale - log2_step) / ONE, low, high)
    return np.exp2(ratio + log2_step / ONE).astype(np.float32)
