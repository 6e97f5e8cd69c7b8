"""The payload of a section TILES that several tests read: 2 x 2 tiles, and its index."""

import zlib

from rdc_jax.bitstream import tile_index

STREAMS = [(b"ab", b"cdef"), (b"", b"g"), (b"h" * 200, b""), (b"i", b"jk")]
HEIGHT, WIDTH, SIDE = 317, 512, 256  # 2 x 2 tiles; a latent has 32 pixels a tile
PAYLOAD = tile_index.pack(SIDE, STREAMS)


def crc(data):
    return zlib.crc32(data).to_bytes(4, "little")


def reader_of(data):
    return lambda offset, length: data[offset : offset + length]


def index_of(payload, height=HEIGHT, width=WIDTH):
    return tile_index.read_index(reader_of(payload), 0, len(payload), height, width)
