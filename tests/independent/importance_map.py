"""docs/bitstream.md, Importance map."""

from tests.independent.container import Damaged

CONSTANT, SAME_ROW, AS_PREDICTED, ABOVE, NEIGHBOUR = 0, 1, 3, 67, 71
EXPONENT, MANTISSA, LEVEL = 73, 81, 89


class BinaryDecoder:
    def __init__(self, payload: bytes):
        if payload[-1:] == b"\0":
            raise Damaged("the map ends in a zero byte")
        self.payload, self.taken = payload, 0
        self.extent = 2**32 - 1
        self.offset = int.from_bytes((payload + b"\0\0\0\0")[:4], "big")
        if self.offset >= self.extent:
            raise Damaged("map")
        self.p = [32768] * (LEVEL + 256)
        self.p[66] = 63000
        self.v = [0] * (LEVEL + 256)

    def bit(self, c: int) -> int:
        bound = (self.extent >> 16) * self.p[c]
        bit = int(self.offset >= bound)
        rate = 131072 // (2 * self.v[c] + 3)
        if bit:
            self.p[c] -= (self.p[c] * rate) >> 16
        else:
            self.p[c] += ((65536 - self.p[c]) * rate) >> 16
        self.p[c] = min(max(self.p[c], 32), 65504)
        self.v[c] = min(self.v[c] + 1, 127)
        if bit:
            self.offset -= bound
            self.extent -= bound
        else:
            self.extent = bound
        while self.extent < 2**24:
            place = 4 + self.taken
            octet = self.payload[place] if place < len(self.payload) else 0
            self.taken += 1
            self.offset = 256 * self.offset + octet
            self.extent *= 256
        return bit

    def finish(self) -> None:
        if len(self.payload) > 1 + self.taken:
            raise Damaged("the map has bytes too many")


def read_map(payload: bytes, gh: int, gw: int, levels: int) -> list[list[int]]:
    decoder = BinaryDecoder(payload)
    grid = [[0] * gw for _ in range(gh)]
    if levels > 1:
        fill(decoder, grid, gh, gw, levels)
    decoder.finish()
    return grid


def fill(decoder: BinaryDecoder, grid: list[list[int]], gh: int, gw: int, levels: int) -> None:
    constant = decoder.bit(CONSTANT)
    b = (levels - 1).bit_length()
    node = 1
    for _ in range(b):
        node = 2 * node + decoder.bit(LEVEL + node)
    first = in_range(node - 2**b, levels)
    if constant:
        for y in range(gh):
            grid[y] = [first] * gw
        return
    grid[0][0] = first
    s = 0
    for y in range(gh):
        if y:
            s = decoder.bit(SAME_ROW + s)
            if s:
                grid[y] = list(grid[y - 1])
                continue
        for x in range(0 if y else 1, gw):
            grid[y][x] = in_range(cell(decoder, grid, y, x, gw, first, levels), levels)


def in_range(level: int, levels: int) -> int:
    if not 0 <= level < levels:
        raise Damaged("a level is out of range")
    return level


def cell(decoder, grid, y: int, x: int, gw: int, first: int, levels: int) -> int:
    row = grid[y]
    if y:
        n = grid[y - 1][x]
        nw = grid[y - 1][x - 1] if x else n
        ne = grid[y - 1][x + 1] if x + 1 < gw else n
    else:
        n = nw = ne = first
    nn = grid[y - 2][x] if y > 1 else first
    w = row[x - 1] if x else n
    ww = row[x - 2] if x > 1 else w
    if nw >= max(w, n):
        p = min(w, n)
    elif nw <= min(w, n):
        p = max(w, n)
    else:
        p = w + n - nw
    context = AS_PREDICTED
    for place, neighbour in enumerate((w, n, nw, ne, ww, nn)):
        context += (neighbour == p) << place
    if not decoder.bit(context):
        return p
    neighbours = (ne, w, n, nw, ww)
    if p == 0:
        above = 1
    elif p == levels - 1:
        above = 0
    else:
        greater = any(q > p for q in neighbours)
        above = decoder.bit(ABOVE + greater + 2 * any(q < p for q in neighbours))
    on_that_side = [q for q in neighbours if (q > p if above else q < p)]
    if on_that_side:
        q = on_that_side[0]
        if decoder.bit(NEIGHBOUR + (abs(q - p) == 1)):
            return q
    e = 0
    while e < 7 and decoder.bit(EXPONENT + e):
        e += 1
    d = 1
    for i in range(e - 1, -1, -1):
        d = 2 * d + decoder.bit(MANTISSA + i)
    return p + d if above else p - d
