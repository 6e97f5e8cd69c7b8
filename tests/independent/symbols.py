"""docs/bitstream.md, Probability tables and Symbol streams."""

from bisect import bisect_right
from itertools import accumulate

from tests.independent.container import Damaged

MASK = 2**64 - 1
BIT = [0, 2**23, 2**24]
OCTET = [i << 16 for i in range(257)]


class Tables:
    def __init__(self, arrays):
        self.lowest = arrays["tables/lowest"].values
        self._offsets = arrays["tables/offsets"].values
        self._counts = arrays["tables/counts"].values
        self._cumulative = {}

    def size(self, n: int) -> int:
        return self._offsets[n + 1] - self._offsets[n]

    def cumulative(self, n: int) -> list[int]:
        if n not in self._cumulative:
            counts = self._counts[self._offsets[n] : self._offsets[n + 1]]
            assert sum(counts) == 65536 and min(counts) >= 1
            self._cumulative[n] = [256 * c for c in accumulate(counts, initial=0)]
        return self._cumulative[n]


def scale_index(x: int, f: int) -> int:
    return min(max((12 * x + 84 * 2**f + 2**f) >> (f + 1), 0), 79)


class SymbolStream:
    def __init__(self, payload: bytes, tables: Tables):
        if payload[-1:] == b"\0":
            raise Damaged("a stream ends in a zero byte")
        self.tables = tables
        payload += bytes(-len(payload) % 4)
        self.words = [int.from_bytes(payload[i : i + 4], "big") for i in range(0, len(payload), 4)]
        self.taken = 0
        self.lower, self.extent = 0, 2**64 - 1
        self.point = self.word() << 32
        self.point |= self.word()

    def word(self) -> int:
        self.taken += 1
        return self.words[self.taken - 1] if self.taken <= len(self.words) else 0

    def entry(self, cumulative: list[int]) -> int:
        scale = self.extent >> 24
        quantile = ((self.point - self.lower) & MASK) // scale
        if quantile >= 2**24:
            raise Damaged("quantile")
        s = bisect_right(cumulative, quantile) - 1
        self.lower = (self.lower + scale * cumulative[s]) & MASK
        self.extent = scale * (cumulative[s + 1] - cumulative[s])
        if self.extent < 2**32:
            self.lower = (self.lower << 32) & MASK
            self.extent <<= 32
            self.point = ((self.point << 32) & MASK) | self.word()
        return s

    def read_pass(self, conditions: list[tuple[int, int]]) -> list[int]:
        """Symbols of (scale index, phase) pairs, in their order."""
        folded_tables = [16 * i + min(j, 31 - j) for i, j in conditions]
        order = sorted(range(len(conditions)), key=lambda place: folded_tables[place])
        folded, escapes = [0] * len(conditions), []
        for place in order:
            n = folded_tables[place]
            s = self.entry(self.tables.cumulative(n))
            if s == self.tables.size(n) - 1:
                escapes.append(place)
            folded[place] = self.tables.lowest[n] + s
        if escapes:
            below = [self.entry(BIT) for _ in escapes]
            exponents, longer = [0] * len(escapes), range(len(escapes))
            for _ in range(20):
                longer = [k for k in longer if self.entry(BIT)]
                for k in longer:
                    exponents[k] += 1
            distances = [1 << e for e in exponents]
            for t in range(20):
                for k, e in enumerate(exponents):
                    if e > t:
                        distances[k] += self.entry(BIT) << t
            for place, is_below, d in zip(escapes, below, distances, strict=True):
                n = folded_tables[place]
                low = self.tables.lowest[n]
                folded[place] = low - d if is_below else low + self.tables.size(n) - 2 + d
        if any(abs(k) >= 2**20 for k in folded):
            raise Damaged("a symbol is out of range")
        return [-k if j >= 16 else k for k, (_, j) in zip(folded, conditions, strict=True)]

    def finish(self) -> None:
        if self.entry(OCTET) != 0xA5:
            raise Damaged("end mark")
        if len(self.words) > self.taken:
            raise Damaged("unread words")
