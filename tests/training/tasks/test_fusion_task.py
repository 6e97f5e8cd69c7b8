"""The base of a fusion module: it grows once, and a run that goes on from an export keeps it."""

import json

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils

from configs import fusion
from rdc_jax.model_folder import codec_model, files, fusion_module
from rdc_jax.models.networks import PARTS
from rdc_jax.training.tasks import fusion_task, initialization, looks
from rdc_jax.training.tasks.selection import task_for


@pytest.fixture(scope="module")
def without_lpips():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "load_networks", lambda _: {})
        yield


@pytest.fixture(scope="module", autouse=True)
def compile_once():
    """Fresh parameters of the same networks, which take seconds to compile."""
    made, fresh = {}, initialization.fresh

    def shared(init, seed, section):
        networks = init.__self__
        if networks not in made:
            made[networks] = fresh(init, seed, section)
        return made[networks]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initialization, "fresh", shared)
        patch.setattr(fusion_task, "fresh", shared)
        yield


def grown_task(base, module=""):
    """Stage end_to_end with the `grow` section of configs/fusion.py, from a base and its module."""
    config = fusion.get_config("end_to_end")
    config.fusion.update(fusion.get_config("smoke").fusion)
    config.update(init_from=str(base), fusion_from=str(module))
    return task_for(config)


def assert_equal_trees(found, wanted):
    found, wanted = files.flatten(found), files.flatten(wanted)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_base_that_is_grown_already_stays_as_it_is(smoke_model, tmp_path, without_lpips):
    task = grown_task(smoke_model)
    assert task.config.model.autoencoder.analysis_added_blocks == 3
    folder = tmp_path / "model"
    params = task.initial_parameters(None)
    assert "perceptual" in params
    task.export(folder, params)

    base = codec_model.load(folder)
    module = fusion_module.load(folder / "fusion", base.model_id)  # bound to the new base
    assert base.name == codec_model.load(smoke_model).name
    assert set(base.params) <= set(PARTS)
    again = grown_task(folder, folder / "fusion")
    assert again.config.model.to_dict() == task.config.model.to_dict()
    assert json.loads(again.config.model.to_json()) == base.config
    assert again.networks == task.networks
    params = again.initial_parameters(None)
    assert_equal_trees({part: params[part] for part in base.params}, base.params)
    assert_equal_trees({part: params[part] for part in module.params}, module.params)


@pytest.mark.parametrize("with_module", [False, True])
def test_a_shipped_model_of_an_earlier_version_is_a_base(with_module, without_lpips):
    shipped = codec_model.find("tiny")
    task = grown_task("tiny", shipped / "fusion" if with_module else "")
    params = task.initial_parameters(None)
    base = codec_model.load("tiny")
    for part in set(base.params) - {"autoencoder", "hyperprior"}:
        assert_equal_trees(params[part], base.params[part])
    stored = files.flatten(base.params)
    learnt = files.flatten({part: params[part] for part in base.params})
    assert stored.keys() <= learnt.keys()
    for name, value in stored.items():  # growing adds arrays and changes none
        np.testing.assert_array_equal(learnt[name], value, err_msg=name)


def test_processes_take_fresh_and_grown_parameters_from_the_first(monkeypatch, without_lpips):
    def sent(params):  # stands for what the first process has
        return jax.tree.map(lambda x: np.full_like(x, 7), params)

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", sent)
    for name, value in files.flatten(grown_task("tiny").initial_parameters(None)).items():
        assert np.all(value == 7), name
