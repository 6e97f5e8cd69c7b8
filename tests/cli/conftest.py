"""Models with random weights, a photo and its file, for the tests of the `rdc` command."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from configs import tiny
from rdc_jax.cli.main import main
from rdc_jax.model_folder import codec_model
from rdc_jax.models.networks import Networks
from tests.cli.runs import picture


def save_random_model(folder: Path, seed: int) -> Path:
    """A model folder with the networks of `configs/tiny.py:smoke` and random weights."""
    config = tiny.get_config("smoke").model.to_dict()
    networks = Networks.from_config(config)
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    rng = np.random.default_rng(seed)
    params = jax.tree.map(lambda x: rng.normal(0, 0.1, x.shape).astype(np.float32), shapes)
    entropy = codec_model.entropy_arrays(
        params["hyperprior"], networks.step_table(params), networks.hyperprior.latent_unit
    )
    codec_model.save(folder, folder.name, config, params, entropy)
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A folder of two models, `first` and `second`."""
    folder = tmp_path_factory.mktemp("models")
    save_random_model(folder / "first", seed=0)
    save_random_model(folder / "second", seed=1)
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """The compilation cache of all processes."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def no_cache_in_this_process(monkeypatch):
    """Processes of this machine keep their cache; tests inside this process use none."""
    monkeypatch.setattr("rdc_jax.codec.compilation_cache.enable", lambda: None)


@pytest.fixture
def photo(tmp_path, rng) -> Path:
    """A smooth RGB image of 83 x 61 pixels."""
    return picture(tmp_path / "photo.png", rng, 83, 61)


@pytest.fixture
def coded(models, photo, capsys) -> Path:
    """`photo` as an .rdc file with a map, of the model `first`."""
    path = photo.with_suffix(".rdc")
    box = ["--roi-box", "16,16,32,32"]
    assert main(["encode", str(photo), "--model", str(models / "first"), *box]) == 0
    capsys.readouterr()
    return path
