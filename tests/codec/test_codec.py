"""Image and map to bytes and back, with random networks: what a file promises without training."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.bitstream import container
from rdc_jax.codec import codec as codecs
from rdc_jax.codec import window_networks
from rdc_jax.errors import RdcError
from rdc_jax.importance import maps
from rdc_jax.models.timesteps import LevelTimesteps
from tests.codec.cases import left_half, photograph
from tests.diffusion.reference_sampler import sample


@pytest.fixture(scope="module")
def codec(smoke_model):
    return codecs.load(smoke_model)


@pytest.fixture(scope="module")
def example(codec):
    """(pixels, file, report) with a map."""
    pixels = photograph(72, 104)
    data, report = codec.encode(
        pixels, quality=60, importance=left_half(72, 104), seed=5, return_report=True
    )
    return pixels, data, report


def test_report_accounts_for_the_file(example):
    _, data, report = example
    assert report.bytes == len(data)
    assert report.bpp == pytest.approx(8 * len(data) / (72 * 104))
    assert set(report.section_bytes) == {"importance", "hyper_latent", "latent"}
    assert 0 < len(data) - sum(report.section_bytes.values()) <= 64
    assert 8 * len(data) <= 1.01 * report.ideal_bits + 64 * 8
    assert report.timesteps[0] - report.timesteps[1] == codecs.DEFAULT_ROI_GAIN
    assert report.bits_map.shape == report.levels.shape == (9, 13)
    np.testing.assert_array_equal(np.unique(report.levels), [0, 2, 7])  # a quarter of cell 3
    assert report.bits_map[:, :6].mean() > 1.2 * report.bits_map[:, 8:].mean()


def test_entropy_stage_returns_what_was_coded(codec, example):
    _, data, report = example
    header, coded, conditions = codec.decode_latent(data)
    assert coded.symbol_hash == report.symbol_hash
    np.testing.assert_array_equal(conditions.levels[:9, :13], report.levels)
    assert (header.width, header.height, header.dither_seed) == (104, 72, 5)


def test_decoding_depends_on_the_bytes_alone(codec, example, smoke_model):
    _, data, _ = example
    first = codec.decode(data)
    codec.encode(photograph(40, 40, seed=9), quality=10)
    np.testing.assert_array_equal(codecs.load(smoke_model).decode(bytes(data)), first)


def test_encoding_is_deterministic_and_the_seed_matters(codec, example):
    pixels, data, _ = example
    settings = dict(quality=60, importance=left_half(72, 104))
    assert codec.encode(pixels, **settings, seed=5) == data
    assert codec.encode(pixels, **settings, seed=6) != data


def test_symbols_do_not_depend_on_jit(codec, example):
    _, data, report = example
    with jax.disable_jit():
        assert codec.decode_latent(data)[1].symbol_hash == report.symbol_hash


DECODE = """
import json, sys
import numpy as np
from rdc_jax.codec import codec as codecs
codec = codecs.load(sys.argv[1])
data = open(sys.argv[2], "rb").read()
np.save(sys.argv[3], codec.decode(data))
print(json.dumps(codec.decode_latent(data)[1].symbol_hash))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {"JAX_ENABLE_X64": "1"}, {"JAX_DISABLE_JIT": "1"}, {"OMP_NUM_THREADS": "1"}]
)
def test_a_fresh_process_decodes_the_same(
    codec, example, smoke_model, tmp_path, user_environment, settings
):
    _, data, report = example
    (tmp_path / "file.rdc").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", DECODE, smoke_model, "file.rdc", "pixels.npy"],
        env=user_environment | settings | {"PYTHONPATH": ":".join(sys.path)},
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == report.symbol_hash
    pixels = np.load(tmp_path / "pixels.npy").astype(int)
    assert np.abs(pixels - codec.decode(data)).max() <= 1  # floats of the networks may differ


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (8, 16), (321, 333)])
def test_any_size(codec, height, width):
    pixels = photograph(height, width)
    data, report = codec.encode(pixels, importance=left_half(height, width), return_report=True)
    assert codec.decode_latent(data)[1].symbol_hash == report.symbol_hash
    decoded = codec.decode(data)
    assert decoded.shape == pixels.shape and decoded.dtype == np.uint8


