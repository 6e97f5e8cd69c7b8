"""Runs of a fusion module that do not start: the reason, in one line."""

import types
from pathlib import Path

import pytest

from rdc_jax.cli.commands import train as train_command
from rdc_jax.cli.main import main
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model
from rdc_jax.models import lpips_weights as perceptual_weights
from rdc_jax.training.tasks import fusion_task, latent_checks
from rdc_jax.training.tasks.selection import task_for
from tests.training.fusion_smoke_runs import lpips_weights, refused, smoke_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def small_lpips(monkeypatch):
    monkeypatch.setattr(perceptual_weights, "load", lpips_weights)


@pytest.mark.parametrize("stage", fusion_task.STAGES)
def test_a_base_is_needed(tmp_path, stage):
    message = refused(smoke_config(tmp_path, "", stage=stage))
    assert f"stage {stage} needs init_from=MODEL" in message


def test_a_base_that_is_not_there_is_named(tmp_path):
    missing = str(tmp_path / "nowhere")
    assert missing in refused(smoke_config(tmp_path, missing))


def test_a_module_that_is_not_there_is_named(smoke_model, tmp_path):
    config = smoke_config(tmp_path, smoke_model, fusion_from=str(tmp_path / "nowhere"))
    message = refused(config)
    assert "no fusion module in" in message and "nowhere" in message


def test_without_lpips_the_package_is_named(smoke_model, tmp_path, monkeypatch):
    def missing(_):
        raise RdcError(perceptual_weights.MISSING)

    monkeypatch.setattr(perceptual_weights, "load", missing)
    config = smoke_config(tmp_path, smoke_model, stage="realism")
    assert "pip install" in refused(config)


@pytest.mark.parametrize("stage", fusion_task.STAGES)
def test_encoded_latents_have_no_images_to_learn_from(smoke_model, tmp_path, stage):
    config = smoke_config(tmp_path, smoke_model, stage=stage, **{"data.kind": "latents"})
    task = task_for(config)
    source = types.SimpleNamespace(tile=64, latent_channels=56)
    with pytest.raises(RdcError, match="latents") as error:
        latent_checks.check_settings(task, source)
    assert "\n" not in str(error.value)


def test_a_frozen_base_does_not_grow(smoke_model, tmp_path):
    config = smoke_config(tmp_path, smoke_model)
    config.grow.update(hyperprior={"hyper_step": True})
    assert "stage transform keeps its base" in refused(config)


@pytest.mark.parametrize("override", ["init_from=", "init_from=nowhere"])
def test_command_says_it_in_one_line(tmp_path, capsys, monkeypatch, override):
    monkeypatch.setattr(train_command.compilation_cache, "enable", lambda: None)
    config = ROOT / "configs" / "fusion.py"
    command = ["train", "--config", f"{config}:smoke", f"workdir={tmp_path}", override]
    assert main(command) == 2
    output, error = capsys.readouterr()
    assert output == "" and error.count("\n") == 1
    assert error.startswith("rdc: error: ")


def test_the_config_leaves_the_base_its_model_section(smoke_model, tmp_path):
    config = smoke_config(tmp_path, smoke_model)
    found = task_for(config).config
    assert found.model.to_dict() == codec_model.load(smoke_model).config
    assert not config.model.to_dict()  # the argument is left alone
    assert found.fusion.to_dict() == config.fusion.to_dict()
