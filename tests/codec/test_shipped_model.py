"""The default model on the demo's photograph: what a user gets, through real bytes."""

import numpy as np
import pytest

import rdc_jax
from rdc_jax.codec import quality_target
from rdc_jax.demo import FOLDER
from rdc_jax.evaluation import baselines
from rdc_jax.evaluation.metrics.distortion import masked_psnr, psnr
from rdc_jax.images import read_image


@pytest.fixture(scope="module")
def codec():
    return rdc_jax.load()


@pytest.fixture(scope="module")
def photo():
    return read_image(FOLDER / "flower.png").pixels


@pytest.fixture(scope="module")
def mask():
    return read_image(FOLDER / "flower_mask.png").pixels[..., 0] > 127


def test_better_than_jpeg_at_equal_bytes(codec, photo):
    data = codec.encode(photo, quality=40)
    jpeg, _ = baselines.size_matched("jpeg", photo, len(data))
    assert psnr(photo, codec.decode(data)) > psnr(photo, baselines.decode("jpeg", jpeg)) + 1.0


def test_the_mask_moves_quality_into_the_region_at_equal_bytes(codec, photo, mask):
    adaptive, report = codec.encode(photo, quality=40, importance=mask, return_report=True)
    uniform = codec.encode(photo, target_bpp=report.bpp)
    assert len(uniform) <= len(adaptive)
    gain = masked_psnr(photo, codec.decode(adaptive), mask)
    gain -= masked_psnr(photo, codec.decode(uniform), mask)
    assert gain > 1.5
    assert report.section_bytes["importance"] < 0.02 * len(adaptive)


@pytest.mark.parametrize("size", [(256, 272), (272, 256), (200, 216), (264, 280)])
@pytest.mark.parametrize("value", [0, 40, 255])
def test_sides_that_end_within_a_cell_have_no_band(codec, size, value):
    """A hyper-latent's cell is 32 pixels; what the context lacks beyond must not be taken for 0."""
    pixels = np.full((*size, 3), value, np.uint8)
    decoded = codec.decode(codec.encode(pixels, quality=30), tau=0.0).astype(int)
    assert np.abs(decoded[-4:] - value).max() < 12  # 9 at 256 x 256, 23 to 71 with zeros
    assert np.abs(decoded[:, -4:] - value).max() < 12


def test_rate_and_fidelity_grow_with_quality(codec, photo):
    coded = [codec.encode(photo[:256, :256], quality=q) for q in (0, 25, 50, 75, 100)]
    sizes = [len(data) for data in coded]
    fidelity = [psnr(photo[:256, :256], codec.decode(data)) for data in coded]
    assert sizes == sorted(set(sizes)) and fidelity == sorted(set(fidelity))


@pytest.mark.parametrize("quality", [5, 50, 95])
def test_the_file_is_as_small_as_the_model_says(codec, photo, mask, quality):
    data, report = codec.encode(photo, quality=quality, importance=mask, return_report=True)
    assert len(data) <= 1.01 * report.ideal_bits / 8 + 64


def test_the_noise_of_a_real_file_is_uniform_at_every_level(codec, photo, mask):
    """Of the elements that are sent; the others are far more, and their noise is the dither."""
    from rdc_jax.codec import window_networks
    from rdc_jax.entropy import tables

    latent = window_networks.analyse(codec._networks, codec._params, photo)
    data = codec.encode(photo, quality=60, importance=mask, seed=7)
    _, coded, conditions = codec.decode_latent(data)
    step = codec.entropy.step_fixed / 2**20 * codec.entropy.latent_unit
    levels = conditions.levels[: conditions.height, : conditions.width]
    step = step[conditions.timesteps][levels]
    error = (coded.yhat - latent) / step
    fixed = np.rint(1024 * np.log2(coded.scale / step)).astype(np.int64)
    index = tables.scale_index_from_log2(fixed, 10)
    sent = index > codec.entropy.skipped_scales  # those at the threshold itself left out
    assert 0.05 < sent.mean() < 0.6
    unsent = ((coded.yhat - coded.mean) / step)[index < codec.entropy.skipped_scales - 1]
    assert abs(12 * unsent.var() - 1) < 0.02 and np.abs(unsent).max() < 0.5
    levels = np.broadcast_to(levels[..., None], sent.shape)
    for level in np.unique(levels):
        u = error[sent & (levels == level)]
        if u.size < 20_000:
            continue
        assert abs(u.mean()) < 0.01
        assert abs(12 * u.var() - 1) < 0.02
        # 32 dither values and float32 latents: the support may be passed by a rounding error
        assert np.abs(u).max() < 0.5 + 1e-3
    clean = latent - latent.mean((0, 1))
    assert abs(np.corrcoef(error[sent], clean[sent])[0, 1]) < 0.015


def test_more_steps_and_the_other_clock_decode_the_same_file(codec, photo):
    data = codec.encode(photo[:200, :120], quality=30)
    one, alone = codec.decode(data, steps=1, tau=0.0), rdc_jax.load(fusion="none")
    for clock in ("proportional", "clamped"):
        four = alone.decode(data, steps=4, tau=1.0, clock=clock)
        assert four.shape == one.shape and 18 < psnr(one, four) < 60


def test_tau_trades_little_error_for_its_detail(codec, photo):
    data = codec.encode(photo, quality=60)
    faithful, half, realistic = (codec.decode(data, tau=tau) for tau in (0.0, 0.5, 1.0))
    suggested = codec.decode(data).astype(int)  # 128/255 in the file
    assert np.abs(suggested - half).max() <= 1 and np.any(suggested != faithful)
    np.testing.assert_array_equal(rdc_jax.load(fusion="none").decode(data), faithful)
    errors = [psnr(photo, picture) for picture in (faithful, half, realistic)]
    assert errors[0] > errors[2] > errors[0] - 1.0
    assert psnr(faithful, realistic) < psnr(faithful, half) < 60


@pytest.mark.parametrize("with_mask", [False, True])
def test_sizes_are_hit_from_below(codec, photo, mask, with_mask):
    corner = dict(importance=mask[:160, :128]) if with_mask else {}
    pixels = photo[:160, :128]
    ends = [len(codec.encode(pixels, quality=q, **corner)) for q in (0, 100)]
    rng = np.random.default_rng(0)
    codings = []
    for target in np.exp(rng.uniform(*np.log(ends), size=4)).astype(int) + 1:
        data, report = codec.encode(pixels, target_bytes=target, return_report=True, **corner)
        assert 0.98 * target <= len(data) <= target
        codings.append(report.codings)
    assert np.mean(codings) <= 6  # of files of some hundred bytes; of larger ones 3.2


def test_a_image_quality_is_reached_and_hardly_exceeded(codec, photo):
    pixels = photo[:160, :128]
    target = quality_target.parse("psnr=30")
    data, _, value = quality_target.encode(codec, pixels, target)
    assert 30 <= psnr(pixels, codec.decode(data)) == value < 30.3
