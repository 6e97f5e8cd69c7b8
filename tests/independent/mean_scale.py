"""docs/bitstream.md, Mean-scale network."""

from bisect import bisect_right
from operator import mul

from tests.independent.network import Layers, clip
from tests.independent.weights import Array


def leaky(x):
    return [[[a if a >= 0 else (41 * a + 2**11) >> 12 for a in p] for p in row] for row in x]


class MeanScaleNetwork:
    num_passes = 1

    def __init__(self, arrays: dict[str, Array]):
        self.layers = Layers(arrays)
        self.channels = len(self.layers.bias("h_s_4")) // 2
        self.vectors = {
            name: arrays[f"network/{name}"].values
            for name in ("z_mean", "z_log2_scale", "z_median", "scale_bound", "scale_log2_unit")
        }
        self.thresholds = arrays["network/log2_thresholds"].values

    def codes(self, number: int, y: int, x: int) -> bool:
        return True

    def hyper_passes(self) -> int:
        return 1

    def hyper_log2_step(self, cond):
        return None

    def hyper_parameters(self, number: int, prior, values, cond, where):
        return [list(zip(*rows, strict=True)) for rows in zip(*prior, strict=True)]

    def hyper_prior(self, cond):
        rows, columns = len(cond) // 4, len(cond[0]) // 4
        return tuple(
            [[self.vectors[name]] * columns for _ in range(rows)]
            for name in ("z_mean", "z_log2_scale")
        )

    def up(self, layer: str, a):
        """Transposed convolution of stride 2, by its sum in the document."""
        weight, bias = self.layers.weight(layer), self.layers.bias(layer)
        size, _, inputs, outputs = weight.shape
        shift = self.layers.shift(layer)
        half = 1 << (shift - 1)

        def tap(k, m, o):
            if k == 5 or m == 5:
                return [0] * inputs
            begin = (k * size + m) * inputs * outputs
            return weight.values[begin + o : begin + inputs * outputs : outputs]

        taps = [[[tap(k, m, o) for o in range(outputs)] for m in range(6)] for k in range(6)]
        height, width = len(a), len(a[0])
        out = [[None] * (2 * width) for _ in range(2 * height)]
        for y in range(height):
            for x in range(width):
                for p in (0, 1):
                    for q in (0, 1):
                        sums = list(bias)
                        for i in (-1, 0, 1):
                            for j in (-1, 0, 1):
                                if 0 <= y + i < height and 0 <= x + j < width:
                                    kernel = taps[p + 2 - 2 * i][q + 2 - 2 * j]
                                    for o in range(outputs):
                                        sums[o] += sum(map(mul, kernel[o], a[y + i][x + j]))
                        out[2 * y + p][2 * x + q] = [clip((s + half) >> shift) for s in sums]
        return out

    def features(self, z, cond, h: int, w: int):
        median = self.vectors["z_median"]
        a = [[[clip(k + m) for k, m in zip(p, median, strict=True)] for p in row] for row in z]
        a = leaky(self.up("h_s_2", leaky(self.up("h_s_0", a))))
        return [row[:w] for row in self.layers.sums("h_s_4", a)[:h]]

    def parameters(self, number: int, features, context, where):
        return [[self._pixel(sums) for sums in row] for row in features]

    def _pixel(self, sums: list[int]) -> tuple[list[int], list[int]]:
        b, c = self.layers.shift("h_s_4"), self.channels
        half = 1 << (b - 1)
        bound, unit = self.vectors["scale_bound"][0], self.vectors["scale_log2_unit"][0]
        means = [clip((s + half) >> b) for s in sums[c:]]
        log2_scales = []
        for total in sums[:c]:
            s = min(max((64 * total + half) >> b, bound), 2**40)
            e = s.bit_length() - 1
            m = s << (30 - e) if e <= 30 else s >> (e - 30)
            log2_scales.append(1024 * e + bisect_right(self.thresholds, m) + unit)
        return means, log2_scales
