"""How large the sums of an integer network can become, for any input: a proof, not a measurement.

Interval arithmetic over the actual weights. Every activation has an interval per channel that holds
for every file and picture (a hat function is 0..2**10, what is clipped is within +-2**22, what is
rectified is not negative), and a layer turns the intervals of its inputs into those of its outputs.
The bound of a layer is the largest sum over its output channels of |weight| x |input|, plus bias
and rounding: it bounds every partial sum in every order, so below 2**53 float64 is exact. `checked`
is the weaker, simpler bound with all inputs at the clip, which decides whether weights are refused.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rdc_jax.errors import RdcError

EXACT_LIMIT = 1 << 53


class Interval(NamedTuple):
    """Least and largest integer that an activation can be, int64 [c] each."""

    low: np.ndarray
    high: np.ndarray

    def relu(self) -> "Interval":
        return Interval(np.maximum(self.low, 0), np.maximum(self.high, 0))

    def clip(self, limit: int) -> "Interval":
        return Interval(np.clip(self.low, -limit, limit), np.clip(self.high, -limit, limit))

    def plus(self, other: "Interval") -> "Interval":
        if self.low.size != other.low.size:
            raise RdcError("the integer network of these weights is damaged: layers do not fit")
        return Interval(self.low + other.low, self.high + other.high)

    def with_channels_of(self, other: "Interval") -> "Interval":
        pairs = zip(self, other, strict=True)
        return Interval(*(np.concatenate(pair) for pair in pairs))

    def depth_to_space(self) -> "Interval":
        """Of 2 x 2: four groups of channels become one."""
        if self.low.size % 4:
            raise RdcError("the integer network of these weights is damaged: layers do not fit")
        return Interval(self.low.reshape(4, -1).min(0), self.high.reshape(4, -1).max(0))


def constant(low: int, high: int, channels: int) -> Interval:
    """One interval for all channels."""
    return Interval(np.full(channels, low, np.int64), np.full(channels, high, np.int64))


class Bounds:
    """Follows intervals through the layers of a network and keeps each layer's bound.

    layers: name -> IntegerConv, each below 2**53 with all inputs at `limit`, the activations' clip.
    """

    def __init__(self, layers: Mapping, limit: int):
        self._layers, self._limit = layers, limit
        self.record: dict[str, dict[str, int]] = {}

    def __call__(self, name: str, x: Interval) -> Interval:
        """Activations after a layer, shifted and clipped. Raises RdcError if x does not fit it."""
        layer = self._layers[name]
        weight, bias = layer.weight.astype(np.int64), layer.bias.astype(np.int64)
        if weight.shape[2] != x.low.size:
            raise RdcError(f"the integer network of these weights is damaged: check {name!r}")
        if weight.shape[0] > 1:  # zeros outside
            x = Interval(np.minimum(x.low, 0), np.maximum(x.high, 0))
        half = 1 << (layer.shift - 1)
        negative, positive = np.minimum(weight, 0).sum((0, 1)), np.maximum(weight, 0).sum((0, 1))
        size = positive - negative  # sum of |weight| over the kernel, [c_in, c_out]
        fixed = np.abs(bias) + half
        self.record[name] = {
            "checked": int((self._limit * size.sum(0) + fixed).max()),
            "reachable": int((np.maximum(-x.low, x.high) @ size + fixed).max()),
        }
        low = x.low @ positive + x.high @ negative + bias
        high = x.high @ positive + x.low @ negative + bias
        return Interval((low + half) >> layer.shift, (high + half) >> layer.shift).clip(self._limit)

    def hidden(self, name: str, x: Interval) -> Interval:
        """The same with ReLU."""
        return self(name, x).relu()
