"""Tau as a map or a word, and what is refused."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.importance import maps
from tests.codec.cases import HEIGHT, WIDTH, difference, right_part, smooth

# Maps


@pytest.mark.parametrize("steps", [1, 3])
def test_half_a_map_has_both_ends(codec, steps):
    """Over two tiles, with the border inside their overlap; 64 px from it, each half is alone."""
    height, width, border = 40, 448, 208
    data = codec.encode(smooth(height, width, seed=2), quality=50)
    mixed, faithful, realistic = (
        codec.decode(data, tau=tau, steps=steps)
        for tau in (right_part(height, width, border), 0, 1)
    )
    assert difference(faithful, realistic)[:, : border - 64].mean() > 1
    assert difference(mixed, faithful)[:, : border - 64].max() <= 1
    assert difference(mixed, realistic)[:, border + 64 :].max() <= 1


def test_a_border_of_the_map_is_not_a_seam(codec):
    """Compared with columns between other latent pixels, where an untrained synthesis has steps."""
    height, width, border = 192, 256, 128
    data = codec.encode(smooth(height, width, seed=4), quality=50)
    picture = codec.decode(data, tau=right_part(height, width, border)).astype(float)
    gradient = np.abs(np.diff(picture, axis=1)).mean(axis=(0, 2))[7::8]
    column = border // 8 - 1
    interiors = gradient[: column - 4].mean(), gradient[column + 5 :].mean()
    assert gradient[column] <= 1.25 * max(interiors)


def test_a_map_is_averaged_over_latent_pixels(codec, data):
    board = np.indices((HEIGHT, WIDTH)).sum(0) % 2 == 0
    even = codec.decode(data, tau=np.full((HEIGHT, WIDTH), 0.5))
    assert difference(codec.decode(data, tau=board), even).max() <= 1


def test_roi_keeps_what_the_file_calls_important(codec, example):
    _, data, report = example
    np.testing.assert_array_equal(np.unique(report.levels), [0, 7])
    by_hand = np.kron(1 - report.levels / 7, np.ones((8, 8)))[:HEIGHT, :WIDTH]
    found = codec.decode(data, tau="roi", steps=2)
    np.testing.assert_array_equal(found, codec.decode(data, tau=by_hand, steps=2))
    np.testing.assert_array_equal(
        found, codec.decode(data, tau=right_part(HEIGHT, WIDTH, 48), steps=2)
    )


def test_roi_has_all_levels_between(codec):
    mask = np.broadcast_to(np.linspace(0, 1, WIDTH), (HEIGHT, WIDTH))
    data, report = codec.encode(smooth(HEIGHT, WIDTH), importance=mask, return_report=True)
    assert len(np.unique(report.levels)) > 5
    by_hand = np.kron(1 - report.levels / 7, np.ones((8, 8)))[:HEIGHT, :WIDTH]
    found = codec.decode(data, tau="roi")
    assert difference(found, codec.decode(data, tau=by_hand)).max() <= 1


def test_roi_of_a_file_without_a_map_is_tau_1(codec):
    data = codec.encode(smooth(24, 40))
    np.testing.assert_array_equal(codec.decode(data, tau="roi"), codec.decode(data, tau=1))


def test_tau_at_every_latent_pixel():
    levels = np.array([[0, 3], [6, 7]], np.uint8)
    arguments = levels, 8, (12, 16), 8
    np.testing.assert_array_equal(maps.tau_map(0.25, *arguments), np.full((2, 2), 0.25))
    roi = maps.tau_map("roi", *arguments)
    assert roi.dtype == np.float32
    np.testing.assert_allclose(roi, [[1, 4 / 7], [1 / 7, 0]], rtol=1e-6)
    tau = np.zeros((12, 16))
    tau[:8, :8], tau[8:, 8:] = 1, 0.5  # the lower latent pixels have four rows
    np.testing.assert_allclose(maps.tau_map(tau, *arguments), [[1, 0], [0, 0.5]], atol=2e-3)


# What is refused


@pytest.mark.parametrize(
    ("tau", "message"),
    [
        (-0.1, r"tau -0\.1 must be between 0 .* and 1"),
        (1.1, r"tau 1\.1 must be between"),
        (2, "tau 2 must be between"),
        (float("nan"), "tau nan must be between"),
        (float("inf"), "tau inf must be between"),
        (np.float64(2), "tau 2"),
        (np.float32(2), "tau 2"),
        (np.float32("nan"), "tau nan"),
        (np.int64(2), "tau 2"),
        (np.array(2.0), "tau 2"),
        ("half", "tau 'half' is not a number, an array, or 'roi'"),
        ("0.5", r"tau '0\.5'"),
        (np.ones((WIDTH, HEIGHT)), f"tau map: .*is {HEIGHT} x {WIDTH} pixels but.*resize"),
        (np.ones((HEIGHT, WIDTH, 3)), "tau map: .*shape .*give an array"),
        (np.ones(HEIGHT), "tau map: "),
        (np.full((HEIGHT, WIDTH), np.nan), "tau map: .*not in 0 to 1"),
        (np.full((HEIGHT, WIDTH), 1.5), "tau map: .*not in 0 to 1"),
        (np.full((HEIGHT, WIDTH), -0.5), "tau map: .*not in 0 to 1"),
        (np.ones((HEIGHT, WIDTH), np.int32), "tau map: .*int32"),
    ],
)
def test_a_tau_that_cannot_be_is_named(codec, data, tau, message):
    with pytest.raises(RdcError, match=message) as error:
        codec.decode(data, tau=tau)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("steps", [0, 256, -1])
def test_steps_out_of_range_are_refused(codec, data, steps):
    with pytest.raises(RdcError, match=f"steps {steps} must be between 1 and 255"):
        codec.decode(data, tau=1.0, steps=steps)


@pytest.mark.parametrize("tau", [-0.1, 1.1, float("nan"), np.float32("nan"), np.float32(2)])
def test_a_hint_out_of_range_is_refused(codec, tau):
    with pytest.raises(RdcError, match="tau"):
        codec.encode(smooth(8, 8), tau=tau)
