"""docs/bitstream.md, Integer network: numbers, layers, and the network with context.

A map is a list of rows, a row a list of pixels, a pixel a list of its channels' integers.
"""

from itertools import chain
from operator import mul

from tests.independent.weights import Array


def clip(a: int) -> int:
    return min(max(a, -(2**22)), 2**22)


def relu(x):
    return [[[max(0, a) for a in pixel] for pixel in row] for row in x]


def mean(x, f: int):
    """mean_f."""
    return [
        [
            [
                (2 * sum(x[y + i][u + j][c] for i in range(f) for j in range(f)) + f * f)
                // (2 * f * f)
                for c in range(len(x[0][0]))
            ]
            for u in range(0, len(x[0]), f)
        ]
        for y in range(0, len(x), f)
    ]


def d2s(x):
    n = len(x[0][0]) // 4
    out = [[None] * (2 * len(x[0])) for _ in range(2 * len(x))]
    for y, row in enumerate(x):
        for u, pixel in enumerate(row):
            for i in range(2):
                for j in range(2):
                    begin = (2 * i + j) * n
                    out[2 * y + i][2 * u + j] = pixel[begin : begin + n]
    return out


def join(*maps):
    """[a, b]: channels of one after those of the other."""
    return [
        [list(chain(*pixels)) for pixels in zip(*rows, strict=True)]
        for rows in zip(*maps, strict=True)
    ]


def columns_of(weight: Array) -> list[list[int]]:
    """Weights of each output channel, in the order (row, column, input channel)."""
    outputs = weight.shape[3]
    return [weight.values[o::outputs] for o in range(outputs)]


class Layers:
    def __init__(self, arrays: dict[str, Array]):
        self._arrays = arrays
        self._columns: dict[str, list[list[int]]] = {}

    def has(self, layer: str) -> bool:
        return f"network/{layer}.weight" in self._arrays

    def shift(self, layer: str) -> int:
        return self._arrays[f"network/{layer}.shift"].values[0]

    def bias(self, layer: str) -> list[int]:
        return self._arrays[f"network/{layer}.bias"].values

    def weight(self, layer: str) -> Array:
        return self._arrays[f"network/{layer}.weight"]

    def sums(self, layer: str, x, where=None):
        """Sums with bias, before shift and clip; None where a map `where` of bools is False."""
        weight, bias = self.weight(layer), self.bias(layer)
        if layer not in self._columns:
            self._columns[layer] = columns_of(weight)
        columns = self._columns[layer]
        k, inputs = weight.shape[0], weight.shape[2]
        zero, r = [0] * inputs, weight.shape[0] // 2
        height, width = len(x), len(x[0])
        out = []
        for y in range(height):
            row = []
            for u in range(width):
                if where is not None and not where[y][u]:
                    row.append(None)
                    continue
                patch = []
                for i in range(y - r, y - r + k):
                    for j in range(u - r, u - r + k):
                        patch += x[i][j] if 0 <= i < height and 0 <= j < width else zero
                assert len(patch) == len(columns[0])
                pairs = zip(columns, bias, strict=True)
                row.append([sum(map(mul, patch, column)) + b for column, b in pairs])
            out.append(row)
        return out

    def __call__(self, layer: str, x, where=None):
        shift = self.shift(layer)
        half = 1 << (shift - 1)
        return [
            [None if p is None else [clip((s + half) >> shift) for s in p] for p in row]
            for row in self.sums(layer, x, where)
        ]


