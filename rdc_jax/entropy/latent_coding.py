"""From a clean latent to bytes and back: the one place that decides a symbol's probability.

    map + timesteps -> condition -> z (coded first, `hyper_coding`) -> features
    pass 0, pixels of even row and column: mean, scale from features               -> symbols
    pass 1, pixels of odd row and column:  mean, scale from features + pass 0      -> symbols
    pass 2, the others:                    mean, scale from features + both passes -> symbols

An element whose scale index is below the model's `silent_scales` has no symbol. Both sides take it
as 0, so that its value is the mean with noise of its step, and give it no weight in the context.
Later passes see the Wiener estimate mean + w (value - mean) of an element, w = s^2 / (s^2 +
Delta^2 / 12), from a table of integer weights by scale index; the denoiser gets the value itself.
The mean-scale network has one pass, like pass 0 but of all pixels.

Encoder and decoder run the same `_code`; they differ only in a callback that turns table indexes
into symbols (by quantising and writing, or by reading). Everything here is exact integer
arithmetic, so a file decodes to the same symbols, means and scales on every machine.
"""

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np

from rdc_jax.entropy import tables
from rdc_jax.entropy.coder import SymbolDecoder, SymbolEncoder
from rdc_jax.entropy.dither import dither_phases
from rdc_jax.entropy.entropy_model import STEP_BITS, EntropyModel
from rdc_jax.entropy.hyper_coding import code_hyper_latent
from rdc_jax.entropy.integer_layers import FRACTION_BITS, ONE
from rdc_jax.entropy.integer_network import HYPER_DOWNSAMPLING, MAX_HYPER_SYMBOL, condition_table
from rdc_jax.errors import RdcError

DITHER_BITS = 6  # k + d is a multiple of 2**-6
PLAIN_PHASE = 15  # of the tables that code without dither: theirs is -1/64


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What both sides know before any latent symbol: sizes, map, timesteps, seed.

    levels: uint8 [h4,w4], importance level per latent pixel on the padded grid (h4, w4: latent
    height and width rounded up to multiples of 4). timesteps: int64 [num_levels]. row0, col0: where
    a tile begins in the picture's latent, which decides its dither and nothing else.
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
    """The latent as both sides see it; float32 [h,w,C] arrays in latent units.

    bits: ideal code length (continuous model) of hyper-latent and latent. symbol_hash: sha256 of
    all symbols in coding order; equal on every machine that reads the same file. bits_map:
    float64 [h,w], ideal bits of each latent pixel (hyper-latent not included). Bits are counted
    when encoding only; a decoder has 0.0 and None.
    """

    yhat: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    hyper_bits: float
    latent_bits: float
    bits_map: np.ndarray | None
    symbol_hash: str


