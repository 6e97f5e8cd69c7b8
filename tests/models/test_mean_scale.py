"""The mean-scale codec's networks: sizes, start, layers; parity is tested in tests/interop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import hyperprior
from rdc_jax.models import gdn, wavelet_init
from rdc_jax.models.mean_scale import MeanScaleAutoencoder, MeanScaleHyperprior
from rdc_jax.models.networks import Networks
from rdc_jax.models.strided import Upsample


@pytest.fixture(scope="module")
def networks():
    return Networks.from_config(hyperprior.get_config("smoke").model.to_dict())


def test_a_model_without_denoiser_has_no_unet(networks):
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    assert set(shapes) == {"autoencoder", "hyperprior"}
    assert networks.downsampling == 16 and not networks.dither
    yhat = jnp.ones((1, 4, 4, 12))
    assert networks.denoise({}, yhat, jnp.zeros(1), yhat, yhat) is yhat


def test_a_denoiser_needs_dither():
    model = hyperprior.get_config("smoke").model.to_dict()
    unet = {"channels": (8,), "layers": 1, "heads": (0,), "mid_heads": 0, "norm": "pixel"}
    with pytest.raises(ValueError, match="dither"):
        Networks.from_config(model | {"unet": unet})


def test_latents_are_a_sixteenth_and_hyper_latents_a_quarter_of_that(networks):
    params = jax.eval_shape(networks.init, jax.random.key(0))
    latent = jax.eval_shape(networks.encode, params, jnp.zeros((2, 64, 128, 3)))
    assert latent.shape == (2, 4, 8, 12) and latent.dtype == jnp.float32
    assert jax.eval_shape(networks.decode, params, latent).shape == (2, 64, 128, 3)
    analyse = functools.partial(networks.hyperprior.apply, method="hyper_analysis")
    z = jax.eval_shape(analyse, {"params": params["hyperprior"]}, latent, None)
    assert z.shape == (2, 1, 2, 8)


def test_training_starts_near_a_walsh_transform():
    """Random weights would give noise of the picture's own size."""
    module = MeanScaleAutoencoder(width=24, latent_channels=48, latent_gain=100.0)
    y, x = np.mgrid[0:64, 0:64]
    picture = np.stack([np.sin(x / 20), np.sin(y / 15), np.cos((x + y) / 30)], -1)
    picture = jnp.asarray(picture[None], jnp.float32)
    error = jax.jit(module.init_with_output)(jax.random.key(0), picture)[0] - picture
    assert jnp.std(error) < 0.3 * jnp.std(picture)


def test_wavelet_layers_are_orthonormal():
    for layer in wavelet_init.packet_layers((3, 24, 24, 24, 40)):
        matrix = layer.reshape(-1, layer.shape[-1])
        used = np.abs(matrix).sum(0) > 0
        np.testing.assert_allclose(matrix.T @ matrix, np.diag(used.astype(float)), atol=1e-6)


@pytest.fixture(scope="module")
def hyperprior_and_params():
    module = MeanScaleHyperprior(2, width=4, latent_unit=16.0, scale_bound=0.5)
    latent = jnp.zeros((1, 4, 4, 2))
    return module, jax.jit(module.init)(
        jax.random.key(0), latent, latent, latent, jnp.zeros((1, 1, 1, 1))
    )["params"]


def prior(module, params):
    """Mean and log2 scale where z is zero."""
    z = jnp.zeros((1, 1, 1, 4))
    return module.apply({"params": params}, z, None, None, None, method="parameters_given")


def test_the_scale_is_bounded_and_its_gradient_points_back(hyperprior_and_params):
    module, params = hyperprior_and_params  # scales start at 0, below the bound of 0.5 x 16

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient(params, sign):
        log2_scale = prior(module, params)[1]
        return sign * jnp.sum(log2_scale), log2_scale

    for sign, passes in ((1.0, False), (-1.0, True)):
        found, log2_scale = gradient(params, sign)
        np.testing.assert_allclose(log2_scale, 3.0)
        assert bool(jnp.any(found["h_s_4"]["bias"][:2] != 0)) == passes


def test_the_output_starts_at_the_latents_statistics(hyperprior_and_params):
    module, params = hyperprior_and_params
    params = module.matched_to(params, jnp.array([3.0, -40.0]), jnp.array([8.0, 64.0]))
    mean, log2_scale = jax.jit(functools.partial(prior, module))(params)
    np.testing.assert_allclose(mean[0, 1, 1], [3.0, -40.0], rtol=1e-6)
    np.testing.assert_allclose(log2_scale[0, 2, 1], [3.0, 6.0], rtol=1e-6)


def test_gdn_starts_at_its_definition():
    x = jnp.linspace(-2, 2, 12).reshape(1, 2, 2, 3)
    for inverse, power in ((False, -0.5), (True, 0.5)):
        y, _ = jax.jit(gdn.GDN(inverse).init_with_output)(jax.random.key(0), x)
        np.testing.assert_allclose(y, x * (1 + 0.1 * np.asarray(x) ** 2) ** power, rtol=1e-5)


def test_upsampling_doubles_and_places_the_centre_tap():
    x = jnp.zeros((1, 3, 3, 1)).at[0, 1, 1, 0].set(1.0)
    kernel = jnp.arange(25.0).reshape(5, 5, 1, 1)
    out = Upsample(1).apply({"params": {"kernel": kernel, "bias": jnp.zeros(1)}}, x)
    np.testing.assert_array_equal(out[0, 0:5, 0:5, 0], kernel[:, :, 0, 0])
