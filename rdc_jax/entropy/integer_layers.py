"""Layers in exact fixed-point arithmetic, NumPy only, and the conversion from float kernels.

Weights are integers below 2**15. Activations are integers with FRACTION_BITS fractional bits,
clipped to +-2**22. A sum of at most 2**15 products stays below 2**53, so float64 holds every
partial sum exactly.

    activation  a: value a / 2**10
    weight      w: value w / 2**shift, per layer; bias at 2**(10 + shift)
    layer       out = clip(floor((sum w a + b + 2**(shift - 1)) / 2**shift)), then ReLU if hidden
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from rdc_jax.entropy.accumulator_bounds import EXACT_LIMIT
from rdc_jax.errors import RdcError

FRACTION_BITS = 10
ONE = 1 << FRACTION_BITS
ACTIVATION_LIMIT = 1 << 22
WEIGHT_LIMIT = 1 << 15
MAX_SHIFT = 20
_STRIPE_ROWS = 64  # a convolution gathers its patches this many rows at a time, to save memory


@dataclasses.dataclass(frozen=True)
class IntegerConv:
    """One convolution in integers.

    Attributes:
        weight: integers in float64 [k,k,c_in,c_out].
        bias: integers in float64 [c_out].
        shift: The weights have this many fractional bits.
    """

    weight: np.ndarray
    bias: np.ndarray
    shift: int

    def accumulate(self, x: np.ndarray, stride: int = 1) -> np.ndarray:
        """Returns exact sums before the shift, [h',w',c_out], of x [h,w,c_in].

        The zero padding is k // 2 on all sides.
        """
        return self._sums(x, stride, self.bias)

    def _sums(self, x: np.ndarray, stride: int, offset: np.ndarray) -> np.ndarray:
        """Like `accumulate`, with an offset [c_out] instead of the bias."""
        k, _, c_in, c_out = self.weight.shape
        if k == 1:
            flat = x.reshape(-1, c_in) @ self.weight[0, 0]
            flat += offset
            return flat.reshape(*x.shape[:-1], c_out)
        h, w, _ = x.shape
        padded = np.pad(x, ((k // 2, k // 2), (k // 2, k // 2), (0, 0)))
        out = np.empty((-(-h // stride), -(-w // stride), c_out))
        kernel = self.weight.reshape(k * k * c_in, c_out)
        rows = _STRIPE_ROWS // stride
        for top in range(0, out.shape[0], rows):
            stripe = padded[top * stride : (top + rows) * stride + k - stride]
            windows = np.lib.stride_tricks.sliding_window_view(stripe, (k, k), (0, 1))
            windows = windows[::stride, ::stride].transpose(0, 1, 3, 4, 2)
            patches = windows.reshape(-1, k * k * c_in)
            np.matmul(patches, kernel, out=out[top : top + rows].reshape(-1, c_out))
        out += offset
        return out

    def accumulate_at(self, x: np.ndarray, where: np.ndarray) -> np.ndarray:
        """Like `accumulate`, but only at some pixels.

        Taps that see only zeros are left out, which does not change an exact sum.

        Args:
            x: Activations [h,w,c_in].
            where: bool [h or less,w or less], the P pixels.

        Returns:
            float64 [P,c_out].
        """
        k = self.weight.shape[0]
        padded = np.pad(x, ((k // 2, k // 2), (k // 2, k // 2), (0, 0)))
        rows, columns = np.nonzero(where)
        total = np.tile(self.bias, (rows.size, 1))
        alive, pixels = padded.any(-1).reshape(-1), padded.reshape(-1, x.shape[-1])
        for i in range(k):
            for j in range(k):
                seen = (rows + i) * padded.shape[1] + columns + j
                if alive.take(seen).any():
                    total += pixels.take(seen, 0) @ self.weight[i, j]
        return total

    def rescale(self, total: np.ndarray) -> np.ndarray:
        """Returns the activations of sums: shifted with rounding, then clipped."""
        return self._shifted(total + 2.0 ** (self.shift - 1), -ACTIVATION_LIMIT)

    def _shifted(self, total: np.ndarray, least: int) -> np.ndarray:
        """Shifts sums in place, after half a unit was added, and clips from `least` on."""
        total *= 2.0**-self.shift
        np.floor(total, out=total)
        return np.clip(total, least, ACTIVATION_LIMIT, out=total)

    def __call__(
        self, x: np.ndarray, stride: int = 1, least: int = -ACTIVATION_LIMIT
    ) -> np.ndarray:
        """Applies the layer to x [h,w,c_in].

        Args:
            x: Activations, integers in float64.
            stride: Input pixels per output pixel along a side.
            least: Smallest activation; 0 makes a ReLU.

        Returns:
            Activations [h',w',c_out].
        """
        return self._shifted(self._sums(x, stride, self.bias + 2.0 ** (self.shift - 1)), least)


def quantize_convolution(kernel: np.ndarray, bias: np.ndarray | None) -> dict[str, np.ndarray]:
    """Converts a float kernel and bias to the integer arrays that are stored with the weights.

    The shift is the largest one, at most MAX_SHIFT, that keeps every weight below 2**15.

    Args:
        kernel: [k,k,c_in,c_out].
        bias: [c_out], or None for zeros.

    Returns:
        {"weight": int16, "bias": int64, "shift": int16 [1]}.
    """
    kernel = np.asarray(kernel, np.float64)
    peak = max(float(np.max(np.abs(kernel))), 2.0**-30)
    shift = int(np.clip(np.floor(np.log2((WEIGHT_LIMIT - 1) / peak)), 1, MAX_SHIFT))
    bias = np.zeros(kernel.shape[-1]) if bias is None else np.asarray(bias, np.float64)
    return {
        "weight": np.rint(kernel * 2.0**shift).astype(np.int16),
        "bias": np.rint(bias * 2.0 ** (shift + FRACTION_BITS)).astype(np.int64),
        "shift": np.array([shift], np.int16),
    }


def area_pool(x: np.ndarray, factor: int) -> np.ndarray:
    """Returns the rounded mean over factor x factor areas of integers in float64 [h,w,c]."""
    h, w, c = x.shape
    total = x.reshape(h // factor, factor, w // factor, factor, c).sum((1, 3))
    count = factor * factor
    return np.floor((total + count / 2) / count)


def depth_to_space(x: np.ndarray, factor: int) -> np.ndarray:
    """Rearranges [h,w,f*f*c] to [h*f,w*f,c]."""
    h, w, _ = x.shape
    x = x.reshape(h, w, factor, factor, -1).transpose(0, 2, 1, 3, 4)
    return x.reshape(h * factor, w * factor, -1)


def checked_layer(
    layer: str, arrays: Mapping[str, np.ndarray], kernels: tuple[int, ...] = (1, 3)
) -> IntegerConv:
    """Builds a layer after checking that no sum over clipped activations can reach 2**53.

    Args:
        layer: Name of the layer.
        arrays: Arrays "layer.weight", "layer.bias" and "layer.shift" by name.
        kernels: Allowed kernel sizes.

    Raises:
        RdcError: the arrays are damaged, or sums could overflow.
    """
    weight, bias, shift = (arrays[f"{layer}.{part}"] for part in ("weight", "bias", "shift"))
    types_fit = (weight.dtype, bias.dtype, shift.dtype) == (np.int16, np.int64, np.int16)
    shapes_fit = weight.ndim == 4 and bias.shape == weight.shape[-1:] and shift.shape == (1,)
    if not types_fit or not shapes_fit or not weight.size or weight.shape[0] != weight.shape[1]:
        raise RdcError(f"the integer network of these weights is damaged: check {layer!r}")
    if weight.shape[0] not in kernels or not 1 <= int(shift[0]) <= MAX_SHIFT:
        raise RdcError(f"the integer network of these weights is damaged: check {layer!r}")
    sizes = np.abs(weight.astype(np.int64)).sum((0, 1, 2)).tolist()
    for size, offset in zip(sizes, bias.tolist(), strict=True):  # Python integers do not overflow
        if size * ACTIVATION_LIMIT + abs(offset) + (1 << MAX_SHIFT) >= EXACT_LIMIT:
            raise RdcError(f"layer {layer!r} of these weights could overflow exact arithmetic")
    return IntegerConv(weight.astype(np.float64), bias.astype(np.float64), int(shift[0]))
