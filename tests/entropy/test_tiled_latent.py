"""Section TILES: golden bytes, hostile indexes, and tiles that decode alone."""

import dataclasses
import io
import zlib

import numpy as np
import pytest

from rdc_jax.bitstream import container, file_reader, tile_index
from rdc_jax.bitstream.framing import BitstreamError, varint
from rdc_jax.bitstream.sections import SectionType
from rdc_jax.bitstream.tile_index import Grid, Window
from rdc_jax.entropy import latent_coding, tiled_latent
from rdc_jax.errors import RdcError

STREAMS = [(b"ab", b"cdef"), (b"", b"g"), (b"h" * 200, b""), (b"i", b"jk")]
HEIGHT, WIDTH, SIDE = 317, 512, 256  # 2 x 2 tiles; the latent below has 32 pixels a tile
PAYLOAD = tile_index.pack(SIDE, STREAMS)
INDEX_BYTES = 1 + 9 + 4


def crc(data):
    return zlib.crc32(data).to_bytes(4, "little")


def reader_of(data):
    return lambda offset, length: data[offset : offset + length]


def index_of(payload, height=HEIGHT, width=WIDTH):
    return tile_index.read_index(reader_of(payload), 0, len(payload), height, width)


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


# The latent


@pytest.fixture(scope="module")
def coded(random_model, make_conditions):
    """(latent, conditions, payload, tally) of 2 x 3 tiles."""
    rng = np.random.default_rng(1)
    latent = rng.normal(0, 30, (43, 70, 4)).astype(np.float32)
    conditions = make_conditions(43, 70)
    return latent, conditions, *tiled_latent.encode(random_model, latent, conditions, SIDE, 8)


def tiled_file(payload, conditions, on_damage=None):
    size = width, height = 8 * conditions.width - 5, 8 * conditions.height - 1
    index = index_of(payload, height, width).on_latent(8)
    return tiled_latent.TiledFile(conditions, reader_of(payload), index, 8, size, on_damage)


def test_each_tile_is_coded_like_an_image_of_its_own(random_model, coded):
    latent, conditions, payload, tally = coded
    file = tiled_file(payload, conditions)
    number, where = 4, np.s_[32:43, 32:64]
    own = dataclasses.replace(
        conditions, height=11, width=32, levels=conditions.levels[32:44, 32:64], row0=32, col0=32
    )
    hyper, body, seen = latent_coding.encode_latent(random_model, latent[where], own)
    assert tile_index.read_streams(file.read, file.index, number) == (hyper, body)
    np.testing.assert_array_equal(tally.bits_map[where], seen.bits_map)
    np.testing.assert_array_equal(file.tile(random_model, number).yhat, seen.yhat)
    shifted = dataclasses.replace(own, row0=0)
    assert latent_coding.encode_latent(random_model, latent[where], shifted)[1] != body


def test_the_whole_latent_round_trips(random_model, coded):
    latent, conditions, payload, tally = coded
    whole = tiled_file(payload, conditions).whole(random_model)
    assert whole.symbol_hash == tally.symbol_hash
    assert whole.yhat.shape == latent.shape and whole.yhat.dtype == np.float32
    levels = conditions.levels[:43, :70]
    step = random_model.step_fixed[conditions.timesteps][levels] * 32 / 2**20
    assert np.all(np.abs(whole.yhat - latent) <= step / 2 + 1e-3)


def test_windows_are_parts_of_the_whole(random_model, coded, rng):
    _, conditions, payload, _ = coded
    file = tiled_file(payload, conditions)
    whole, windows = file.whole(random_model), file.windows(random_model)
    for _ in range(6):
        top, left = int(rng.integers(0, 43)), int(rng.integers(0, 70))
        window = Window(top, int(rng.integers(top + 1, 44)), left, int(rng.integers(left + 1, 71)))
        for found, array in zip(
            windows(window), (whole.yhat, whole.mean, whole.scale), strict=True
        ):
            np.testing.assert_array_equal(found, array[window.of(Window(0, 0, 0, 0))])


def test_windows_from_top_to_bottom_decode_each_tile_once(random_model, coded, monkeypatch):
    _, conditions, payload, _ = coded
    numbers, tile = [], tiled_latent.TiledFile.tile
    monkeypatch.setattr(
        tiled_latent.TiledFile, "tile", lambda self, m, n: numbers.append(n) or tile(self, m, n)
    )
    windows = tiled_file(payload, conditions).windows(random_model)
    for top in range(0, 34, 8):
        windows(Window(top, top + 10, 20, 50))
    assert numbers == [0, 1, 3, 4]


