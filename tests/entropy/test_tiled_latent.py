"""A latent in tiles: each decodes alone, windows are parts of the whole, damage is named."""

import dataclasses

import numpy as np
import pytest

from rdc_jax.bitstream import tile_index
from rdc_jax.bitstream.framing import BitstreamError
from rdc_jax.bitstream.tile_index import Window
from rdc_jax.entropy import latent_coding, tiled_latent
from tests.bitstream.tile_payloads import SIDE, index_of, reader_of


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
