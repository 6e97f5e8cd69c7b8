"""docs/bitstream.md, Tiles: the index, and where each tile lies."""

from typing import NamedTuple

from tests.independent.container import Damaged, check_crc, varint


class Tile(NamedTuple):
    """Its first latent pixel, its size in latent pixels, and its two streams."""

    y0: int
    x0: int
    h: int
    w: int
    hyper_latent: bytes
    latent: bytes


def read_tiles(payload: bytes, height: int, width: int, f: int) -> list[Tile]:
    """height, width: of the picture; f: its pixels per latent pixel."""
    if not payload or not 8 <= payload[0] <= 13:
        raise Damaged("side of a tile")
    side = 1 << payload[0]
    rows, columns = -(-height // side), -(-width // side)
    lengths, at = [], 1
    for _ in range(rows * columns):
        hyper_latent, at = varint(payload, at)
        latent, at = varint(payload, at)
        lengths.append((hyper_latent, latent))
    at = check_crc(payload, 0, at)
    if at + sum(hyper_latent + latent + 4 for hyper_latent, latent in lengths) != len(payload):
        raise Damaged("the lengths of the tiles")
    t = side // f
    if not 32 <= t <= 1024:
        raise Damaged("the side of a tile is not possible in this model's latent")
    h, w, tiles = -(-height // f), -(-width // f), []
    for number, (hyper_latent, latent) in enumerate(lengths):
        y0, x0 = number // columns * t, number % columns * t
        middle, end = at + hyper_latent, at + hyper_latent + latent
        after = check_crc(payload, at, end)
        size = min(t, h - y0), min(t, w - x0)
        tiles.append(Tile(y0, x0, *size, payload[at:middle], payload[middle:end]))
        at = after
    return tiles