def test_a_damaged_tile_is_named_or_filled(random_model, coded):
    _, conditions, payload, _ = coded
    damaged, told = bytearray(payload), []
    damaged[index_of(payload, 43 * 8, 70 * 8).offsets[5] + 3] ^= 1
    with pytest.raises(BitstreamError, match=r"tile 6 of 6 \(pixels 512,256 to 554,342\)"):
        tiled_file(bytes(damaged), conditions).whole(random_model)
    with pytest.raises(BitstreamError, match="tile 6 of 6"):
        tiled_file(bytes(damaged), conditions).check()
    filled = tiled_file(bytes(damaged), conditions, told.append).whole(random_model)
    good = tiled_file(payload, conditions).whole(random_model)
    assert [(tile.number, tile.x, tile.y, tile.width, tile.height) for tile in told] == [
        (5, 512, 256, 43, 87)
    ]
    lost = np.zeros((43, 70), bool)
    lost[32:, 64:] = True
    np.testing.assert_array_equal(filled.yhat[~lost], good.yhat[~lost])
    step = random_model.step_fixed[conditions.timesteps][conditions.levels[:43, :70]] * 32 / 2**20
    distance = np.abs(filled.yhat - filled.mean) / step
    assert distance[lost].max() <= 0.5 + 1e-3  # the mean, with the noise of its timestep
    assert not np.array_equal(filled.yhat[lost], good.yhat[lost])


# The file


HEADER = container.Header(
    width=WIDTH, height=HEIGHT, model_id=bytes(8), num_levels=1, timestep_background=9,
    timestep_roi=9, cell_size=16, dither_seed=0, default_steps=1, default_tau=0,
)  # fmt: skip
FILE = container.pack(HEADER, [(1, b"m"), (4, PAYLOAD), (0x84, b"xmp")])


def test_a_file_has_tiles_or_a_whole_latent():
    for sections in (
        [(1, b""), (2, b""), (3, b""), (4, b"")],
        [(1, b""), (2, b""), (4, b"")],
        [(1, b""), (4, b""), (4, b"")],
        [(4, b"")],
    ):
        with pytest.raises(BitstreamError):
            container.pack(HEADER, sections)
    assert [s.type for s in container.unpack(FILE)[1]] == [1, 4, 0x84]


@pytest.mark.parametrize("make", [bytes, io.BytesIO])
def test_a_reader_finds_all_sections(make):
    reader = file_reader.FileReader(make(FILE))
    assert reader.header == HEADER and reader.size == len(FILE)
    assert [reader.payload(kind) for kind in reader.places] == [b"m", PAYLOAD, b"xmp"]


def test_a_reader_reads_only_requested_parts():
    class Counting(io.BytesIO):
        count = 0

        def read(self, size=-1):
            data = super().read(size)
            self.count += len(data)
            return data

    file = Counting(container.pack(HEADER, [(1, b"m"), (4, bytes(10**6))]))
    assert file_reader.FileReader(file).payload(1) == b"m"
    assert file.count < 100


def test_a_reader_refuses_what_unpack_refuses():
    extra = bytes([0x84]) + varint(3) + b"xmp"
    for data in (FILE + b"x", FILE[:-1], FILE[:40], FILE[:5], b"", FILE + extra + crc(extra)):
        with pytest.raises(BitstreamError):
            file_reader.FileReader(data)
    with pytest.raises(BitstreamError, match="limit of 1000"):
        file_reader.FileReader(FILE, max_pixels=1000)
    damaged = FILE.replace(b"xmp", b"xMp")
    with pytest.raises(BitstreamError, match=r"XMP .*CRC-32"):
        file_reader.FileReader(damaged).payload(SectionType.XMP)


def test_only_tiles_may_be_cut_off():
    begin = FILE.index(PAYLOAD)
    for length in range(len(FILE)):
        if length >= begin and length < begin + len(PAYLOAD) + 4:
            reader = file_reader.FileReader(FILE[:length], cut_off=True)
            assert reader.places[SectionType.TILES].end == begin + len(PAYLOAD)
        else:
            with pytest.raises(BitstreamError):
                file_reader.FileReader(FILE[:length], cut_off=True)