# (scale_index, phase, offset) -> symbols; offset is the float the symbol must cancel: (mean, step)
SymbolSource = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def padded_size(size: int) -> int:
    """Latent rows or columns rounded up to what the hyper-latent covers."""
    return -(-size // HYPER_DOWNSAMPLING) * HYPER_DOWNSAMPLING


def encode_latent(
    model: EntropyModel, latent: np.ndarray, conditions: Conditions
) -> tuple[bytes, bytes, CodedLatent]:
    """Codes a clean latent, float [h,w,C] in latent units.

    Returns the hyper-latent's bytes, the latent's bytes, and what the decoder will see. Raises
    RdcError when the latent is not finite.
    """
    if not np.all(np.isfinite(latent)):
        raise RdcError("the encoder network produced non-finite values; check the weights")
    y = np.asarray(latent, np.float64) / model.latent_unit
    h4, w4 = conditions.levels.shape
    padding = ((0, h4 - y.shape[0]), (0, w4 - y.shape[1]), (0, 0))
    table = condition_table(conditions.timesteps, len(conditions.timesteps))
    condition = table[conditions.levels].astype(np.float64)
    fixed = np.rint(np.pad(y, padding, mode="edge") * ONE)
    limit = MAX_HYPER_SYMBOL - 1
    z = model.network.hyper_analysis(fixed, condition)
    hyper_encoder, encoder = SymbolEncoder(model.bank), SymbolEncoder(model.bank)

    def write_hyper(where, lattice, scale_index, phase, shift):
        steps = np.clip(lattice.nearest(z[where]), -limit, limit)
        symbols = (steps.reshape(shift.shape) + shift).astype(np.int32)
        hyper_encoder.encode(symbols, scale_index, phase)
        return symbols

    def write(where, sent, mean_fixed, step_fixed, scale_index, phase, shift):
        residual = (y[where].take(sent) - mean_fixed / ONE) * (2**STEP_BITS / step_fixed)
        dither = shift * 2.0**-DITHER_BITS
        largest = tables.MAX_ABS_SYMBOL
        symbols = np.clip(np.rint(residual - dither), -largest, largest).astype(np.int32)
        encoder.encode(symbols, scale_index, phase)
        return symbols

    coded = _code(model, conditions, write_hyper, write, count_bits=True)
    return hyper_encoder.finish(), encoder.finish(), coded


def decode_latent(
    model: EntropyModel, hyper_data: bytes, latent_data: bytes, conditions: Conditions
) -> CodedLatent:
    """Inverse of `encode_latent`, from the bytes alone. Raises RdcError for damaged data."""
    hyper_decoder = SymbolDecoder(model.bank, hyper_data)
    decoder = SymbolDecoder(model.bank, latent_data)

    def read_hyper(where, lattice, scale_index, phase, shift):
        symbols = hyper_decoder.decode(scale_index, phase)
        if np.any(np.abs(symbols - shift) >= MAX_HYPER_SYMBOL):
            raise RdcError("section hyper-latent is damaged: a value is out of range")
        return symbols

    def read(where, sent, mean_fixed, step_fixed, scale_index, phase, shift):
        return decoder.decode(scale_index, phase)

    coded = _code(model, conditions, read_hyper, read, count_bits=False)
    hyper_decoder.finish()
    decoder.finish()
    return coded


def missing_latent(model: EntropyModel, conditions: Conditions) -> CodedLatent:
    """What the prior says where there are no data: every hyper-latent at its mean, all of the
    latent silent."""
    silent = dataclasses.replace(model, silent_scales=tables.NUM_SCALES)

    def nothing(*arguments):
        return np.zeros(arguments[-1].shape, np.int32)

    return _code(silent, conditions, nothing, nothing, count_bits=False)


def estimate_bits(model: EntropyModel, latent: np.ndarray, conditions: Conditions) -> float:
    """Bits of `encode_latent` without its bytes: ideal length of hyper-latent and latent."""
    coded = encode_latent(model, latent, conditions)[2]
    return coded.hyper_bits + coded.latent_bits


def _code(
    model: EntropyModel, conditions: Conditions, code_hyper, code_pass, *, count_bits: bool
) -> CodedLatent:
    """Walks through all symbols in coding order; see the module docstring."""
    network, c = model.network, model.network.latent_channels
    h, w = conditions.height, conditions.width
    table = condition_table(conditions.timesteps, len(conditions.timesteps))
    condition = table[conditions.levels].astype(np.float64)
    digest = hashlib.sha256()

    z, hyper_bits = code_hyper_latent(network, condition, code_hyper, digest, count_bits=count_bits)
    bits_map = np.zeros((h, w)) if count_bits else None
    features = network.hyper_synthesis(z, condition)[:h, :w]

    # Latent, pass by pass. Exact values carry 26 fractional bits, in units of latent_unit.
    levels = conditions.levels[:h, :w]
    step_fixed = model.step_fixed[conditions.timesteps][levels]
    log2_step = model.log2_step_fixed[conditions.timesteps][levels]
    phases = np.full((h, w, c), PLAIN_PHASE, np.uint8)
    shifts = np.zeros((h, w, c), np.int64)  # 64 times the dither
    if model.dither:
        origin = dict(row0=conditions.row0, col0=conditions.col0)
        phases = dither_phases(conditions.dither_seed, h, w, c, **origin)
        shifts = 2 * phases.astype(np.int64) + 1 - tables.NUM_PHASES
    exact = np.zeros((h, w, c), np.int64)
    known = np.zeros((h, w, c), np.int64)
    mean = np.zeros((h, w, c), np.int64)
    log2_scale = np.zeros((h, w, c), np.int64)
    for number, where in enumerate(network.passes(h, w)):
        if not where.any():
            continue
        context = (continued(known) if model.continued_context else known).astype(np.float64)
        mean[where], log2_scale[where] = network.pass_parameters(number, features, context, where)
        log2_ratio = log2_scale[where] - log2_step[where]
        scale_index = tables.scale_index_from_log2(log2_ratio, FRACTION_BITS)
        audible = scale_index >= model.silent_scales
        sent = np.flatnonzero(audible)  # of the pass's pixels x channels
        known_here = (mean, np.broadcast_to(step_fixed, mean.shape), phases, shifts)
        own_mean, own_step, phase, shift = (array[where] for array in known_here)
        sent_symbols = code_pass(
            where, sent, *(a.take(sent) for a in (own_mean, own_step, scale_index, phase, shift))
        )
        digest.update(np.ascontiguousarray(sent_symbols, "<i4").tobytes())
        symbols = np.zeros(audible.shape, np.int64)
        symbols.put(sent, sent_symbols)
        if count_bits:
            bits = tables.ideal_bits(symbols, scale_index, phase)
            bits_map[where] = (bits * audible).sum(-1)
        residual = own_step * ((symbols << DITHER_BITS) + shift)
        exact[where] = (own_mean << 16) + residual
        weight = interpolated_weight(model.shrink, log2_ratio.take(sent))
        own_mean.put(sent, own_mean.take(sent) + shrink_residual(residual.take(sent), weight))
        known[where] = own_mean

    unit = float(model.latent_unit)
    low, high = tables.MIN_LOG2_SCALE, tables.MIN_LOG2_SCALE + tables.NUM_SCALES / 6
    ratio = np.clip((log2_scale - log2_step) / ONE, low, high)
    return CodedLatent(
        yhat=(exact * (unit / 2 ** (STEP_BITS + DITHER_BITS))).astype(np.float32),
        mean=(mean * (unit / ONE)).astype(np.float32),
        scale=np.exp2(ratio + log2_step / ONE).astype(np.float32),
        hyper_bits=hyper_bits,
        latent_bits=float(bits_map.sum()) if count_bits else 0.0,
        bits_map=bits_map,
        symbol_hash=digest.hexdigest(),
    )


def continued(known: np.ndarray) -> np.ndarray:
    """Context int64 [h,w,C] with a row or column more after a side that is no multiple of 4.

    It repeats the last but one, whose pixels belong to the same passes. Training knows zeros beyond
    the latent only where the hyper-latent's cells end, too; within a cell a zero would be taken for
    a value, and a mean be wrong that nothing corrects where no symbol is sent.
    """
    for axis in (0, 1):
        size = known.shape[axis]
        if size % HYPER_DOWNSAMPLING and size > 1:
            known = np.concatenate([known, known.take([size - 2], axis)], axis)
    return known


def interpolated_weight(shrink: np.ndarray, log2_ratio: np.ndarray) -> np.ndarray:
    """Wiener weight at log2(s / Delta), both fixed point int64: linear between scale indexes.

    shrink: [80], 16 fractional bits, as the result; log2_ratio: 10 fractional bits.
    """
    place = tables.SCALES_PER_OCTAVE * (log2_ratio - tables.MIN_LOG2_SCALE * ONE)
    place = np.clip(place, 0, (tables.NUM_SCALES - 1) * ONE)
    index = np.minimum(place >> FRACTION_BITS, tables.NUM_SCALES - 2)
    rise = (shrink[index + 1] - shrink[index]) * (place - index * ONE)
    return shrink[index] + (rise + ONE // 2 >> FRACTION_BITS)


def shrink_residual(residual: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """int64 Wiener weight (0..2**16) x residual (26 fractional bits) -> 10 fractional bits.

    ((residual >> 12) weight + 2**19) >> 20; of weight 2**16 it is (residual + 2**15) >> 16.
    """
    # No overflow: steps are int32 and |64 k + 2 j - 31| < 2**26, so |residual| < 2**57 and the
    # product is at most 2**45 x 2**16 = 2**61.
    return ((residual >> 12) * weight + (1 << 19)) >> 20
