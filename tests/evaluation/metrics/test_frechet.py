"""Distances of sets against closed forms, SciPy's matrix root and a plain double sum."""

import numpy as np
import pytest
import scipy.linalg

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import frechet
from rdc_jax.evaluation.metrics.frechet import (
    features,
    frechet_distance,
    frechet_distance_of_gaussians,
    half_shifted_patches,
    kernel_distance,
)
from rdc_jax.models.lpips import lpips_features

# Patches


@pytest.mark.parametrize(
    ("size", "corners"),
    [
        ((7, 20), []),
        ((8, 8), [(0, 0)]),
        ((12, 11), [(0, 0)]),
        ((12, 12), [(0, 0), (4, 4)]),
        ((16, 16), [(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)]),
        ((20, 12), [(0, 0), (8, 0), (4, 4), (12, 4)]),
    ],
)
def test_patches_of_both_grids(size, corners):
    image = np.arange(size[0] * size[1] * 3, dtype=np.int32).reshape(*size, 3)
    patches = half_shifted_patches(image, 8)
    assert patches.shape == (len(corners), 8, 8, 3)
    assert patches.dtype == image.dtype
    for patch, (top, left) in zip(patches, corners, strict=True):
        np.testing.assert_array_equal(patch, image[top : top + 8, left : left + 8])


def test_the_usual_patch_has_256_pixels():
    assert half_shifted_patches(np.zeros((512, 768, 3), np.uint8)).shape == (8, 256, 256, 3)
    assert half_shifted_patches(np.zeros((255, 768, 3), np.uint8)).shape == (0, 256, 256, 3)


@pytest.mark.parametrize(("shape", "size"), [((16, 16), 8), ((16, 16, 3), 7), ((16, 16, 3), 0)])
def test_other_patches_are_refused(shape, size):
    with pytest.raises(RdcError, match="even side"):
        half_shifted_patches(np.zeros(shape), size)


# Frechet distance


def test_diagonal_gaussians_have_a_closed_form(rng):
    means, deviations = rng.normal(0, 1, (2, 5)), rng.uniform(0.5, 2.0, (2, 5))
    expected = np.sum((means[0] - means[1]) ** 2 + (deviations[0] - deviations[1]) ** 2)
    found = frechet_distance_of_gaussians(
        means[0], np.diag(deviations[0] ** 2), means[1], np.diag(deviations[1] ** 2)
    )
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("count", [200, 6])  # more samples than features, and fewer
def test_agrees_with_the_root_of_the_matrix(rng, count):
    mix = rng.normal(0, 1, (2, 12, 12))
    x, y = rng.normal(0, 1, (2, count, 12)) @ mix + rng.normal(0, 1, (2, 1, 12))
    covariance_x, covariance_y = np.cov(x.T), np.cov(y.T)
    ridge = 0.0 if count > 12 else 1e-9 * np.eye(12)  # SciPy's root of a singular one is poor
    root = scipy.linalg.sqrtm((covariance_x + ridge) @ (covariance_y + ridge)).real
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2)
    expected += np.trace(covariance_x + covariance_y - 2.0 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-8 if count > 12 else 1e-3)


def test_frechet_distance_of_draws_of_known_gaussians(rng):
    x = rng.normal(0, 1, (40000, 4))
    y = 3.0 + 2.0 * rng.normal(0, 1, (40000, 4))
    assert frechet_distance(x, y) == pytest.approx(4 * (9 + 1), rel=0.02)


@pytest.mark.parametrize("shape", [(50, 8), (5, 64), (2, 3), (10, 1)])
def test_equal_sets_are_at_zero(rng, shape):
    x = rng.normal(0, 1, shape)
    y = x + 1.0
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(x, y) == pytest.approx(shape[1], abs=1e-9)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x))


def test_few_samples_and_their_singular_covariances_agree(rng):
    x, y = rng.normal(0, 1, (5, 64)), rng.normal(1, 2, (8, 64))
    gaussians = (part for z in (x, y) for part in (z.mean(0), np.cov(z.T)))
    expected = frechet_distance(x, y)
    assert frechet_distance_of_gaussians(*gaussians) == pytest.approx(expected, rel=1e-6)


# Kernel distance


def test_kernel_distance_is_the_double_sum(rng):
    x, y = rng.normal(0, 1, (4, 3)), rng.normal(1, 1, (4, 3))

    def kernel(a, b):
        return (a @ b / 3 + 1) ** 3

    pairs = [(i, j) for i in range(4) for j in range(4)]
    within = sum(kernel(z[i], z[j]) for z in (x, y) for i, j in pairs if i != j) / 12
    between = sum(kernel(x[i], y[j]) for i, j in pairs) / 16
    mean, deviation = kernel_distance(x, y, subsets=3, subset_size=4)
    assert mean == pytest.approx(within - 2 * between)
    assert deviation == pytest.approx(0.0, abs=1e-9)  # a subset of all is always the same


def test_kernel_distance_of_one_distribution_has_no_bias(rng):
    draws = [kernel_distance(*rng.normal(0, 1, (2, 20, 8)), subsets=1)[0] for _ in range(400)]
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws)) < 3 * error
    assert min(draws) < 0.0 < max(draws)
    shifted = kernel_distance(rng.normal(0, 1, (200, 8)), rng.normal(0.5, 1, (200, 8)))[0]
    assert shifted > 10 * error


def test_kernel_distance_repeats_with_its_seed(rng):
    x, y = rng.normal(0, 1, (2, 60, 4))
    first, again, other = (kernel_distance(x, y, 5, 20, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first[1] > 0.0


@pytest.mark.parametrize("function", [frechet_distance, kernel_distance])
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "two samples"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "sets of features"),
        (np.zeros(5), np.zeros((5, 4)), "sets of features"),
    ],
)
def test_sets_that_have_no_distance(function, x, y, message):
    with pytest.raises(RdcError, match=message):
        function(x, y)


def test_subsets_of_one_are_refused():
    for subsets, size in ((5, 1), (0, 5)):
        with pytest.raises(RdcError, match="at least 2 samples"):
            kernel_distance(np.zeros((5, 3)), np.zeros((5, 3)), subsets, size)


# Features


@pytest.mark.parametrize("backbone", ["alexnet", "vgg16"])
def test_features_do_not_depend_on_the_batch(random_weights, rng, monkeypatch, backbone):
    monkeypatch.setattr(frechet, "BATCH", 3)
    weights = random_weights(backbone, 8)
    patches = rng.integers(0, 256, (5, 32, 40, 3), dtype=np.uint8)
    found = features(weights, patches)
    assert (found.shape, found.dtype) == ((5, 8), np.float32)
    assert np.all(np.linalg.norm(found, axis=1) <= 8**0.5 + 1e-5)
    np.testing.assert_allclose(features(weights, patches[4:]), found[4:], rtol=1e-5)
    assert features(weights, patches[:0]).shape == (0, 8)


def test_features_are_the_mean_of_the_last_stage(random_weights, rng):
    weights = random_weights("alexnet", 8)
    patch = rng.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    last = np.asarray(lpips_features(weights, patch.astype(np.float32) / 127.5 - 1.0)[-1])
    expected = 8**0.5 * last.mean(axis=(1, 2))
    np.testing.assert_allclose(features(weights, patch), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "patches", [np.zeros((2, 32, 32, 3), np.float32), np.zeros((32, 32, 3), np.uint8)]
)
def test_only_8_bit_patches_have_features(random_weights, patches):
    with pytest.raises(RdcError, match="uint8"):
        features(random_weights("alexnet", 8), patches)
