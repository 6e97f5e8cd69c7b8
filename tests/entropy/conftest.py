"""The table bank, built once for all tests of this room, and models with random weights."""

import numpy as np
import pytest

from rdc_jax.entropy.coded_latent import Conditions, padded_size
from rdc_jax.entropy.entropy_model import EntropyModel, schedule_arrays
from rdc_jax.entropy.integer_network import IntegerHyperprior, layers_with, quantize_hyperprior
from rdc_jax.entropy.tables import TableBank, build_table_bank

LATENT_UNIT = 32


@pytest.fixture(scope="session")
def bank() -> TableBank:
    return build_table_bank()


@pytest.fixture(scope="session")
def random_hyperprior():
    """Function (channels, seed, silent_below, additions) -> (float module, random parameters).

    additions: fields `hyper_step` and `hyper_context`. The parameters are NumPy arrays.
    """
    import jax
    import jax.numpy as jnp

    from rdc_jax.models.conditions import CONDITION_CHANNELS
    from rdc_jax.models.hyperprior import Hyperprior

    def make(channels=4, seed=0, silent_below=None, **additions):
        fields = dict(hyper_channels=3, width=12, latent_unit=LATENT_UNIT)
        module = Hyperprior(channels, **fields, silent_below=silent_below, **additions)
        latent = jnp.zeros((1, 8, 8, channels))
        condition = jnp.zeros((1, 8, 8, CONDITION_CHANNELS))
        arguments = latent, latent, condition, jnp.zeros((1, 1, 1, 1))
        shapes = jax.eval_shape(module.init, jax.random.key(0), *arguments)["params"]
        assert set(shapes) == set(layers_with(shapes))
        rng = np.random.default_rng(seed)

        def draw(leaf):
            gain = 0.3 if leaf.ndim == 1 else np.sqrt(1.5 / np.prod(leaf.shape[:-1]))
            return rng.normal(0, gain, leaf.shape).astype(np.float32)

        params = jax.tree.map(draw, shapes)
        if "hyper_log2_step" in params:
            params["hyper_log2_step"]["kernel"] *= 6  # steps of about 1/4 to 16
        return module, params

    return make


@pytest.fixture(scope="session")
def make_model(bank):
    """Function (parameters, steps, skipped_scales) -> EntropyModel; steps [1001] or [1001,C]."""

    def make(params, steps=None, skipped_scales=0):
        if steps is None:
            steps = 0.5 * 128 ** (np.arange(1001) / 1000)
        arrays = schedule_arrays(np.asarray(steps, np.float64).reshape(1001, -1), LATENT_UNIT)
        return EntropyModel(
            bank=bank,
            network=IntegerHyperprior(quantize_hyperprior(params)),
            latent_unit=LATENT_UNIT,
            step_fixed=arrays["step_fixed"].astype(np.int64),
            log2_step_fixed=arrays["log2_step_fixed"].astype(np.int64),
            shrink=arrays["shrink"].astype(np.int64),
            skipped_scales=skipped_scales,
        )

    return make


@pytest.fixture(scope="session")
def random_model(random_hyperprior, make_model) -> EntropyModel:
    """Four channels, every layer random."""
    return make_model(random_hyperprior()[1])


@pytest.fixture(scope="session")
def gaussian_model(random_hyperprior, make_model) -> EntropyModel:
    """A model for a latent N(0, 20^2) and a hyper-latent 0 under every condition."""
    params = {
        layer: {name: np.zeros_like(array) for name, array in arrays.items()}
        for layer, arrays in random_hyperprior()[1].items()
    }
    for layer in ("pass0_1", "pass1_2", "pass2_2"):
        params[layer]["bias"][4:] = np.log2(20.0)
    params["hyper_prior"]["bias"][3:] = -7.0
    return make_model(params)


@pytest.fixture(scope="session")
def make_conditions():
    """Function (height, width, timesteps, levels, seed) -> Conditions; levels random by default."""

    def make(height, width, timesteps=(900, 300, 20), levels=None, seed=7):
        shape = padded_size(height), padded_size(width)
        if levels is None:
            levels = np.random.default_rng(seed).integers(0, len(timesteps), shape)
        return Conditions(
            height=height,
            width=width,
            levels=np.asarray(levels, np.uint8),
            timesteps=np.asarray(timesteps, np.int64),
            dither_seed=seed,
        )

    return make
