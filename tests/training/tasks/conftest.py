"""A small fusion module, its training recipe, and a batch, for the tests of its losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import fusion as fusion_config
from rdc_jax.model_folder import codec_model
from rdc_jax.models.fusion import Fusion
from rdc_jax.models.networks import Networks
from rdc_jax.training.tasks import codec_losses, fusion_losses, fusion_task
from rdc_jax.training.tasks import looks as looks_of
from rdc_jax.training.tasks.looks import Looks, Views
from rdc_jax.training.tasks.task import split_parameters
from tests.training.fusion_smoke_runs import lpips_weights

BATCH = 4


def draw(tree, seed):
    """Random values for a tree of shapes, the zero-initialised ones too."""
    rng = np.random.default_rng(seed)

    def leaf(x):
        scale = 0.1 if x.ndim == 1 else 0.5 * np.prod(x.shape[:-1]) ** -0.5
        return jnp.asarray(rng.normal(0, scale, x.shape), jnp.float32)

    return jax.tree.map(leaf, tree)


@pytest.fixture(scope="session")
def system(smoke_model):
    """(networks, fusion, parameters of a fresh module on the smoke model), U-Nets of one level."""
    base = codec_model.load(smoke_model)
    unet = base.config["unet"] | {"channels": (16,), "heads": (0,)}
    networks = Networks.from_config(base.config | {"unet": unet})
    section = fusion_config.get_config("smoke").fusion
    section.from_base = False
    section.transform.update(channels=(16,), heads=(0,))
    section.auxiliary.update(width=8)
    section.discriminator.update(width=4, levels=2)
    fusion = Fusion.from_config(section.to_dict(), networks)
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    params = base.params | {"unet": draw(shapes["unet"], 1)}
    params |= fusion.start(jax.jit(fusion.init)(jax.random.key(1)), params)
    params["perceptual"] = {"alexnet": looks_of.as_parameters(lpips_weights())}
    return networks, fusion, jax.tree.map(jnp.asarray, params)


@pytest.fixture(scope="session")
def learnt(system):
    """A module in which nothing is zero."""
    _, fusion, params = system
    return params | draw(jax.eval_shape(fusion.init, jax.random.key(0)), 2)


@pytest.fixture(scope="session")
def recipe():
    base = codec_losses.Recipe(
        num_levels=8, timestep_range=(200, 700), timestep_gap=300, uniform_map_share=0.5,
        distortion_weight=0.1, latent_weight=0.1, balance=0.5, later_clock_share=0.0,
    )  # fmt: skip
    return fusion_losses.FusionRecipe(
        base, Looks(Views(whole=1.0), Views(), max_offset=0, pattern=0.1, colour=0.01),
        pixel_weight=0.5, adversarial_weight=0.1, pull_weight=0.01, diffusion_weight=0.05,
        two_step_share=0.5, realism_weight=0.7,
    )  # fmt: skip


@pytest.fixture(scope="session")
def batch():
    """Smooth pictures of 32 x 32 pixels, half of them with a map."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:32, 0:32]
    waves = [np.sin(x / rng.uniform(3, 9) + y / rng.uniform(3, 9)) for _ in range(BATCH * 3)]
    image = 128 + 90 * np.stack(waves).reshape(BATCH, 3, 32, 32).transpose(0, 2, 3, 1)
    importance = np.full((BATCH, 2, 2), 7, np.uint8)
    importance[::2, :, 0] = 0
    return {"image": jnp.asarray(image, jnp.uint8), "importance": jnp.asarray(importance)}


@pytest.fixture(scope="session")
def gradient(system):
    """(stage, recipe, parameters, batch) -> (loss, metrics, gradients); compiled once for each."""
    networks, fusion, _ = system
    compiled = {}

    def run(stage, recipe, params, batch, seed=0):
        if (stage, recipe) not in compiled:
            loss = fusion_task.LOSSES[stage](networks, fusion, recipe)
            compiled[stage, recipe] = jax.jit(jax.value_and_grad(loss, has_aux=True))
        trained, frozen = split_parameters(fusion_task.TRAINED[stage], params)
        arguments = trained, frozen, batch, jax.random.key(seed)
        (value, metrics), grads = compiled[stage, recipe](*arguments)
        return value, metrics, grads

    return run


@pytest.fixture(scope="session")
def example(system, recipe, batch):
    """The batch as both sides of the base codec see it."""
    networks, _, params = system
    key = jax.random.key(0)
    return jax.jit(lambda p: fusion_losses.code(networks, recipe, p, batch, key))(params)
