"""The index of section TILES: golden bytes, hostile indexes, and the grid of tiles."""

import pytest

from rdc_jax.bitstream import tile_index
from rdc_jax.bitstream.framing import BitstreamError
from rdc_jax.bitstream.tile_index import Grid, Window
from rdc_jax.errors import RdcError
from tests.bitstream.tile_payloads import (
    HEIGHT,
    PAYLOAD,
    SIDE,
    STREAMS,
    WIDTH,
    crc,
    index_of,
    reader_of,
)

INDEX_BYTES = 1 + 9 + 4


def with_index(index, tiles=PAYLOAD[INDEX_BYTES:]):
    """A payload with another index and a valid CRC."""
    return index + crc(index) + tiles


def test_golden_bytes():
    index = bytes([8, 2, 4, 0, 1, 0xC8, 0x01, 0, 1, 2])
    tiles = [b"abcdef", b"g", b"h" * 200, b"ijk"]
    assert index + crc(index) + b"".join(tile + crc(tile) for tile in tiles) == PAYLOAD


def test_any_tile_is_found_through_the_index():
    padded = b"before" + PAYLOAD + b"after"
    end = len(padded) - 5
    index = tile_index.read_index(reader_of(padded), 6, end, HEIGHT, WIDTH)
    assert index.grid == Grid(HEIGHT, WIDTH, SIDE) and index.grid.rows == index.grid.columns == 2
    assert index.tile_bytes().tolist() == [10, 5, 204, 7]
    for number in (3, 0, 2, 1):
        assert tile_index.read_streams(reader_of(padded), index, number) == STREAMS[number]


def test_every_changed_byte_is_noticed_where_it_is():
    index = index_of(PAYLOAD)
    ends = [*index.offsets[1:], len(PAYLOAD)]
    for place in range(len(PAYLOAD)):
        damaged = bytearray(PAYLOAD)
        damaged[place] ^= 0x41
        if place < INDEX_BYTES:
            with pytest.raises(BitstreamError, match=r"index of section TILES"):
                index_of(bytes(damaged))
            continue
        for number, (begin, end) in enumerate(zip(index.offsets, ends, strict=True)):
            if begin <= place < end:
                with pytest.raises(BitstreamError, match="CRC-32"):
                    tile_index.read_streams(reader_of(bytes(damaged)), index, number)
            else:
                found = tile_index.read_streams(reader_of(bytes(damaged)), index, number)
                assert found == STREAMS[number]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "empty"),
        (b"\x07" + PAYLOAD[1:], r"side of a tile 2\^7"),
        (b"\x0e" + PAYLOAD[1:], r"side of a tile 2\^14"),
        (b"\xff" + PAYLOAD[1:], r"side of a tile 2\^255"),
        (PAYLOAD[:20], "too short for 2 x 2 tiles"),
        (with_index(bytes([8, 2, 4, 0, 1, 0xC9, 0x01, 0, 1, 2])), "do not add up"),
        (PAYLOAD + b"\0", "do not add up"),
        (with_index(b"\x08" + b"\xff\xff\xff\xff\x7f" * 8, bytes(40)), "do not add up"),
        (b"\x08" + b"\xff" * 60, "malformed number"),
        (b"\x08" + b"\x80\x00" * 30, "malformed number"),
        (b"\x08" + bytes(30), "CRC-32"),
    ],
)
def test_a_hostile_index_is_refused(payload, message):
    with pytest.raises(BitstreamError, match=message) as caught:
        index_of(payload)
    assert "\n" not in str(caught.value)


def test_a_grid_of_too_many_tiles_is_refused_before_reading():
    asked = []

    def read(offset, length):
        asked.append(length)
        return PAYLOAD[offset : offset + length]

    with pytest.raises(BitstreamError, match="too short for 4096 x 4096 tiles"):
        tile_index.read_index(read, 0, len(PAYLOAD), 2**20, 2**20)
    assert max(asked) == 1


def test_the_grid_of_the_latent_follows_from_that_of_the_image():
    index = index_of(PAYLOAD)
    latent = index.on_latent(8)
    assert latent.grid == Grid(40, 64, 32) and latent.offsets is index.offsets
    assert (latent.grid.rows, latent.grid.columns) == (index.grid.rows, index.grid.columns)
    assert index.on_latent(4).grid == Grid(80, 128, 64)
    with pytest.raises(BitstreamError, match="tiles of 256 pixels do not fit its model"):
        index.on_latent(16)
    large = index_of(tile_index.pack(8192, [(b"", b"")]))
    assert large.on_latent(8).grid.side == 1024
    with pytest.raises(BitstreamError, match="tiles of 8192 pixels do not fit its model"):
        large.on_latent(4)


def test_windows_and_their_tiles():
    grid = Grid(70, 100, 32)
    assert [grid.window(n) for n in (0, 3, 11)] == [
        Window(0, 32, 0, 32), Window(0, 32, 96, 100), Window(64, 70, 96, 100)
    ]  # fmt: skip
    assert grid.covering(Window(0, 70, 0, 100)) == list(range(12))
    assert grid.covering(Window(31, 33, 63, 64)) == [1, 5]
    assert grid.covering(Window(32, 64, 64, 97)) == [6, 7]


@pytest.mark.parametrize(
    ("size", "choice", "side"),
    [
        ((2048, 2048), {}, None),
        ((2048, 2049), {}, 1024),
        ((2048, 2049), {"tile": 0}, None),
        ((64, 64), {"tile": 512}, 512),
        ((64, 64), {"resilient": True}, 256),
        ((4096, 4096), {"resilient": True}, 256),
    ],
)
def test_which_images_are_tiled(size, choice, side):
    assert tile_index.chosen_side(*size, 8, **choice) == side


def test_small_tiles_are_as_small_as_the_latent_allows():
    assert tile_index.chosen_side(64, 64, 16, resilient=True) == 512
    assert tile_index.chosen_side(64, 64, 16, 8192) == 8192
    with pytest.raises(RdcError, match="power of two from 512 to 8192"):
        tile_index.chosen_side(64, 64, 16, 16384)
    for tile in (128, 300, 16384, 1):
        with pytest.raises(RdcError, match="power of two from 256 to 8192"):
            tile_index.chosen_side(64, 64, 8, tile)