class ContextNetwork:
    num_passes = 3

    def __init__(self, arrays: dict[str, Array]):
        self.layers = Layers(arrays)
        self.channels = len(self.layers.bias("pass0_1")) // 2
        continued = arrays.get("schedule/continued_context")
        self.continued = continued is not None and continued.values[0] == 1

    def codes(self, number: int, y: int, x: int) -> bool:
        """Whether a pass codes the pixel."""
        return number == ((0 if y % 2 == 0 else 1) if y % 2 == x % 2 else 2)

    def hyper_passes(self) -> int:
        return 3 if self.layers.has("hyper1_context") else 1

    def hyper_prior(self, cond):
        """(m0, v0) per cell of the hyper-latent, in maps."""
        x = self.layers("hyper_prior", mean(cond, 4))
        cz = len(x[0][0]) // 2
        return [[p[:cz] for p in row] for row in x], [[p[cz:] for p in row] for row in x]

    def hyper_log2_step(self, cond):
        """x per cell, or None."""
        if not self.layers.has("hyper_log2_step"):
            return None
        x = self.layers("hyper_log2_step", mean(cond, 4))
        return [[[min(max(a, -3072), 6144) for a in p] for p in row] for row in x]

    def hyper_parameters(self, number: int, prior, values, cond, where):
        """(M, v) of the cells that a pass codes, None at the others.

        values: Z at the cells of earlier passes, None at the others.
        """
        m0, v0 = prior
        if number:
            b = [
                [self.less_mean(z, m) for z, m in zip(*rows, strict=True)]
                for rows in zip(values, m0, strict=True)
            ]
            seen = self.layers(f"hyper{number}_context", b, where)
            x = self.layers(f"hyper{number}_0", mean(cond, 4), where)
            x = self.summed(x, seen)
            more = self.pointwise(f"hyper{number}_1", self.rectified(x))
        found = [[None] * len(row) for row in where]
        for y, row in enumerate(where):
            for u, is_here in enumerate(row):
                if is_here:
                    both = m0[y][u] + v0[y][u]
                    if number:
                        both = [clip(s + t) for s, t in zip(both, more[y][u], strict=True)]
                    cz = len(both) // 2
                    found[y][u] = [4 * m for m in both[:cz]], both[cz:]
        return found

    def less_mean(self, z, m0):
        """B of a cell."""
        if z is None:
            return [0] * len(m0)
        return [clip((a - 4 * m + 2) >> 2) for a, m in zip(z, m0, strict=True)]

    def summed(self, *maps):
        """Clipped sums of two maps, None where they are."""
        return [
            [p and [clip(s + t) for s, t in zip(p, q, strict=True)] for p, q in pixels]
            for pixels in (zip(*rows, strict=True) for rows in zip(*maps, strict=True))
        ]

    def features(self, z, cond, h: int, w: int):
        """z: Z of all cells."""
        start = [[[clip((a + 2) >> 2) for a in pixel] for pixel in row] for row in z]
        a = relu(self.layers("synthesis_0", join(start, mean(cond, 4))))
        a = d2s(relu(self.layers("synthesis_1", a)))
        a = relu(self.layers("synthesis_2", join(a, mean(cond, 2))))
        a = d2s(relu(self.layers("synthesis_3", a)))
        return [row[:w] for row in join(a, cond)[:h]]

    def parameters(self, number: int, features, context, where):
        """(M, V) per pixel, in one map of pairs; None where the pass codes nothing.

        context: A on the h x w grid.
        """
        here = [
            [p if is_here else None for p, is_here in zip(*rows, strict=True)]
            for rows in zip(features, where, strict=True)
        ]
        if number == 0:
            x = self.pointwise("pass0_1", self.rectified(self.pointwise("pass0_0", here)))
        else:
            h, w = len(features), len(features[0])
            a = [list(row) for row in context]
            if self.continued and h % 4 and h != 1:
                a.append(a[h - 2])
            if self.continued and w % 4 and w != 1:
                a = [[*row, row[w - 2]] for row in a]
            outside = [
                [y < h and u < w and where[y][u] for u in range(len(a[0]))] for y in range(len(a))
            ]
            seen = self.layers(f"pass{number}_context", a, outside)
            x = self.pointwise(f"pass{number}_0", here)
            x = [
                [
                    None if p is None else [max(0, clip(s + t)) for s, t in zip(p, q, strict=True)]
                    for p, q in zip(row, seen_row, strict=False)
                ]
                for row, seen_row in zip(x, seen, strict=False)
            ]
            x = self.pointwise(f"pass{number}_1", x)
            x = self.pointwise(f"pass{number}_2", self.rectified(x))
        c = self.channels
        return [[p and (p[:c], p[c:]) for p in row] for row in x]

    def pointwise(self, layer: str, x):
        """A layer of kernel size 1 on some pixels."""
        assert self.layers.weight(layer).shape[0] == 1
        return self.layers(layer, x, [[p is not None for p in row] for row in x])

    def rectified(self, x):
        return [[p and [max(0, a) for a in p] for p in row] for row in x]