def test_grey(codec):
    grey = photograph(24, 40)[..., 0]
    data = codec.encode(grey)
    assert container.unpack(data)[0].colour_mode == container.ColourMode.GREY
    decoded = codec.decode(data)
    assert decoded.shape == (24, 40, 3)
    np.testing.assert_array_equal(decoded, decoded[..., :1].repeat(3, -1))
    stacked = np.repeat(grey[..., None], 3, -1)
    assert codec.encode(stacked, grey=True) == data
    assert codec.encode(stacked) != data


def test_steps_of_the_file_and_of_the_caller(codec, example):
    pixels, data, _ = example
    one = codec.decode(data)
    np.testing.assert_array_equal(codec.decode(data, steps=1), one)
    file_of_three = codec.encode(pixels, quality=60, importance=left_half(72, 104), seed=5, steps=3)
    three = codec.decode(file_of_three)
    np.testing.assert_array_equal(codec.decode(data, steps=3), three)
    assert np.any(three != one)
    assert np.any(codec.decode(data, steps=3, clock="clamped") != three)


def test_quality_and_roi_gain_move_the_rate(codec, example):
    pixels, _, _ = example
    sizes = [len(codec.encode(pixels, quality=q)) for q in (0, 25, 50, 75, 100)]
    assert sizes == sorted(sizes) and sizes[-1] > 2 * sizes[0]
    _, report = codec.encode(pixels, importance=left_half(72, 104), roi_gain=0, return_report=True)
    assert report.timesteps[0] == report.timesteps[1]


def test_a_ready_grid_equals_its_mask(codec, example):
    pixels, data, _ = example
    levels = maps.from_mask_array(left_half(72, 104), 72, 104, cell_size=16, num_levels=8)
    assert codec.encode(pixels, quality=60, levels=levels, seed=5) == data


def test_only_the_region_gets_the_quality(codec, example):
    pixels, mask = example[0], left_half(72, 104)
    settings = dict(importance=mask, roi_only=True, return_report=True)
    sizes = []
    for quality, timestep in ((0, 680), (50, 380), (100, 80)):
        data, report = codec.encode(pixels, quality=quality, **settings)
        assert report.timesteps == (740, timestep)
        assert codec.decode_latent(data)[1].symbol_hash == report.symbol_hash
        sizes.append(len(data))
    assert sizes == sorted(sizes)
    target = (sizes[0] + sizes[1]) // 2
    data, report = codec.encode(pixels, target_bytes=target, **settings)
    assert 0.97 * target < len(data) <= target and report.timesteps[0] == 740
    for nothing in ({}, dict(importance=np.zeros((72, 104)))):
        with pytest.raises(RdcError, match="no region"):
            codec.encode(pixels, roi_only=True, **nothing)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.97])
def test_target_bpp_is_met_from_below(codec, share):
    pixels = photograph(96, 96, seed=3)
    low, high = (8 * len(codec.encode(pixels, quality=q)) / 96**2 for q in (0, 100))
    target = low + share * (high - low)
    data, report = codec.encode(pixels, target_bpp=target, return_report=True)
    assert 8 * len(data) / 96**2 == report.bpp <= target
    assert report.bpp > 0.97 * target
    assert codec.encode(pixels, quality=report.quality) == data
    assert report.codings <= 8


@pytest.mark.parametrize("gain", [0, 300, 1000])
def test_target_bytes_with_a_region(codec, gain):
    pixels, mask = photograph(96, 96, seed=3), left_half(96, 96)
    settings = dict(importance=mask, roi_gain=gain)
    smallest, largest = (len(codec.encode(pixels, quality=q, **settings)) for q in (0, 100))
    target = (smallest + largest) // 2
    data, report = codec.encode(pixels, target_bytes=target, return_report=True, **settings)
    assert 0.97 * target < len(data) <= target
    assert codec.encode(pixels, quality=report.quality, **settings) == data


