"""The share of an added pattern: its definition by Fourier transforms, and known cases."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import added_pattern

GREY = np.full((128, 192, 3), 128, np.uint8)


def with_added(difference):
    """GREY with a luma difference [H,W] added to all channels."""
    return np.clip(np.rint(GREY + difference[..., None]), 0, 255).astype(np.uint8)


def by_fourier(difference):
    """The definition in the module's docstring, word for word."""
    on_grid = total = 0.0
    for top in range(0, difference.shape[0] - 63, 64):
        for left in range(0, difference.shape[1] - 63, 64):
            window = difference[top : top + 64, left : left + 64]
            power = np.abs(np.fft.fft2(window - window.mean())) ** 2 / 64**2
            on_grid, total = on_grid + power[::8, ::8].sum(), total + power.sum()
    return on_grid, total


def test_a_dot_every_8_pixels_is_nearly_all_of_the_energy(rng):
    dots = np.zeros(GREY.shape[:2])
    dots[3::8, 5::8] = 40
    faithful = rng.integers(60, 190, GREY.shape, np.uint8)
    realistic = faithful + dots[..., None].astype(np.uint8)
    energy = added_pattern.added_energy(faithful, realistic)
    assert energy.total == pytest.approx(40**2 * dots.size * (1 / 64 - 1 / 64**2))
    assert added_pattern.share([energy]) == pytest.approx(1.0)
    noisy = with_added(dots + rng.normal(0, 1, dots.shape))
    assert added_pattern.share([added_pattern.added_energy(GREY, noisy)]) > 0.9


def test_white_noise_has_the_share_of_chance(rng):
    energies = [added_pattern.energy(rng.normal(0, 5, (256, 256))) for _ in range(8)]
    assert added_pattern.share(energies) == pytest.approx(added_pattern.CHANCE, rel=0.05)
    assert added_pattern.CHANCE == pytest.approx(1 / 64, rel=0.02)


@pytest.mark.parametrize("shape", [(64, 64), (131, 200)])
def test_it_is_what_fourier_transforms_of_windows_give(rng, shape):
    y, x = np.mgrid[: shape[0], : shape[1]]
    difference = rng.normal(0, 3, shape) + 2 * np.cos(2 * np.pi * (x + 2 * y) / 8) + 0.01 * x
    np.testing.assert_allclose(added_pattern.energy(difference), by_fourier(difference))


@pytest.mark.parametrize("period", [5, 7, 16])
def test_other_periods_are_no_pattern_of_the_grid(period):
    y, x = np.mgrid[:128, :192]
    wave = 20 * np.cos(2 * np.pi * x / period) * np.cos(2 * np.pi * y / period)
    assert added_pattern.share([added_pattern.added_energy(GREY, with_added(wave))]) < 0.02


def test_brightness_alone_and_nothing_at_all_are_no_pattern():
    assert added_pattern.share([added_pattern.added_energy(GREY, GREY + 9)]) == 0.0
    assert added_pattern.share([added_pattern.added_energy(GREY, GREY)]) == 0.0
    assert added_pattern.share([]) == 0.0


def test_images_are_pooled_by_their_energy():
    weak, strong = added_pattern.Energy(1.0, 1.0), added_pattern.Energy(0.0, 9.0)
    assert added_pattern.share([weak, strong]) == pytest.approx(0.1)


@pytest.mark.parametrize("shape", [(63, 80, 3), (64, 64, 1)])
def test_what_cannot_be_measured_is_refused(shape):
    picture = np.zeros(shape, np.uint8)
    with pytest.raises(RdcError, match="added pattern needs"):
        added_pattern.added_energy(picture, picture)
