"""Lossless context coding of the importance map, integers only.

Cells are visited in raster order. A row equal to the row above costs one decision. Otherwise each
cell is predicted by the median edge detector of LOCO-I (Weinberger, Seroussi, Sapiro 2000). The
decision "as predicted?" is coded with the neighbours that agree with the prediction as context. A
wrong prediction is followed by a side, the decision "the neighbour on that side?", and an
Exp-Golomb distance. All decisions are adaptive bits of a 32-bit range coder.

One function, `_code_grid`, is both encoder and decoder. Only the coder passed to it differs.
docs/bitstream.md specifies the stream.
"""

import numpy as np

from rdc_jax.errors import RdcError

MAX_LEVELS = 256

_HALF = 1 << 15
_MIN_PROBABILITY, _MAX_PROBABILITY = 32, (1 << 16) - 32
_MAX_VISITS = 127
_RATE = [131072 // (2 * visits + 3) for visits in range(_MAX_VISITS + 1)]
_TOP = 1 << 24
_WORD = (1 << 32) - 1
_MAX_EXPONENT = 7

_CONSTANT = 0
_SAME_ROW = 1
_AS_PREDICTED = 3
_ABOVE = _AS_PREDICTED + 64
_NEIGHBOUR = _ABOVE + 4
_EXPONENT = _NEIGHBOUR + 2
_MANTISSA = _EXPONENT + _MAX_EXPONENT + 1
_LEVEL = _MANTISSA + _MAX_EXPONENT + 1
_NUM_CONTEXTS = _LEVEL + MAX_LEVELS


class _Contexts:
    """Adaptive 16-bit probabilities of a zero bit, with a rate of about 1 / (visits + 1.5)."""

    def __init__(self) -> None:
        self.probability = [_HALF] * _NUM_CONTEXTS
        self.visits = [0] * _NUM_CONTEXTS
        self.probability[_AS_PREDICTED + 63] = 63000

    def update(self, context: int, bit: int) -> None:
        """Adapts the probability of a context to a coded bit."""
        probability, visits = self.probability[context], self.visits[context]
        rate = _RATE[visits]
        if bit:
            probability -= probability * rate >> 16
        else:
            probability += ((1 << 16) - probability) * rate >> 16
        self.probability[context] = min(max(probability, _MIN_PROBABILITY), _MAX_PROBABILITY)
        self.visits[context] = min(visits + 1, _MAX_VISITS)


class _BitEncoder:
    def __init__(self) -> None:
        self._contexts = _Contexts()
        self._low, self._extent, self._output = 0, _WORD, bytearray()

    def code(self, context: int, bit: int) -> int:
        bound = (self._extent >> 16) * self._contexts.probability[context]
        self._contexts.update(context, bit)
        if bit:
            self._low += bound
            self._extent -= bound
            if self._low > _WORD:
                self._low &= _WORD
                self._carry()
        else:
            self._extent = bound
        while self._extent < _TOP:
            self._output.append(self._low >> 24)
            self._low = (self._low << 8) & _WORD
            self._extent <<= 8
        return bit

    def _carry(self) -> None:
        place = len(self._output) - 1
        while self._output[place] == 255:
            self._output[place] = 0
            place -= 1
        self._output[place] += 1

    def finish(self) -> bytes:
        """Returns the shortest bytes that lie in the final interval when zeros follow."""
        if self._low:
            if self._low + self._extent > 1 << 32:
                self._carry()
            else:
                self._output.append((self._low + _TOP - 1) >> 24)
        return bytes(self._output).rstrip(b"\0")


class _BitDecoder:
    def __init__(self, data: bytes):
        self._contexts = _Contexts()
        self._data, self._next = data, 4
        self._offset, self._extent = int.from_bytes(data[:4].ljust(4, b"\0"), "big"), _WORD
        if self._offset >= self._extent:
            raise _damaged()

    def code(self, context: int, _bit: int) -> int:
        bound = (self._extent >> 16) * self._contexts.probability[context]
        bit = int(self._offset >= bound)
        self._contexts.update(context, bit)
        if bit:
            self._offset -= bound
            self._extent -= bound
        else:
            self._extent = bound
        while self._extent < _TOP:
            octet = self._data[self._next] if self._next < len(self._data) else 0
            self._next += 1
            self._offset = (self._offset << 8) | octet
            self._extent <<= 8
        return bit

    def finish(self) -> None:
        """Raises RdcError for more bytes than the encoder would have written."""
        if self._data[-1:] == b"\0" or len(self._data) > self._next - 3:
            raise _damaged()


_BitCoder = _BitEncoder | _BitDecoder


def encode_importance(levels: np.ndarray, num_levels: int) -> bytes:
    """Codes an importance map.

    Args:
        levels: uint8 [rows, columns] in 0..num_levels - 1, at least one cell.
        num_levels: Number of levels, 1..256.

    Returns:
        The coded map.

    Raises:
        RdcError: an argument is out of range.
    """
    if levels.dtype != np.uint8 or levels.ndim != 2 or not levels.size:
        raise RdcError(f"importance grid must be uint8 [gh, gw]: got {levels.dtype} {levels.shape}")
    _check_num_levels(num_levels)
    if levels.max() >= num_levels:
        raise RdcError(f"importance level {levels.max()} is out of range: use 0..{num_levels - 1}")
    coder = _BitEncoder()
    _code_grid(coder, levels.tolist(), num_levels)
    return coder.finish()


def decode_importance(data: bytes, shape: tuple[int, int], num_levels: int) -> np.ndarray:
    """Inverse of `encode_importance`.

    Args:
        data: The coded map.
        shape: (rows, columns) of the map.
        num_levels: Number of levels, 1..256.

    Returns:
        uint8 [rows, columns].

    Raises:
        RdcError: the data are damaged, or an argument is out of range.
    """
    _check_num_levels(num_levels)
    height, width = shape
    if height < 1 or width < 1:
        raise RdcError(f"importance grid {height}x{width} is empty: give at least one cell")
    coder = _BitDecoder(bytes(data))
    grid = [[-1] * width for _ in range(height)]
    _code_grid(coder, grid, num_levels)
    coder.finish()
    return np.array(grid, np.uint8)


def _check_num_levels(num_levels: int) -> None:
    if not 1 <= num_levels <= MAX_LEVELS:
        raise RdcError(f"{num_levels} importance levels: choose 1..{MAX_LEVELS}")


def _damaged() -> RdcError:
    return RdcError("the importance map does not decode: the file is damaged, fetch it again")


def _code_grid(coder: _BitCoder, grid: list[list[int]], num_levels: int) -> None:
    """Codes the grid with an encoder, or fills it with a decoder (cells are -1 before)."""
    if num_levels == 1:
        _fill(grid, 0)
        return
    level = grid[0][0]
    constant = coder.code(_CONSTANT, int(all(cell == level for row in grid for cell in row)))
    level = _code_level(coder, level, num_levels)
    if constant:
        _fill(grid, level)
        return
    grid[0][0] = level
    width = len(grid[0])
    was_same, above2, above = 0, [level] * width, [level] * width
    for y, row in enumerate(grid):
        if y:
            was_same = coder.code(_SAME_ROW + was_same, int(row == above))
        if was_same:
            row[:] = above
        else:
            _code_row(coder, row, above, above2, num_levels, int(y == 0))
        above2, above = above, row


def _fill(grid: list[list[int]], level: int) -> None:
    for row in grid:
        row[:] = [level] * len(row)


def _code_level(coder: _BitCoder, level: int, num_levels: int) -> int:
    """Codes one level through a binary tree of adaptive bits, most significant bit first."""
    node = 1
    for place in reversed(range((num_levels - 1).bit_length())):
        node = 2 * node + coder.code(_LEVEL + node, (level >> place) & 1)
    level = node - (1 << (num_levels - 1).bit_length())
    if level >= num_levels:
        raise _damaged()
    return level


def _code_row(
    coder: _BitCoder,
    row: list[int],
    above: list[int],
    above2: list[int],
    num_levels: int,
    begin: int,
) -> None:
    """Codes one row from column `begin` on. `above2` and `above` are the two previous rows."""
    width = len(row)
    code = coder.code
    for x in range(begin, width):
        north = above[x]
        west = row[x - 1] if x else north
        northwest = above[x - 1] if x else north
        northeast = above[x + 1] if x + 1 < width else north
        westwest = row[x - 2] if x > 1 else west
        smaller, larger = (west, north) if west < north else (north, west)
        if northwest >= larger:
            predicted = smaller
        elif northwest <= smaller:
            predicted = larger
        else:
            predicted = west + north - northwest
        agreement = (
            (west == predicted)
            | (north == predicted) << 1
            | (northwest == predicted) << 2
            | (northeast == predicted) << 3
            | (westwest == predicted) << 4
            | (above2[x] == predicted) << 5
        )
        if code(_AS_PREDICTED + agreement, int(row[x] != predicted)):
            neighbours = (northeast, west, north, northwest, westwest)
            row[x] = _code_other(coder, row[x], predicted, neighbours, num_levels)
        else:
            row[x] = predicted


def _code_other(
    coder: _BitCoder, level: int, predicted: int, neighbours: tuple[int, ...], num_levels: int
) -> int:
    """Codes and returns a level that differs from the prediction."""
    if 0 < predicted < num_levels - 1:
        sides = any(n > predicted for n in neighbours) + 2 * any(n < predicted for n in neighbours)
        above = coder.code(_ABOVE + sides, int(level > predicted))
    else:
        above = int(predicted == 0)
    candidates = [n for n in neighbours if (n > predicted if above else n < predicted)]
    if candidates:
        near = int(abs(candidates[0] - predicted) == 1)
        if coder.code(_NEIGHBOUR + near, int(level == candidates[0])):
            return candidates[0]
    distance = abs(level - predicted)
    exponent = 0
    while exponent < _MAX_EXPONENT:
        if not coder.code(_EXPONENT + exponent, int(distance >> exponent > 1)):
            break
        exponent += 1
    number = 1
    for place in reversed(range(exponent)):
        number = 2 * number + coder.code(_MANTISSA + place, (distance >> place) & 1)
    level = predicted + number if above else predicted - number
    if not 0 <= level < num_levels:
        raise _damaged()
    return level
