"""config.json of a workdir: what it holds, and which changes a run that goes on may not make."""

import json

import pytest

from configs import fusion, tiny
from rdc_jax.errors import RdcError
from rdc_jax.training import saved_config


@pytest.fixture
def config(tmp_path):
    config = fusion.get_config("smoke")
    config.workdir = str(tmp_path / "run")
    config.model.update(tiny.get_config("smoke").model)
    saved_config.write(config)
    return config


def test_it_is_the_resolved_config(config, tmp_path):
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert stored == json.loads(config.to_json())
    assert stored["model"]["unet"]["channels"] == [16, 16, 16]
    saved_config.check(config)


@pytest.mark.parametrize(
    ("setting", "value", "old"),
    [
        ("stage", "transform", "realism"),
        ("seed", 1, "0"),
        ("model.unet.channels", (16, 16, 32), "[16, 16, 16]"),
        ("model.schedule.step_min", 0.25, "0.5"),
        ("fusion.from_base", False, "True"),
        ("fusion.auxiliary.width", 32, "16"),
    ],
)
def test_another_run_in_the_same_workdir_is_refused(config, setting, value, old):
    config.update_from_flattened_dict({setting: value})
    with pytest.raises(RdcError, match="name another workdir") as error:
        saved_config.check(config)
    message = str(error.value)
    assert "\n" not in message and f"started with {setting}={old} (" in message
    assert f"the config says {setting}=" in message


def test_a_setting_that_only_one_of_both_has_is_named(config):
    del config.model.silent_scales
    with pytest.raises(RdcError, match=r"model\.silent_scales=36 .* says no model\.silent_scales"):
        saved_config.check(config)


@pytest.mark.parametrize(
    "change",
    [
        {"training.total_steps": 9, "training.muon_learning_rate": 1e-4},
        {"data.path": "moved", "data.batch_size": 16, "data.num_threads": 4},
        {"mesh.fsdp": 2, "init_from": "moved", "name": "other"},
        {"fusion.default_tau": 0.7, "fusion.default_steps": 2},
    ],
)
def test_what_may_change_is_written_anew(config, tmp_path, change):
    config.update_from_flattened_dict(change)
    saved_config.check(config)
    saved_config.write(config)
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert stored == json.loads(config.to_json())


def test_runs_of_earlier_versions_have_none(config, tmp_path):
    config.workdir = str(tmp_path / "earlier")
    saved_config.check(config)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_damaged_one_is_named(config, tmp_path, text):
    (tmp_path / "run" / "config.json").write_text(text)
    with pytest.raises(RdcError, match=r"cannot read .*config\.json; remove it"):
        saved_config.check(config)


def test_a_workdir_that_cannot_be_written_is_named(config, tmp_path):
    (tmp_path / "file").write_text("")
    config.workdir = str(tmp_path / "file")
    with pytest.raises(RdcError, match=r"cannot write .*file/config\.json") as error:
        saved_config.write(config)
    assert "\n" not in str(error.value)
