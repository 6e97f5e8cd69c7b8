"""Distortion metrics against closed forms and published implementations."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.distortion import masked_psnr, ms_ssim, ms_ssim_scales, psnr


def test_psnr_of_a_constant_difference():
    reference = np.full((5, 7, 3), 100, np.uint8)
    assert psnr(reference, reference + 10) == pytest.approx(20 * np.log10(255 / 10))
    assert psnr(reference[..., 0], reference[..., 0] + 1) == pytest.approx(48.1308, abs=1e-4)


def test_psnr_extremes():
    black = np.zeros((2, 2, 3), np.uint8)
    assert psnr(black, black) == float("inf")
    assert psnr(black, ~black) == pytest.approx(0.0)


def test_psnr_does_not_wrap_around():
    assert psnr(np.array([[0]], np.uint8), np.array([[254]], np.uint8)) < 0.1


def test_masked_psnr_sees_its_region_only():
    reference = np.full((4, 4, 3), 100, np.uint8)
    decoded = reference.copy()
    decoded[:2] += 10
    decoded[2:] += 20
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    assert masked_psnr(reference, decoded, mask) == pytest.approx(20 * np.log10(255 / 10))
    assert masked_psnr(reference, decoded, 1 - mask) == pytest.approx(20 * np.log10(255 / 20))


def test_soft_mask_weighs(rng):
    reference, decoded = rng.integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    assert masked_psnr(reference, decoded, np.full((6, 5), 0.3)) == pytest.approx(
        psnr(reference, decoded)
    )


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((4, 4)), "selects nothing"),
        (np.ones((4, 5)), "mask is"),
        (np.full((4, 4), 255.0), r"\[0,1\]"),
        (np.full((4, 4), np.nan), r"\[0,1\]"),
    ],
)
def test_wrong_masks_are_refused(mask, message):
    picture = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(RdcError, match=message):
        masked_psnr(picture, picture, mask)


@pytest.mark.parametrize("metric", [psnr, ms_ssim])
def test_only_equal_8_bit_images_compare(metric):
    picture = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(RdcError, match="8-bit"):
        metric(picture, picture.astype(np.float32))
    with pytest.raises(RdcError, match="differ in shape"):
        metric(picture, picture[:8])
    with pytest.raises(RdcError, match="not an image"):
        metric(picture[:0], picture[:0])


def test_ms_ssim_of_equal_images_is_one(rng):
    for shape in ((176, 180, 3), (40, 30), (1, 1, 3), (2, 9, 1)):
        picture = rng.integers(0, 256, shape, dtype=np.uint8)
        assert ms_ssim(picture, picture) == pytest.approx(1.0)


def test_ms_ssim_of_constant_images_is_the_luminance_term():
    # No variance: every contrast-structure term is 1, so only the coarsest scale speaks.
    a, b = 100.0, 150.0
    c1 = (0.01 * 255) ** 2
    luminance = (2 * a * b + c1) / (a * a + b * b + c1)
    pictures = [np.full((192, 192, 3), value, np.uint8) for value in (a, b)]
    assert ms_ssim(*pictures) == pytest.approx(luminance**0.1333)


def test_ms_ssim_matches_the_definition_at_one_scale(rng):
    # An 11x11 picture holds exactly one window: SSIM by its formula.
    x, y = rng.integers(0, 256, (2, 11, 11), dtype=np.uint8)
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    mean_x, mean_y = np.sum(window * x), np.sum(window * y)
    variance_x = np.sum(window * (x - mean_x) ** 2)
    variance_y = np.sum(window * (y - mean_y) ** 2)
    covariance = np.sum(window * (x - mean_x) * (y - mean_y))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    expected /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    assert ms_ssim(x, y) == pytest.approx(max(expected, 0.0))


def test_ms_ssim_agrees_with_pytorch_msssim():
    # Values of pytorch-msssim 1.0.0 in float64 on the same pictures; odd sides included.
    for (height, width), expected in {
        (256, 256): 0.95037990,
        (301, 263): 0.95114989,
        (161, 333): 0.95021688,
    }.items():
        row, column = np.mgrid[:height, :width]
        picture = np.stack(
            [(row * row + 3 * column) % 251, (row * column) // 7 % 256, (row + column) // 2 % 256],
            axis=-1,
        )
        reference = picture.astype(np.uint8)
        decoded = np.clip(picture + (row * 7 + column * 13)[..., None] % 41 - 20, 0, 255)
        assert ms_ssim(reference, decoded.astype(np.uint8)) == pytest.approx(expected, abs=2e-6)


def test_small_images_use_fewer_scales():
    assert [ms_ssim_scales(side) for side in (1, 11, 20, 21, 41, 81, 160, 161, 4000)] == [
        1, 1, 1, 2, 3, 4, 4, 5, 5,
    ]  # fmt: skip


def test_ms_ssim_falls_with_noise(rng):
    reference = np.add.outer(np.arange(170), np.arange(170)).astype(np.uint8)
    noise = rng.normal(size=reference.shape)
    values = [
        ms_ssim(reference, np.clip(reference + s * noise, 0, 255).astype(np.uint8))
        for s in (2, 8, 32)
    ]
    assert 1 > values[0] > values[1] > values[2] > 0


def test_ms_ssim_of_luma_ignores_equal_luma(rng):
    grey = np.repeat(rng.integers(0, 256, (32, 32, 1), dtype=np.uint8), 3, axis=-1)
    assert ms_ssim(grey, grey, luma=True) == pytest.approx(1.0)
    noisy = rng.integers(0, 256, grey.shape, dtype=np.uint8)
    same = ms_ssim(grey, np.repeat(noisy[..., :1], 3, axis=-1))
    assert ms_ssim(grey, np.repeat(noisy[..., :1], 3, axis=-1), luma=True) == pytest.approx(same)
    with pytest.raises(RdcError, match="three channels"):
        ms_ssim(grey[..., 0], grey[..., 0], luma=True)
