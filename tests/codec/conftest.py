"""A random fusion module for the smoke model, the codec with it, and an example.

Files about the codec alone define their own `codec` and `example`.
"""

import jax
import numpy as np
import pytest

from configs import fusion as fusion_config
from rdc_jax.codec import codec as codecs
from rdc_jax.model_folder import codec_model, fusion_module
from rdc_jax.models.fusion import Fusion
from rdc_jax.models.networks import Networks
from tests.codec.cases import DEFAULT_STEPS, DEFAULT_TAU, HEIGHT, WIDTH, right_part, smooth


@pytest.fixture(scope="session")
def module_folder(smoke_model, tmp_path_factory):
    """A module of smoke size for the smoke model, every layer random."""
    model = codec_model.load(smoke_model)
    section = fusion_config.get_config("smoke").fusion
    section.transform.update(channels=(16,), heads=(0,))
    section.update(default_tau=DEFAULT_TAU, default_steps=DEFAULT_STEPS)
    fusion = Fusion.from_config(section.to_dict(), Networks.from_config(model.config))
    rng = np.random.default_rng(0)

    def draw(leaf):
        scale = 0.1 if leaf.ndim == 1 else np.prod(leaf.shape[:-1]) ** -0.5
        return rng.normal(0, scale, leaf.shape)

    shapes = jax.eval_shape(fusion.init, jax.random.key(0))["transform"]
    folder = tmp_path_factory.mktemp("modules") / "random"
    params = {"transform": jax.tree.map(draw, shapes)}
    params["transform"]["conv_out"]["kernel"] *= 16  # a module that nobody overlooks
    fusion_module.save(folder, "random", section.to_dict(), model.model_id, params)
    return folder


@pytest.fixture(scope="module")
def base(smoke_model):
    return codecs.load(smoke_model)


@pytest.fixture(scope="module")
def codec(smoke_model, module_folder):
    return codecs.load(smoke_model, module_folder)


@pytest.fixture(scope="module")
def example(codec):
    """(pixels, file, report) with a map of two levels, important on the left."""
    pixels = smooth(HEIGHT, WIDTH)
    mask = ~right_part(HEIGHT, WIDTH, 48)
    data, report = codec.encode(
        pixels, quality=60, importance=mask, seed=5, tau=1.0, steps=1, return_report=True
    )
    return pixels, data, report


@pytest.fixture(scope="module")
def data(example):
    return example[1]
