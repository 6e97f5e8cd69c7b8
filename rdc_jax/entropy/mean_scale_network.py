"""The mean-scale hyperprior's network in exact fixed-point arithmetic, NumPy only.

These are h_a and h_s of `rdc_jax.models.mean_scale`, layer for layer, with the exact arithmetic of
`rdc_jax.entropy.integer_layers`. In addition there are

    leaky ReLU   a < 0 becomes floor((41 a + 2^11) / 2^12), a slope of 0.01001
    up layers    stored as 5x5 kernels, run as 3x3 with four times the channels and depth-to-space
    scales       16 fractional bits, bounded below, then log2 by comparison with stored integers

A single pass codes all latent pixels. The condition (timestep, importance) is not used.
"""

from collections.abc import Mapping

import numpy as np

from rdc_jax.entropy.accumulator_bounds import Bounds, Interval, constant
from rdc_jax.entropy.integer_layers import (
    ACTIVATION_LIMIT,
    FRACTION_BITS,
    ONE,
    IntegerConv,
    checked_layer,
    depth_to_space,
    quantize_convolution,
)
from rdc_jax.entropy.integer_network import MAX_HYPER_SYMBOL
from rdc_jax.errors import RdcError

KERNELS = {"h_a_0": 3, "h_a_2": 5, "h_a_4": 5, "h_s_0": 5, "h_s_2": 5, "h_s_4": 3}
UP = ("h_s_0", "h_s_2")
LEAK, LEAK_BITS = 41, 12
SCALE_BITS = 16  # fractional bits of a scale before its logarithm
MAX_SCALE = 1 << 40
MANTISSA_BITS = 30
VECTORS = ("z_mean", "z_log2_scale", "z_median")  # int64 [Cz], 10 fractional bits
SCALARS = ("scale_bound", "scale_log2_unit")  # int64 [1]


def quantize_mean_scale(
    params: Mapping[str, Mapping[str, np.ndarray]],
    latent_unit: float,
    scale_bound: float,
    hyper_gain: float,
) -> dict[str, np.ndarray]:
    """Converts the float network to the arrays of `IntegerMeanScale`.

    The gain of z moves into the kernels before and after it. The median of z moves into the last
    bias of h_a.

    Args:
        params: Parameters of the float network by layer and name.
        latent_unit: Unit of the latent, a power of two.
        scale_bound: Smallest scale.
        hyper_gain: Gain of z.

    Returns:
        Integer arrays by name.
    """
    layers = {layer: (_float64(params, layer, "kernel"), _float64(params, layer, "bias"))
              for layer in KERNELS}  # fmt: skip
    median = _float64(params, "z_prior", "median")
    kernel, bias = layers["h_a_4"]
    layers["h_a_4"] = kernel * hyper_gain, bias * hyper_gain - median
    kernel, bias = layers["h_s_0"]
    layers["h_s_0"] = kernel / hyper_gain, bias
    arrays = {
        f"{layer}.{name}": array
        for layer, floats in layers.items()
        for name, array in quantize_convolution(*floats).items()
    }
    for name in VECTORS:
        value = _float64(params, "z_prior", name.removeprefix("z_"))
        arrays[name] = np.rint(value * ONE).astype(np.int64)
    unit = int(np.log2(latent_unit)) - SCALE_BITS
    return arrays | {
        "scale_bound": np.array([max(1, round(scale_bound * 2**SCALE_BITS))], np.int64),
        "scale_log2_unit": np.array([unit << FRACTION_BITS], np.int64),
        "log2_thresholds": log2_thresholds(),
    }


def log2_thresholds() -> np.ndarray:
    """Returns the smallest mantissas whose log2 rounds to 1/1024, 2/1024, ..., 1.

    The result is int32 [1024] with 30 fractional bits. It is made once, when a model is exported,
    and stored. A decoder never calls this function.
    """
    exponent = (np.arange(ONE) + 0.5) / ONE
    return np.ceil(np.exp2(MANTISSA_BITS + exponent)).astype(np.int32)


