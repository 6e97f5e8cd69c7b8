"""A folder like that of Stable Diffusion, with random weights."""

import json
import shutil

import jax
import numpy as np
import pytest
import safetensors.numpy

from rdc_jax.interop.diffusers import configs as diffusers_configs
from rdc_jax.interop.diffusers import names, scheduler
from rdc_jax.model_folder import files
from rdc_jax.models.networks import Networks
from tests.interop.diffusers_folders import MODEL, WEIGHTS


@pytest.fixture(scope="module")
def stock_networks():
    return Networks.from_config(MODEL)


@pytest.fixture(scope="module")
def stock_params(stock_networks):
    """Random parameters that neither float16 nor bfloat16 can represent."""
    generator = np.random.default_rng(0)
    shapes = jax.eval_shape(stock_networks.init, jax.random.key(0))
    return jax.tree.map(
        lambda leaf: generator.normal(0, 0.2, leaf.shape).astype(np.float32), shapes
    )


@pytest.fixture(scope="module")
def stock(stock_networks, stock_params, tmp_path_factory):
    """A folder like that of Stable Diffusion: unet/, vae/, scheduler/, LICENSE.md, in float32."""
    folder = tmp_path_factory.mktemp("stock")
    configs = {
        "unet": diffusers_configs.unet_config(stock_networks),
        "vae": diffusers_configs.autoencoder_config(stock_networks.autoencoder),
        "scheduler": scheduler.scheduler_config(MODEL, stock_networks),
    }
    for part, config in configs.items():
        (folder / part).mkdir()
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        (folder / part / name).write_text(json.dumps(config))
    for part, tree in (("unet", stock_params["unet"]), ("vae", stock_params["autoencoder"])):
        flat = files.flatten(tree)
        arrays = {names.diffusers_key(k): names.to_diffusers(k, v) for k, v in flat.items()}
        safetensors.numpy.save_file(arrays, folder / part / WEIGHTS)
    (folder / "LICENSE.md").write_text("terms of the source")
    return folder


@pytest.fixture
def stock_copy(stock, tmp_path):
    """A copy of that folder, for changes."""
    return shutil.copytree(stock, tmp_path / "copy")
