"""Stage joint of a model without denoiser, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import hyperprior
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks
from rdc_jax.models.timesteps import level_timesteps
from rdc_jax.training.tasks import coding, latent_checks
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.tasks.task import split_parameters


@pytest.fixture(scope="module")
def config():
    return hyperprior.get_config("smoke")


@pytest.fixture(scope="module")
def networks(config):
    return Networks.from_config(config.model.to_dict())


def test_every_parameter_but_the_median_learns(config, networks):
    params = jax.jit(networks.init)(jax.random.key(0))
    loss = task_for(config).build_loss(networks)
    image = jax.random.randint(jax.random.key(1), (2, 64, 64, 3), 0, 256).astype(jnp.uint8)
    batch = {"image": image, "importance": jnp.zeros((2, 4, 4), jnp.uint8)}
    step = jax.jit(
        jax.value_and_grad(lambda p: loss(p, {}, batch, jax.random.key(2)), has_aux=True)
    )
    # The last layer of h_s starts at zero, so those below it learn from the second step on.
    kernel = params["hyperprior"]["h_s_4"]["kernel"]
    noise = 0.1 * jax.random.normal(jax.random.key(3), kernel.shape)
    params["hyperprior"]["h_s_4"]["kernel"] = noise
    params["hyperprior"]["h_s_4"]["bias"] += 1.0
    (value, metrics), gradient = step(params)
    assert np.isfinite(value) and metrics["bpp_z"] > 0 and "mse_latent" not in metrics
    still = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)
        if not np.any(leaf)
    ]
    assert still == ["['hyperprior']['z_prior']['median']"]


def test_the_decoder_sees_rounding_around_the_mean(networks):
    timesteps = level_timesteps(jnp.full((1, 1), 400.0), jnp.zeros((1, 2, 2), jnp.int32))
    step = networks.schedule.step(jnp.asarray(400.0))
    y = 5 * jax.random.normal(jax.random.key(0), (1, 2, 2, 12))
    noised = coding.Noised(None, y, y, timesteps, jnp.ones((1, 2, 2, 1)))
    mean = jnp.full(y.shape, 0.3)

    def received(y):
        return coding.received_latent(networks, {}, noised._replace(latent=y), mean)

    symbols = (received(y) - mean) / step
    np.testing.assert_allclose(symbols, jnp.rint(symbols), atol=1e-4)
    assert jnp.abs(received(y) - y).max() <= step / 2 * 1.0001
    np.testing.assert_array_equal(jax.grad(lambda y: received(y).sum())(y), jnp.ones(y.shape))


def test_there_is_no_denoiser_to_train(config):
    task = task_for(config)
    trained, _ = split_parameters(task.trained, task.parameter_shapes())
    assert set(trained) == {"autoencoder", "hyperprior"}
    config = config.copy_and_resolve_references()
    config.stage = "diffusion"
    with pytest.raises(RdcError, match="denoiser"):
        task_for(config)


def test_its_latents_are_not_stored(config, networks):
    with pytest.raises(RdcError, match="16"):
        latent_checks.check_downsampling(config.name, networks)