def integer_log2(value: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns log2 of int64 values in 1..2**40, by comparisons only.

    The result is int64 with 10 fractional bits.
    """
    exponent = np.frexp(value.astype(np.float64))[1].astype(np.int64) - 1
    up = np.maximum(MANTISSA_BITS - exponent, 0)
    down = np.maximum(exponent - MANTISSA_BITS, 0)
    mantissa = (value << up) >> down
    return (exponent << FRACTION_BITS) + np.searchsorted(thresholds, mantissa, side="right")


def leaky_relu(x: np.ndarray) -> np.ndarray:
    """Applies a leaky ReLU to integers in float64. It is exact because |41 a| < 2**28."""
    leaked = np.floor((LEAK * x + 2.0 ** (LEAK_BITS - 1)) * 2.0**-LEAK_BITS)
    return np.where(x < 0, leaked, x)


def phase_kernel(weight: np.ndarray) -> np.ndarray:
    """Converts an upsampling kernel [5,5,c,o] to [3,3,c,4 o].

    The output channels are (row phase, column phase, o). Phase p of output 2 u + p has the tap
    k = p + 2 - 2 d at input u + d, with d = -1, 0, 1. The tap k = 5 is 0.
    """
    _, _, c, o = weight.shape
    padded = np.pad(weight, ((0, 1), (0, 1), (0, 0), (0, 0)))
    phases = padded.reshape(3, 2, 3, 2, c, o).transpose(0, 2, 4, 1, 3, 5)[::-1, ::-1]
    return phases.reshape(3, 3, c, 4 * o)


class IntegerMeanScale:
    """The network in integers, with the interface of `IntegerHyperprior`.

    All activations are integers with 10 fractional bits in float64 [h,w,c]. Latents and means are
    in units of latent_unit, which means that their float values are divided by it.

    Attributes:
        latent_channels: Number of channels of the latent.
        hyper_channels: Number of channels of the hyper-latent z.
        bounds: Largest magnitude of each layer's sums, see `accumulator_bounds`.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        """Builds the network from the arrays of `quantize_mean_scale`.

        Raises:
            RdcError: the arrays are incomplete, do not fit each other, or sums could overflow.
        """
        expected = {f"{layer}.{part}" for layer in KERNELS for part in ("weight", "bias", "shift")}
        expected |= {*VECTORS, *SCALARS, "log2_thresholds"}
        if set(arrays) != expected:
            raise _damaged(sorted(expected ^ set(arrays))[0])
        self._layers = {layer: _checked(layer, arrays) for layer in KERNELS}
        if self._layers["h_s_4"].bias.size % 2:
            raise _damaged("h_s_4")
        self.latent_channels = self._layers["h_s_4"].bias.size // 2
        self.hyper_channels = self._layers["h_a_4"].bias.size
        for name in VECTORS + SCALARS:
            shape = (self.hyper_channels,) if name in VECTORS else (1,)
            if arrays[name].dtype != np.int64 or arrays[name].shape != shape:
                raise _damaged(name)
            if max(map(abs, arrays[name].tolist())) > ACTIVATION_LIMIT:
                raise _damaged(name)
        thresholds = arrays["log2_thresholds"]
        if thresholds.dtype != np.int32 or thresholds.shape != (ONE,):
            raise _damaged("log2_thresholds")
        if thresholds[0] < 1 << MANTISSA_BITS or np.any(np.diff(thresholds.astype(np.int64)) <= 0):
            raise _damaged("log2_thresholds")
        self._thresholds = thresholds.astype(np.int64)
        self._z_mean, self._z_log2_scale, self._z_median = (arrays[name] for name in VECTORS)
        self._scale_bound, self._scale_log2_unit = (int(arrays[name][0]) for name in SCALARS)
        if self._scale_bound < 1:
            raise _damaged("scale_bound")
        self.bounds = self._bounds()

    def _bounds(self) -> dict[str, dict[str, int]]:
        """Returns bounds on each layer's sums. Raises RdcError if layers do not fit each other."""
        layer = Bounds(self._layers, ACTIVATION_LIMIT)
        x = constant(-ACTIVATION_LIMIT, ACTIVATION_LIMIT, self.latent_channels)
        layer("h_a_4", _leaky(layer("h_a_2", _leaky(layer("h_a_0", x)))))
        z = (MAX_HYPER_SYMBOL - 1) << FRACTION_BITS
        x = Interval(self._z_median - z, self._z_median + z).clip(ACTIVATION_LIMIT)
        for name in UP:
            x = _leaky(layer(name, x).depth_to_space())
        layer("h_s_4", x)
        return layer.record

    def passes(self, height: int, width: int) -> list[np.ndarray]:
        """Returns the pixels that each pass codes: a single pass with all, bool [h,w]."""
        return [np.ones((height, width), bool)]

    def hyper_analysis(self, latent: np.ndarray, condition: np.ndarray) -> np.ndarray:
        """Computes the hyper-latent z.

        Args:
            latent: [h,w,C], 10 fractional bits, h and w multiples of 4.
            condition: Not used.

        Returns:
            int64 [h/4,w/4,Cz] with 10 fractional bits.
        """
        x = np.clip(latent, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)
        x = leaky_relu(self._layers["h_a_2"](leaky_relu(self._layers["h_a_0"](x)), 2))
        return self._layers["h_a_4"](x, 2).astype(np.int64)

    def hyper_latent_prior(self, condition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and log2 scale of z, int64 [h/4,w/4,Cz] with 10 fractional bits."""
        h, w, _ = condition.shape
        shape = (h // 4, w // 4, self.hyper_channels)
        return np.broadcast_to(self._z_mean, shape), np.broadcast_to(self._z_log2_scale, shape)

    def hyper_log2_step(self, condition: np.ndarray) -> None:
        """Returns None: z has no learnt step and is rounded to integers."""

    def hyper_passes(self, height: int, width: int) -> list[np.ndarray]:
        """Returns the cells of z that each pass codes: a single pass with all."""
        return self.passes(height, width)

    def hyper_synthesis(self, z: np.ndarray, condition: np.ndarray) -> np.ndarray:
        """Computes the exact sums [h,w,2C] of the last layer, before its shift.

        Args:
            z: int64 [h/4,w/4,Cz] with 10 fractional bits.
            condition: Not used.
        """
        x = np.clip(z + self._z_median, -ACTIVATION_LIMIT, ACTIVATION_LIMIT).astype(np.float64)
        for layer in UP:
            x = depth_to_space(leaky_relu(self._layers[layer](x)), 2)
        return self._layers["h_s_4"].accumulate(x)

    def pass_parameters(
        self, number: int, features: np.ndarray, known: np.ndarray, where: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and log2 scale of the P latent pixels of the single pass.

        Args:
            number: Not used; there is a single pass.
            features: Sums from `hyper_synthesis`.
            known: Not used; no values are known before the single pass.
            where: bool [h,w], the pixels.

        Returns:
            Mean and log2 scale, int64 [P,C] with 10 fractional bits.
        """
        scale_sum, mean_sum = np.split(features[where], 2, axis=-1)
        last = self._layers["h_s_4"]
        # Sums are below 2**53, so six more bits fit int64.
        total = scale_sum.astype(np.int64) << (SCALE_BITS - FRACTION_BITS)
        scale = (total + (1 << (last.shift - 1))) >> last.shift
        log2_scale = integer_log2(np.clip(scale, self._scale_bound, MAX_SCALE), self._thresholds)
        return last.rescale(mean_sum).astype(np.int64), log2_scale + self._scale_log2_unit


def _checked(layer: str, arrays: Mapping[str, np.ndarray]) -> IntegerConv:
    """Builds a checked layer. Upsampling kernels are converted to four phases."""
    weight, bias = arrays[f"{layer}.weight"], arrays[f"{layer}.bias"]
    if weight.ndim != 4 or bias.ndim != 1 or weight.shape[:2] != (KERNELS[layer],) * 2:
        raise _damaged(layer)
    if layer not in UP:
        return checked_layer(layer, arrays, (3, 5))
    phases = {
        f"{layer}.weight": phase_kernel(weight),
        f"{layer}.bias": np.tile(bias, 4),
        f"{layer}.shift": arrays[f"{layer}.shift"],
    }
    return checked_layer(layer, phases, (3,))


def _leaky(x: Interval) -> Interval:
    return Interval(*(leaky_relu(end.astype(np.float64)).astype(np.int64) for end in x))


def _float64(params: Mapping[str, Mapping[str, np.ndarray]], layer: str, name: str) -> np.ndarray:
    return np.asarray(params[layer][name], np.float64)


def _damaged(name: str) -> RdcError:
    return RdcError(f"the integer network of these weights is damaged: check {name!r}")
