"""A second decoder of the entropy stage, from file bytes to integer symbols.

Written from docs/bitstream.md alone, in plain Python integers; it shares no line with the package
and imports nothing of it. Slow, and as close to the document's formulas as can be.

    python -m tests.independent.decoder MODEL_FOLDER FILE.rdc        the symbol hash
"""

import hashlib
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from tests.independent import dither
from tests.independent.container import (
    HYPER_LATENT,
    IMPORTANCE,
    LATENT,
    TILES,
    Damaged,
    Header,
    read_container,
)
from tests.independent.importance_map import read_map
from tests.independent.mean_scale import MeanScaleNetwork
from tests.independent.network import ContextNetwork, clip
from tests.independent.symbols import SymbolStream, Tables, scale_index
from tests.independent.tiles import Tile, read_tiles
from tests.independent.weights import read_model


class Decoded(NamedTuple):
    """Maps of the latent, [h][w][C], and the digest of all symbols."""

    header: Header
    grid: list[list[int]]
    mean: list  # M
    log2_scale: list  # V
    log2_ratio: list  # X
    value: list  # Y
    symbol_hash: str


def decode(data: bytes, folder: Path) -> Decoded:
    model_id, f, most_levels, arrays = read_model(folder)
    header, sections = read_container(data)
    if header.model_id != model_id or header.cell % f or header.levels > most_levels:
        raise Damaged("the file is of another model")
    gh, gw = -(-header.height // header.cell), -(-header.width // header.cell)
    grid = read_map(sections[IMPORTANCE], gh, gw, header.levels)
    kind = MeanScaleNetwork if "network/h_a_0.weight" in arrays else ContextNetwork
    network, tables = kind(arrays), Tables(arrays)

    h, w = -(-header.height // f), -(-header.width // f)
    h4, w4, n = -(-h // 4) * 4, -(-w // 4) * 4, header.cell // f
    level = [[grid[min(y // n, gh - 1)][min(x // n, gw - 1)] for x in range(w4)] for y in range(h4)]
    steps = timesteps(header)
    conditions = [condition(t, i, header.levels) for i, t in enumerate(steps)]

    def decode_tile(tile: Tile):
        """The maps of one tile, or of a latent in one piece, and the digest of its symbols."""
        rows, columns = -(-tile.h // 4) * 4, -(-tile.w // 4) * 4
        own = [row[tile.x0 : tile.x0 + columns] for row in level[tile.y0 : tile.y0 + rows]]
        cond, digest = [[conditions[i] for i in row] for row in own], hashlib.sha256()
        stream = SymbolStream(tile.hyper_latent, tables)
        z = hyper_latent(network, stream, cond, digest)
        stream.finish()
        features = network.features(z, cond, tile.h, tile.w)
        stream = SymbolStream(tile.latent, tables)
        first = tile.y0, tile.x0
        maps = latent(arrays, header, network, stream, features, own, steps, first, digest)
        stream.finish()
        return maps, digest

    if TILES not in sections:
        maps, digest = decode_tile(Tile(0, 0, h, w, sections[HYPER_LATENT], sections[LATENT]))
        return Decoded(header, grid, *maps, digest.hexdigest())
    whole, all_digests = [[[None] * w for _ in range(h)] for _ in range(4)], hashlib.sha256()
    for tile in read_tiles(sections[TILES], header.height, header.width, f):
        maps, digest = decode_tile(tile)
        all_digests.update(digest.digest())
        for joined, part in zip(whole, maps, strict=True):
            for y, row in enumerate(part, tile.y0):
                joined[y][tile.x0 : tile.x0 + tile.w] = row
    return Decoded(header, grid, *whole, all_digests.hexdigest())


def timesteps(header: Header) -> list[int]:
    b, r, top = header.background, header.region, header.levels - 1
    if not top:
        return [r]
    return [(2 * (b * top + (r - b) * i) + top) // (2 * top) for i in range(header.levels)]


def condition(t: int, level: int, levels: int) -> list[int]:
    p = t * 11264 // 1000
    m = level * 3072 // (levels - 1) if levels > 1 else 3072
    hats = [max(0, 1024 - abs(p - 1024 * j)) for j in range(12)]
    return hats + [max(0, 1024 - abs(m - 1024 * j)) for j in range(4)]


def hyper_latent(network, stream: SymbolStream, cond, digest):
    """Z of all cells."""
    prior, log2_step = network.hyper_prior(cond), network.hyper_log2_step(cond)
    rows, columns = len(cond) // 4, len(cond[0]) // 4
    values = [[None] * columns for _ in range(rows)]
    for number in range(network.hyper_passes()):
        whole = network.hyper_passes() == 1
        where = [
            [whole or network.codes(number, y, x) for x in range(columns)] for y in range(rows)
        ]
        cells = [(y, x) for y in range(rows) for x in range(columns) if where[y][x]]
        if not cells:
            continue
        parameters = network.hyper_parameters(number, prior, values, cond, where)
        lattices, pairs = [], []
        for y, x in cells:
            means, scales = parameters[y][x]
            steps = log2_step[y][x] if log2_step else [None] * len(means)
            for mean, scale, log2 in zip(means, scales, steps, strict=True):
                step, centre = 1024, 0
                if log2 is not None:
                    step = ((1024 + log2 % 1024) << (3 + (log2 >> 10))) >> 3
                    centre = (mean + 512) >> 10
                q = (-32 * (((mean - 1024 * centre) << 10) // step)) // 1024
                lattices.append((centre, step, (q + 16) >> 5))
                pairs.append((scale_index(scale - (log2 or 0), 10), (q + 16) % 32))
        symbols = stream.read_pass(pairs)
        digest.update(struct.pack(f"<{len(symbols)}i", *symbols))
        read = iter(zip(symbols, lattices, strict=True))
        for y, x in cells:
            values[y][x] = []
            for _ in parameters[y][x][0]:
                k, (centre, step, n) = next(read)
                if abs(k - n) >= 2**13:
                    raise Damaged("hyper-latent")
                values[y][x].append(1024 * centre + (k - n) * step)
    return values


def latent(arrays, header, network, stream, features, level, steps, first, digest):
    """M, V, X and Y of all elements; first: row and column of the first pixel in the picture."""
    c, h, w = network.channels, len(features), len(features[0])
    y0, x0 = first
    schedule = {k.removeprefix("schedule/"): a for k, a in arrays.items() if "schedule/" in k}
    dithered = "dither" not in schedule or schedule["dither"].values[0] != 0
    silent = schedule["silent_scales"].values[0] if "silent_scales" in schedule else 0
    shrink = schedule["shrink"].values

    def of_timestep(name, t):
        array = schedule[name]
        width = array.shape[1]
        row = array.values[t * width : (t + 1) * width]
        return row * c if width == 1 else row

    mean, log2_scale, log2_ratio, value = ([[None] * w for _ in range(h)] for _ in range(4))
    context = [[[0] * c for _ in range(w)] for _ in range(h)]
    for number in range(network.num_passes):
        where = [[network.codes(number, y, x) for x in range(w)] for y in range(h)]
        pixels = [(y, x) for y in range(h) for x in range(w) if where[y][x]]
        if not pixels:
            continue
        parameters = network.parameters(number, features, context, where)
        sent, pairs = [], []
        for y, x in pixels:
            t = steps[level[y][x]]
            means, scales = parameters[y][x]
            ratios = [v - g for v, g in zip(scales, of_timestep("log2_step_fixed", t), strict=True)]
            mean[y][x], log2_scale[y][x], log2_ratio[y][x] = means, scales, ratios
            js = dither.phases(header.seed, y0 + y, x0 + x, c) if dithered else [15] * c
            for ratio, j in zip(ratios, js, strict=True):
                i = scale_index(ratio, 10)
                sent.append(i >= silent)
                if i >= silent:
                    pairs.append((i, j))
        symbols = stream.read_pass(pairs)
        digest.update(struct.pack(f"<{len(symbols)}i", *symbols))
        read, is_sent = iter(symbols), iter(sent)
        for y, x in pixels:
            step = of_timestep("step_fixed", steps[level[y][x]])
            js = dither.phases(header.seed, y0 + y, x0 + x, c) if dithered else [15] * c
            value[y][x], context[y][x] = [], []
            for m, ratio, d, j in zip(mean[y][x], log2_ratio[y][x], step, js, strict=True):
                has_symbol = next(is_sent)
                k = next(read) if has_symbol else 0
                r = d * (64 * k + 2 * j - 31) if dithered else d * 64 * k
                value[y][x].append((m << 16) + r)
                p = min(max(6 * (ratio + 7 * 1024), 0), 79 * 1024)
                i = min(p >> 10, 78)
                weight = shrink[i] + (((shrink[i + 1] - shrink[i]) * (p - 1024 * i) + 512) >> 10)
                weight = weight if has_symbol else 0
                context[y][x].append(clip(m + (((r >> 12) * weight + 2**19) >> 20)))
    return mean, log2_scale, log2_ratio, value


if __name__ == "__main__":
    print(decode(Path(sys.argv[2]).read_bytes(), Path(sys.argv[1])).symbol_hash)