def test_a_size_target_runs_no_denoiser(codec, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("a picture was decoded")

    for name in ("decode", "decode_opened", "window_function", "reconstruct"):
        monkeypatch.setattr(codecs.Codec, name, forbidden)
    analyse, calls = window_networks.analyse, []
    monkeypatch.setattr(
        window_networks, "analyse", lambda *a, **k: calls.append(1) or analyse(*a, **k)
    )
    codec.encode(photograph(40, 40), target_bytes=900, best_effort=True)
    assert len(calls) == 1


def test_targets_out_of_reach(codec):
    pixels = photograph(32, 32)
    smallest = codec.encode(pixels, quality=0)
    with pytest.raises(RdcError, match=f"is {len(smallest)} bytes; ask for at least that"):
        codec.encode(pixels, target_bytes=len(smallest) - 1)
    assert codec.encode(pixels, target_bytes=len(smallest) - 1, best_effort=True) == smallest
    assert codec.encode(pixels, target_bpp=1e-6, best_effort=True) == smallest
    assert codec.encode(pixels, target_bpp=1e6) == codec.encode(pixels, quality=100)


def test_tiled_analysis_equals_the_whole_away_from_inner_edges(codec):
    pixels = photograph(8 * 44, 8 * 60)
    networks, params = codec._networks, codec._params
    tiled = window_networks.analyse(networks, params, pixels)
    image = jnp.asarray(pixels[None], jnp.float32) / 127.5 - 1
    whole = np.asarray(jax.jit(networks.encode)(params, image))[0]
    assert tiled.shape == whole.shape == (44, 60, 56)
    # Tiles of 40 begin at rows 0 and 4, columns 0 and 20; the network reaches 6 latent pixels.
    rows, columns = np.arange(44), np.arange(60)
    inner_row = ((rows >= 4) & (rows < 10)) | ((rows >= 34) & (rows < 40))
    inner_column = ((columns >= 20) & (columns < 26)) | ((columns >= 34) & (columns < 40))
    safe = ~(inner_row[:, None] | inner_column[None, :])
    assert safe.mean() > 0.5
    np.testing.assert_allclose(tiled[safe], whole[safe], atol=1e-2 * whole.std() / 10)
    assert np.abs(tiled - whole).max() > 0  # and elsewhere they do differ, by little:
    assert np.sqrt(np.mean((tiled - whole) ** 2)) < 0.05 * whole.std()


@pytest.mark.parametrize("clock", ["proportional", "clamped"])
def test_decoding_in_steps_is_the_sampler(codec, rng, clock):
    """One tile by `reference_sampler.sample` and the networks, called directly."""
    networks, params, side = codec._networks, codec._params, window_networks.WINDOW_PIXELS // 8
    shape = (side, side, 56)
    yhat, mean = (rng.normal(0, 30, shape).astype(np.float32) for _ in range(2))
    scale = np.exp(rng.normal(2, 1, shape)).astype(np.float32)
    levels = rng.integers(0, 8, (side, side)).astype(np.uint8)
    values = np.linspace(700, 200, 8).astype(np.float32)
    tile = window_networks.reconstruction(networks, params, values, steps=4, clock=clock)
    pixels = tile(yhat, mean, scale, levels, np.ones((side, side), np.float32), None)

    weights = jax.nn.one_hot(jnp.asarray(levels, jnp.int32)[None], 8)
    denoise = jax.jit(networks.denoise)
    clean = sample(
        lambda y, t: denoise(params, y, LevelTimesteps(t, weights), mean[None], scale[None]),
        jnp.asarray(yhat[None]),
        jnp.asarray(values[None]),
        lambda t: networks.steps_at_pixels(params, LevelTimesteps(t, weights)),
        num_steps=4,
        clock=clock,
    )
    expected = 127.5 * (np.asarray(networks.decode(params, clean))[0] + 1)
    np.testing.assert_allclose(pixels, expected, atol=1e-3 * expected.std())
