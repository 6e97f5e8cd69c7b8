"""A run that trains a small fusion module, the crops it is validated on, and quick metrics."""

import jax
import numpy as np
import pytest

from configs import fusion as fusion_config
from rdc_jax.evaluation.metrics import distortion, judges
from rdc_jax.model_folder import codec_model
from rdc_jax.training.tasks.selection import task_for
from tests.training.validation.counting_judge import mean_error


@pytest.fixture(scope="module")
def crops():
    """Three crops with structure at all scales, uint8 [3,64,64,3]."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (3, 8, 8, 3))
    return (coarse.repeat(8, 1).repeat(8, 2) * 0.8 + rng.integers(0, 50, (3, 64, 64, 3))).astype(
        np.uint8
    )


@pytest.fixture(scope="module")
def module_run(smoke_model, tmp_path_factory):
    """Task and parameters of a run that trains the module of the smoke model."""
    config = fusion_config.get_config("smoke")
    config.init_from = str(smoke_model)
    config.workdir = str(tmp_path_factory.mktemp("run"))
    config.stage = "transform"
    task = task_for(config)
    generator = np.random.default_rng(0)

    def draw(leaf):  # as the smoke model is drawn, which is quicker than compiling `init`
        scale = 0.1 if leaf.ndim == 1 else 0.5 / np.sqrt(np.prod(leaf.shape[:-1]))
        return generator.normal(0, scale, leaf.shape).astype(np.float32)

    fusion = task.decoder.fusion
    module = jax.tree.map(draw, jax.eval_shape(fusion.init, jax.random.key(0)))
    module["auxiliary"]["conv_out"]["kernel"][:] = 0.0  # its latent is then the clean one
    module["auxiliary"]["conv_out"]["bias"][:] = 0.0
    return task, codec_model.load(smoke_model).params | module


@pytest.fixture(scope="module")
def decoder(module_run):
    return module_run[0].decoder


@pytest.fixture
def quick_judges(monkeypatch):
    """Stand-ins for the metrics that need weights, by name; "dists" is not installed."""
    calls = []

    def make(names):
        found = {name: mean_error(calls) for name in names if name != "dists"}
        found["psnr"] = judges.Judge(np.asarray, distortion.psnr)
        return found, {name: "it is not there" for name in names if name == "dists"}

    monkeypatch.setattr(judges, "make", make)
    return calls
