"""Metrics of regions: where they equal those of whole pictures, and what a seam does."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.distortion import ms_ssim
from rdc_jax.evaluation.metrics.masked import masked_lpips, masked_ms_ssim, seam_statistic
from rdc_jax.models.lpips import lpips_map


def waves(height, width):
    """A smooth picture, uint8 [h,w,3], far from 0 and 255."""
    y, x, channel = np.meshgrid(*(np.arange(n) for n in (height, width, 3)), indexing="ij")
    return np.round(128 + 30 * np.sin(x / 5 + channel) + 20 * np.cos(y / 9)).astype(np.uint8)


def with_error(picture, error):
    return np.clip(np.round(picture + error), 0, 255).astype(np.uint8)


def left_half(height, width):
    return np.broadcast_to(np.arange(width) < width // 2, (height, width))


# MS-SSIM


@pytest.mark.parametrize("size", [(181, 203), (48, 64), (7, 9)])
def test_ms_ssim_of_all_is_that_of_the_image(rng, size):
    picture = waves(*size)
    decoded = with_error(picture, rng.normal(0, 12, picture.shape))
    for level in (1.0, 0.3):  # only the ratios of a mask matter
        found = masked_ms_ssim(picture, decoded, np.full(size, level))
        assert found == pytest.approx(ms_ssim(picture, decoded), abs=1e-12)


def test_ms_ssim_of_a_region_sees_its_errors(rng):
    picture, mask = waves(200, 240), left_half(200, 240)
    decoded = with_error(picture, np.where(mask[..., None], rng.normal(0, 20, picture.shape), 0))
    inside = masked_ms_ssim(picture, decoded, mask)
    outside = masked_ms_ssim(picture, decoded, 1.0 - mask)
    assert inside < ms_ssim(picture, decoded) < outside
    assert outside > 0.97
    assert masked_ms_ssim(picture, picture, mask) == pytest.approx(1.0, abs=1e-12)


def test_ms_ssim_of_one_scale_splits_into_the_regions(rng):
    """There the figure is a mean: the parts weigh as much as the mask does under the windows."""
    picture, mask = waves(14, 14), left_half(14, 14)
    decoded = with_error(picture, rng.normal(0, 20, picture.shape))
    parts = [masked_ms_ssim(picture, decoded, m) for m in (mask, ~mask)]
    assert min(parts) <= ms_ssim(picture, decoded) <= max(parts)


def test_ms_ssim_reaches_a_single_pixel_in_the_corner(rng):
    picture = waves(180, 180)
    decoded = with_error(picture, rng.normal(0, 20, picture.shape))
    mask = np.zeros((180, 180))
    mask[0, 0] = 1.0
    assert 0.0 < masked_ms_ssim(picture, decoded, mask) < 1.0


# LPIPS


@pytest.fixture
def thin_alexnet(random_weights):
    return random_weights("alexnet", 8)


def test_lpips_of_a_region_weighs_the_map(thin_alexnet, rng):
    weights, picture, mask = thin_alexnet, waves(64, 96), left_half(64, 96)
    decoded = with_error(picture, np.where(mask[..., None], rng.normal(0, 25, picture.shape), 0))
    x, y = (p[None].astype(np.float32) / 127.5 - 1.0 for p in (picture, decoded))
    values = np.asarray(jax.jit(lpips_map)(weights, x, y)[0])
    soft = np.where(mask, 1.0, 0.25)
    for region in (mask, soft, np.ones((64, 96))):
        found = masked_lpips(weights, picture, decoded, region)
        assert found == pytest.approx(np.average(values, weights=region), rel=1e-5)
    inside, outside = (masked_lpips(weights, picture, decoded, m) for m in (mask, ~mask))
    assert inside > 2 * outside


# The seam


@pytest.mark.parametrize(("left", "right"), [(8.0, 8.0), (4.0, 16.0)])
def test_white_noise_has_no_seam(rng, left, right):
    mask = left_half(256, 256)
    strength = np.where(mask, left, right)[..., None]
    picture = np.full((256, 256, 3), 128, np.uint8)
    decoded = with_error(picture, strength * rng.normal(0, 1, picture.shape))
    assert seam_statistic(decoded, picture, mask) == pytest.approx(1.0, abs=0.08)
    assert seam_statistic(picture, decoded, mask) == seam_statistic(decoded, picture, mask)


def test_a_step_is_a_seam(rng):
    y, x = np.mgrid[:160, :160]
    mask = (y - 80) ** 2 + (x - 80) ** 2 < 40**2
    picture = waves(160, 160)
    noise = rng.normal(0, 2, picture.shape)
    assert seam_statistic(with_error(picture, noise), picture, mask) < 1.2
    assert seam_statistic(with_error(picture, noise + 12 * mask[..., None]), picture, mask) > 4.0
    assert seam_statistic(with_error(picture, 12.0 * mask[..., None]), picture, mask) == np.inf


def test_a_step_elsewhere_is_none(rng):
    mask = left_half(128, 128)
    picture = waves(128, 128)
    step = 12.0 * (np.arange(128) < 96)[None, :, None]
    decoded = with_error(picture, rng.normal(0, 2, picture.shape) + step)
    assert seam_statistic(decoded, picture, mask) < 1.2
    assert seam_statistic(decoded, picture, mask, tau=np.float32(0.5)) < 1.2


def test_the_borders_of_tau_count_too(rng):
    mask = left_half(128, 128)
    tau = np.broadcast_to((np.arange(128) < 64)[:, None], (128, 128)).astype(np.float32)
    picture = waves(128, 128)
    decoded = with_error(picture, rng.normal(0, 2, picture.shape) + 12 * tau[..., None])
    alone, both = (
        seam_statistic(decoded, picture, mask),
        seam_statistic(decoded, picture, mask, tau),
    )
    assert alone < 1.2
    assert both > 2.5
    assert seam_statistic(decoded, picture, tau) > 4.0


def test_equal_images_and_gray_ones(rng):
    picture, mask = waves(64, 64), left_half(64, 64)
    assert seam_statistic(picture, picture, mask) == 1.0
    gray = picture[..., 0]
    assert 0.5 < seam_statistic(with_error(gray, rng.normal(0, 9, gray.shape)), gray, mask) < 1.5


@pytest.mark.parametrize(
    ("mask", "tau", "message"),
    [
        (np.ones((64, 64)), None, "no border"),
        (np.arange(64)[None] % 16 < np.full((64, 1), 8), None, "no further than 8 pixels"),
        (np.ones((64, 63)), None, "mask is"),
        (np.eye(64), np.full((64, 64), 2.0), r"\[0,1\]"),
    ],
)
def test_masks_without_a_statistic(mask, tau, message):
    with pytest.raises(RdcError, match=message):
        seam_statistic(waves(64, 64), waves(64, 64), mask, tau)


# Arguments


@pytest.mark.parametrize("metric", [masked_ms_ssim, masked_lpips])
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((40, 40)), "selects nothing"),
        (np.ones((40, 41)), "mask is"),
        (np.full((40, 40), 255.0), r"\[0,1\]"),
        (np.full((40, 40), np.nan), r"\[0,1\]"),
    ],
)
def test_bad_masks_are_refused(thin_alexnet, metric, mask, message):
    weights = [thin_alexnet] if metric is masked_lpips else []
    with pytest.raises(RdcError, match=message):
        metric(*weights, waves(40, 40), waves(40, 40), mask)


def test_bad_images_are_refused(thin_alexnet):
    mask = np.ones((40, 40))
    for function in (masked_ms_ssim, seam_statistic):
        with pytest.raises(RdcError, match="8-bit"):
            function(waves(40, 40), waves(40, 40).astype(np.float32), mask)
    with pytest.raises(RdcError, match=r"\[B,H,W,3\]"):
        masked_lpips(thin_alexnet, waves(40, 40)[..., 0], waves(40, 40)[..., 0], mask)
    with pytest.raises(RdcError, match="32 pixels"):
        masked_lpips(thin_alexnet, waves(20, 40), waves(20, 40), np.ones((20, 40)))


def test_jax_is_not_imported_before_it_is_needed(user_environment):
    code = "import sys, rdc_jax.evaluation.metrics.masked; print('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], env=user_environment,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"
