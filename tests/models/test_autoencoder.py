"""The transform autoencoder starts as a DCT."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.models.autoencoder import (
    LATENT_GAIN,
    RGB_TO_YCBCR,
    TransformAutoencoder,
    dct_analysis_matrix,
)
from rdc_jax.models.growth import grown


@pytest.fixture(scope="module")
def autoencoder():
    model = TransformAutoencoder(luma=21, chroma=6, fine_width=4, width=8, blocks=1)
    return model, jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


def smooth_image(height=32, width=40):
    y, x = np.mgrid[0:height, 0:width] / 32
    planes = [np.sin(1.7 * x + y), np.cos(1.3 * y - 0.4 * x), np.sin(0.8 * x * y)]
    return jnp.asarray(0.8 * np.stack(planes, axis=-1)[None], jnp.float32)


def test_luma_basis_is_orthonormal():
    # A grey-level block has equal colours, so the luma columns reduce to an 8x8 basis.
    matrix = dct_analysis_matrix(64, 0).reshape(64, 3, 64)
    basis = matrix.sum(axis=1)
    np.testing.assert_allclose(basis.T @ basis, np.eye(64), atol=1e-12)


def test_columns_of_the_full_transform_are_a_dct_times_a_colour():
    matrix = dct_analysis_matrix(64, 64)
    gram = np.kron(RGB_TO_YCBCR @ RGB_TO_YCBCR.T, np.eye(64))
    np.testing.assert_allclose(matrix.T @ matrix, gram, atol=1e-12)
    pixels = np.random.default_rng(0).normal(size=(5, 192))
    restored = pixels @ matrix @ np.linalg.pinv(matrix)
    np.testing.assert_allclose(restored, pixels, atol=1e-10)


def test_first_coefficient_is_the_mean_luma():
    block = np.full((8, 8, 3), 0.5).reshape(-1)
    coefficients = block @ dct_analysis_matrix(21, 6)
    assert coefficients[0] == pytest.approx(8 * 0.5)
    np.testing.assert_allclose(coefficients[1:], 0, atol=1e-12)


def test_untrained_it_reproduces_smooth_images(autoencoder):
    model, variables = autoencoder
    image = smooth_image()
    latent = model.apply(variables, image, method="encode")
    assert latent.shape == (1, 4, 5, 33)
    decoded = model.apply(variables, latent, method="decode")
    error = 127.5 * np.asarray(decoded - image)
    assert np.sqrt(np.mean(error**2)) < 1.0  # 8-bit units: better than 48 dB


def test_latent_has_the_gain_outside_the_kernels(autoencoder):
    model, variables = autoencoder
    grey = jnp.full((1, 8, 8, 3), 0.25)
    latent = np.asarray(model.apply(variables, grey, method="encode"))[0, 0, 0]
    assert latent[0] == pytest.approx(LATENT_GAIN * 8 * 0.25, rel=1e-5)
    np.testing.assert_allclose(latent[1:], 0, atol=1e-4)


def test_latent_is_local(autoencoder):
    model, variables = autoencoder
    # The residual network starts at zero; give it weight so that it would show.
    params = jax.tree.map(lambda leaf: leaf + 0.01, variables)
    image = smooth_image(8, 256)
    reference = model.apply(params, image, method="encode")
    changed = model.apply(params, image.at[:, :, :8].add(0.5), method="encode")
    difference = np.abs(np.asarray(changed - reference)).max(axis=(0, 1, 3))
    assert difference[0] > 0.1 and difference[-8:].max() == 0


def test_a_grown_analysis_starts_as_the_smaller_one(autoencoder):
    """Added blocks change nothing at the start, and learn; the synthesis has none."""
    small, stored = autoencoder
    large = small.clone(analysis_added_blocks=2, analysis_expansion=3)
    image = smooth_image()
    fresh = jax.jit(large.init)(jax.random.key(1), image)["params"]
    stored = jax.tree.map(lambda x: x + 0.01, stored["params"])  # its last layers too
    params = grown(fresh, stored)
    assert jax.tree.structure(params["synthesis"]) == jax.tree.structure(stored["synthesis"])
    assert params["analysis"]["fine_2"]["conv1"]["kernel"].shape == (3, 3, 4, 12)
    latent = jax.jit(lambda p: large.apply({"params": p}, image, method="encode"))
    expected = jax.jit(lambda p: small.apply({"params": p}, image, method="encode"))(stored)
    np.testing.assert_allclose(latent(params), expected, rtol=1e-5, atol=1e-4)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(latent(p)[..., 0])))(params)
    for block in ("fine_1", "fine_2", "coarse_1", "coarse_2"):
        assert np.any(gradient["analysis"][block]["conv2"]["kernel"])


def test_with_its_edge_repeated_a_flat_image_has_no_border(autoencoder):
    model, variables = autoencoder
    params = jax.tree.map(lambda leaf: leaf + 0.01, variables)
    white = jnp.full((1, 48, 64, 3), 0.9)

    def spread(padding):
        latent = model.clone(analysis_padding=padding).apply(params, white, method="encode")
        return np.ptp(np.asarray(latent), axis=(1, 2)).max()

    assert spread("edge") < 1e-3 < 0.1 < spread("zeros")
    with pytest.raises(ValueError, match="'zeros' or 'edge', got 'reflect'"):
        spread("reflect")


def test_padding_changes_nothing_away_from_the_edge(autoencoder):
    model, variables = autoencoder
    params = jax.tree.map(lambda leaf: leaf + 0.01, variables)
    image = smooth_image(256, 256)
    zeros = model.apply(params, image, method="encode")
    edge = model.clone(analysis_padding="edge").apply(params, image, method="encode")
    assert jax.tree.structure(model.clone(analysis_padding="edge").init(
        jax.random.key(0), image[:, :16, :16])) == jax.tree.structure(variables)  # fmt: skip
    np.testing.assert_allclose(zeros[:, 10:-10, 10:-10], edge[:, 10:-10, 10:-10], atol=1e-4)
    assert np.abs(zeros - edge)[:, 0].max() > 0.1
