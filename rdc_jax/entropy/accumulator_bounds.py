"""Proven bounds on the sums inside an integer network, for any input.

The proof is interval arithmetic over the actual weights. Every activation has an interval per
channel that holds for every file and image: a hat function is in 0..2**10, clipped values are
within +-2**22, and rectified values are not negative. A layer maps the intervals of its inputs to
the intervals of its outputs.

The bound of a layer is the largest sum, over its output channels, of |weight| x |input| plus bias
and rounding. It bounds every partial sum in every order of summation, so float64 is exact below
2**53. This is the bound `reachable`. The bound `checked` is simpler and weaker: all inputs are at
the clip. It decides whether weights are refused.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rdc_jax.errors import RdcError

EXACT_LIMIT = 1 << 53


class Interval(NamedTuple):
    """Smallest and largest integer that an activation can be, int64 [c] each."""

    low: np.ndarray
    high: np.ndarray

    def relu(self) -> "Interval":
        """Interval after a ReLU."""
        return Interval(np.maximum(self.low, 0), np.maximum(self.high, 0))

    def clip(self, limit: int) -> "Interval":
        """Interval after clipping to +-limit."""
        return Interval(np.clip(self.low, -limit, limit), np.clip(self.high, -limit, limit))

    def plus(self, other: "Interval") -> "Interval":
        """Interval of the sum. Raises RdcError if the numbers of channels differ."""
        if self.low.size != other.low.size:
            raise RdcError("the integer network of these weights is damaged: layers do not fit")
        return Interval(self.low + other.low, self.high + other.high)

    def with_channels_of(self, other: "Interval") -> "Interval":
        """Interval of concatenated channels."""
        pairs = zip(self, other, strict=True)
        return Interval(*(np.concatenate(pair) for pair in pairs))

    def depth_to_space(self) -> "Interval":
        """Intervals after depth-to-space by 2 x 2, which merges four groups of channels."""
        if self.low.size % 4:
            raise RdcError("the integer network of these weights is damaged: layers do not fit")
        return Interval(self.low.reshape(4, -1).min(0), self.high.reshape(4, -1).max(0))


def constant(low: int, high: int, channels: int) -> Interval:
    """Returns the same interval for all channels."""
    return Interval(np.full(channels, low, np.int64), np.full(channels, high, np.int64))


class Bounds:
    """Follows intervals through the layers of a network and records each layer's bound.

    Attributes:
        record: Bounds "checked" and "reachable" of each layer, by its name.
    """

    def __init__(self, layers: Mapping, limit: int):
        """Starts with an empty record.

        Args:
            layers: IntegerConv by name, each below 2**53 with all inputs at `limit`.
            limit: Activations are clipped to +-limit.
        """
        self._layers, self._limit = layers, limit
        self.record: dict[str, dict[str, int]] = {}

    def __call__(self, name: str, x: Interval) -> Interval:
        """Returns the intervals after a layer, shifted and clipped, and records its bound.

        Raises:
            RdcError: the number of channels of `x` does not fit the layer.
        """
        layer = self._layers[name]
        weight, bias = layer.weight.astype(np.int64), layer.bias.astype(np.int64)
        if weight.shape[2] != x.low.size:
            raise RdcError(f"the integer network of these weights is damaged: check {name!r}")
        if weight.shape[0] > 1:  # a kernel larger than 1 x 1 also sees the zero padding
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
        """Like calling the layer, with a ReLU after it."""
        return self(name, x).relu()
