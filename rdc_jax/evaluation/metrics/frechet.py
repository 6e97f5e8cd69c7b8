"""Distances between sets of patches: Frechet distance and kernel distance of their features.

They measure whether the decoded patches as a set look like photographs, not whether each patch
looks like its original.

    images -> patches -> features [N,C] -> Frechet distance   of Gaussians fitted to both sets
                                          -> kernel distance    MMD of a cubic kernel, unbiased

The features here are those of LPIPS' AlexNet or VGG16. Their distances are **not** FID and KID,
which use an Inception network that no Python package contains (`set_distances` takes its file).
Compare only values of this module with each other. Patches are cut as for FID/256 in the literature
on compression.

Small sets bias a Frechet distance upwards: compare only equal numbers of patches, and more patches
than features (256 or 512). The kernel distance has no such bias.

Heusel et al.: GANs Trained by a Two Time-Scale Update Rule, 2017 (Frechet distance).
Binkowski et al.: Demystifying MMD GANs, 2018 (kernel distance).
Mentzer et al.: High-Fidelity Generative Image Compression, 2020 (patches).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.errors import RdcError
from rdc_jax.models.lpips_weights import Weights

PATCH_SIZE = 256
BATCH = 8  # patches per call of a network
SUBSETS = 100
SUBSET_SIZE = 1000


def half_shifted_patches(image: np.ndarray, size: int = PATCH_SIZE) -> np.ndarray:
    """The patches of a grid from the top left corner, then of a grid shifted by half a patch.

    The second grid starts half a patch further down and right and includes all patches that fit, as
    in NeuralCompression. The rest at the bottom and the right is not used. An image smaller than a
    patch gives no patches.

    Args:
        image: [h,w,c] of any type.
        size: Side of a patch, even.

    Returns:
        [n,size,size,c] of the same type, rows first within each grid.
    """
    if image.ndim != 3 or size < 2 or size % 2:
        raise RdcError(f"patches need an image [h,w,c] and an even side, not {image.shape}, {size}")
    patches = []
    for start in (0, size // 2):
        for top in range(start, image.shape[0] - size + 1, size):
            for left in range(start, image.shape[1] - size + 1, size):
                patches.append(image[top : top + size, left : left + size])
    if not patches:
        return np.zeros((0, size, size, image.shape[-1]), image.dtype)
    return np.stack(patches)


def features(weights: Weights, patches: np.ndarray) -> np.ndarray:
    """Features of patches: LPIPS' unit vectors of the last stage, averaged over the positions.

    They are multiplied by the root of the number of channels, so that components have a size of
    about 1 for every network, as the kernel expects.

    Args:
        weights: Of `lpips_weights.load`.
        patches: uint8 [N,h,w,3], 32 pixels or more on each side.

    Returns:
        float32 [N,C], with C = 256 for AlexNet and 512 for VGG16; rows have norms of at most
        sqrt(C).
    """
    patches = np.asarray(patches)
    if patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[-1] != 3:
        raise RdcError(f"features need uint8 [N,h,w,3], not {patches.dtype} {patches.shape}")
    found = [np.zeros((0, weights["conv"][-1][1].size), np.float32)]
    for start in range(0, len(patches), BATCH):
        batch = patches[start : start + BATCH]
        count = len(batch)
        batch = np.concatenate([batch, np.repeat(batch[-1:], BATCH - count, axis=0)])
        found.append(np.asarray(_jitted_features()(weights, batch))[:count])
    return np.concatenate(found)


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Frechet distance of the Gaussians fitted to two sets: >= 0, 0 for equal sets.

    Args:
        x: float [n,C], n >= 2.
        y: float [m,C], m >= 2.
    """
    x, y = _checked(x, y)
    means = x.mean(axis=0), y.mean(axis=0)
    return _distance(means[0], _factor(x - means[0]), means[1], _factor(y - means[1]))


