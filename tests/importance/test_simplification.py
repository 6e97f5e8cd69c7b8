"""Map simplification, and files with fewer levels than the model has."""

import dataclasses

import numpy as np
import pytest

from rdc_jax.bitstream import container
from rdc_jax.codec import codec as codecs
from rdc_jax.codec import encoder
from rdc_jax.importance import maps, simplification, timesteps
from rdc_jax.importance.simplification import Map, coarser_maps, code_within


@pytest.fixture(scope="module")
def codec(smoke_model):
    return codecs.load(smoke_model)


def disc(rows=24, columns=32, num_levels=8):
    """A soft disc as a map: expensive for its size."""
    y, x = np.mgrid[:rows, :columns]
    distance = np.hypot(y - rows / 2, x - columns / 2) / (rows / 2)
    soft = np.clip(1.3 - distance, 0, 1)
    return Map(np.rint(soft * (num_levels - 1)).astype(np.uint8), num_levels, 16)


def file_of(rest):
    """A `code` function whose files are the map plus `rest` bytes. It records all maps."""

    def code(choice):
        code.maps.append(choice)
        return bytes(rest + choice.coded_bytes), choice

    code.maps = []
    return code


def values(choice, shape):
    factor = choice.cell_size // 16
    levels = timesteps.importance_values(choice.num_levels)[choice.levels]
    return np.kron(levels, np.ones((factor, factor)))[: shape[0], : shape[1]]


@pytest.mark.parametrize("rest", [700, 1000, 2000, 3000, 5000])
@pytest.mark.parametrize("shape", [(24, 32), (25, 37)])
def test_the_least_changed_map_that_is_cheap_enough_is_chosen(rest, shape):
    given = disc(*shape)
    code = file_of(rest)
    data, chosen = code_within(code, given, 2.0)
    assert chosen.coded_bytes <= 0.02 * len(data)
    assert len(code.maps) <= 3
    change = np.abs(values(chosen, shape) - values(given, shape)).mean()
    for other_change, other in coarser_maps(given):
        if other_change < change - 1e-9:
            assert other.coded_bytes > 0.02 * (rest + other.coded_bytes)


def test_an_expected_size_saves_a_coding():
    for given, rest in ((disc(), 1500), (disc(), 50_000)):
        code = file_of(rest)
        data, chosen = code_within(code, given, 2.0, expected=rest + 30)
        assert len(code.maps) == 1 and chosen.coded_bytes <= 0.02 * len(data)


def test_a_file_smaller_than_expected_is_coded_again():
    code = file_of(1500)
    data, chosen = code_within(code, disc(), 2.0, expected=100_000)
    assert len(code.maps) == 2 and chosen.coded_bytes <= 0.02 * len(data)


@pytest.mark.parametrize("rest", [0, 20, 100])
def test_a_region_survives_if_no_map_is_cheap_enough(rest):
    _, chosen = code_within(file_of(rest), disc(), 2.0)
    kept = values(chosen, (24, 32))
    given = values(disc(), (24, 32))
    assert chosen.coded_bytes < disc().coded_bytes / 2
    assert kept[10:14, 14:18].min() > 0.5 and kept[:, -2:].max() == 0
    assert np.abs(kept - given).mean() <= 0.5 * np.abs(given - np.median(given)).mean()


@pytest.mark.parametrize("percent", [0, 2.0])
def test_a_cheap_map_does_not_change(percent):
    flat = Map(np.zeros((9, 9), np.uint8), 1, 16)
    for given in (flat, disc()):
        code = file_of(10_000)
        assert code_within(code, given, percent)[1] is given and len(code.maps) == 1


def test_with_two_levels_only_cells_can_grow():
    hard = disc(num_levels=2)
    assert {m.num_levels for _, m in coarser_maps(hard)} == {2}
    assert coarser_maps(hard)[0] == (0.0, hard)


def test_a_constant_map_stays_constant():
    level = Map(np.full((5, 7), 3, np.uint8), 8, 16)
    _, chosen = code_within(file_of(0), level, 2.0)
    assert timesteps.importance_values(chosen.num_levels)[chosen.levels].min() > 0


# Through the codec


def image(height, width):
    y, x = np.mgrid[:height, :width]
    plane = 128 + 60 * np.sin(x / 17) * np.cos(y / 11)
    return np.clip(np.stack([plane, plane + 9, 255 - plane], -1), 0, 255).astype(np.uint8)


def test_an_expensive_map_is_simplified_and_the_file_decodes(codec):
    pixels = image(160, 240)
    y, x = np.mgrid[:160, :240]
    mask = np.clip(1.4 - np.hypot(y - 80, x - 120) / 60, 0, 1).astype(np.float32)
    settings = dict(quality=0, importance=mask, return_report=True)
    _, full = codec.encode(pixels, map_cost=0, **settings)
    assert full.map_grid == (8, 16)
    share = 50 * full.section_bytes["importance"] / full.bytes
    data, report = codec.encode(pixels, map_cost=share, **settings)
    assert report.map_grid != (8, 16)
    assert report.section_bytes["importance"] <= share / 100 * report.bytes
    header, coded, _ = codec.decode_latent(data)
    assert (header.num_levels, header.cell_size) == report.map_grid
    assert coded.symbol_hash == report.symbol_hash
    assert codec.decode(data, tau="roi").shape == pixels.shape
    sized, report = codec.encode(
        pixels, importance=mask, map_cost=share, target_bytes=len(data) + 40, return_report=True
    )
    assert len(sized) <= len(data) + 40
    assert report.section_bytes["importance"] <= share / 100 * len(sized)


def test_any_number_of_levels_decodes_the_same(codec):
    """A map of only the lowest and highest level decodes the same for any number of levels."""
    pixels = image(72, 104)
    latent = codec.analyse(pixels)
    mask = np.zeros((72, 104), bool)
    mask[16:48, 32:80] = True
    data, report = codec.encode(pixels, importance=mask, return_report=True)
    header = container.unpack(data)[0]
    grid = maps.from_mask_array(mask, 72, 104, 16, 2)
    decoded = codec.decode(data)
    for count in range(2, 9):
        header = dataclasses.replace(header, num_levels=count)
        levels = (grid * (count - 1)).astype(np.uint8)
        again, other = encoder.coded(
            codec.entropy, latent, levels, header, downsampling=8, quality=50.0
        )
        assert other.symbol_hash == report.symbol_hash
        assert container.unpack(again)[0].num_levels == count
        np.testing.assert_array_equal(codec.decode(again), decoded)


def test_files_without_a_region_do_not_depend_on_it(codec):
    pixels = image(40, 40)
    assert codec.encode(pixels, map_cost=0.01) == codec.encode(pixels, map_cost=0)
    assert simplification.PERCENT == 2.0