def frechet_distance_of_gaussians(
    mean_x: np.ndarray, covariance_x: np.ndarray, mean_y: np.ndarray, covariance_y: np.ndarray
) -> float:
    """|m_x - m_y|^2 + trace(S_x + S_y - 2 (S_x S_y)^(1/2)), the squared Wasserstein-2 distance.

    Args:
        mean_x: float [C].
        covariance_x: float [C,C], symmetric, positive semi-definite.
        mean_y: float [C].
        covariance_y: As `covariance_x`.
    """
    factors = []
    for covariance in (covariance_x, covariance_y):
        values, vectors = np.linalg.eigh(covariance)
        factors.append(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T)
    return _distance(mean_x, factors[0], mean_y, factors[1])


def kernel_distance(
    x: np.ndarray,
    y: np.ndarray,
    subsets: int = SUBSETS,
    subset_size: int = SUBSET_SIZE,
    seed: int = 0,
) -> tuple[float, float]:
    """Squared maximum mean discrepancy of two sets for the kernel (a.b / C + 1)^3, unbiased.

    For two independent draws of one distribution the value is about 0, as often below as above.
    Originals and their own decoded patches are not independent: where a subset contains both, the
    value is a little too low (less so with more samples), and below 0 for equal sets. If a set is
    smaller than `subset_size`, subsets are as large as the smaller set.

    Args:
        x: float [n,C], n >= 2.
        y: float [m,C], m >= 2.
        subsets: Number of random subsets, drawn without replacement.
        subset_size: Samples of each set in a subset, at least 2.
        seed: Seed of the draws; equal seeds give equal results.

    Returns:
        Mean and standard deviation over the subsets.
    """
    x, y = _checked(x, y)
    size = min(subset_size, len(x), len(y))
    if size < 2 or subsets < 1:
        raise RdcError("the kernel distance needs at least one subset of at least 2 samples")
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(subsets):
        a, b = (z[generator.choice(len(z), size, replace=False)] for z in (x, y))
        values.append(_unbiased_mmd(a, b))
    return float(np.mean(values)), float(np.std(values))


def _checked(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets as float64."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise RdcError(f"sets of features are [n,C] and [m,C], not {x.shape} and {y.shape}")
    if min(len(x), len(y)) < 2:
        raise RdcError("a distance between sets needs two samples or more of each: add images")
    return x, y


def _factor(centred: np.ndarray) -> np.ndarray:
    """F [k,C] with F'F = the covariance of float64 [n,C] around 0; k is the smaller of n and C."""
    count, channels = centred.shape
    factor = np.linalg.qr(centred, mode="r") if count > channels else centred
    return factor / np.sqrt(count - 1)


def _distance(
    mean_x: np.ndarray, factor_x: np.ndarray, mean_y: np.ndarray, factor_y: np.ndarray
) -> float:
    """Distance of Gaussians whose covariances are F'F for their factors F [k,C].

    The trace of (S_x S_y)^(1/2) is the sum of the singular values of F_x F_y'. Unlike roots of
    eigenvalues they lose no digits where a covariance is singular: an eigenvalue of 0 becomes
    1e-16, and its root is 1e-8.
    """
    trace = np.sum(factor_x**2) + np.sum(factor_y**2)
    trace -= 2.0 * np.linalg.norm(factor_x @ factor_y.T, "nuc")
    return max(float(np.sum((mean_x - mean_y) ** 2) + trace), 0.0)


def _unbiased_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased estimate for float64 [n,C] and [n,C]: no sample is compared with itself."""
    count, channels = x.shape
    within_x, within_y, between = (
        (a @ b.T / channels + 1.0) ** 3 for a, b in ((x, x), (y, y), (x, y))
    )
    within = within_x.sum() - np.trace(within_x) + within_y.sum() - np.trace(within_y)
    return within / (count * (count - 1)) - 2.0 * between.mean()


@functools.cache
def _jitted_features() -> Callable:
    import jax
    import jax.numpy as jnp

    from rdc_jax.models.lpips import lpips_features

    def last_stage(weights: Weights, batch: jax.Array) -> jax.Array:
        vectors = lpips_features(weights, batch.astype(jnp.float32) / PIXEL_RANGE - 1.0)[-1]
        return jnp.mean(vectors, axis=(1, 2)) * np.sqrt(vectors.shape[-1]).astype(np.float32)

    return jax.jit(last_stage)
