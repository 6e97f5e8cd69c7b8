"""Runs that end early or do not start: losses that are not finite, settings that do not fit.

test_check_config.py has the settings that are refused by themselves.
"""

import contextlib

import jax
import jax.numpy as jnp
import pytest
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.training import program, train
from rdc_jax.training.step import REPLACED, STOP
from rdc_jax.training.tasks import codec_task
from tests.training.smoke_runs import metrics_of, saved_steps, smoke_config


@pytest.fixture(scope="module", autouse=True)
def parameters_are_made_once():
    """Fresh parameters are compiled for the first run only."""
    fresh, initial_parameters = {}, codec_task.initial_parameters

    def shared(config, networks, crops):
        if config.stage != "joint":
            return initial_parameters(config, networks, crops)
        if networks not in fresh:
            fresh[networks] = initial_parameters(config, networks, crops)
        return fresh[networks]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec_task, "initial_parameters", shared)
        yield


@pytest.fixture
def not_finite(monkeypatch):
    """Steps whose losses are finite only up to the first save."""
    build = program.build

    def broken(task, mesh, params):
        def step(train_state, frozen, batch, key):
            loss = jnp.where(train_state.step < 2, 1.0, jnp.nan)
            advanced = train_state.replace(step=train_state.step + 1)
            counts = {STOP: jnp.max(batch[STOP]), REPLACED: jnp.sum(batch[REPLACED])}
            return advanced, {"loss": loss} | counts

        return build(task, mesh, params)._replace(step=step)

    monkeypatch.setattr(program, "build", broken)


def test_unreadable_images_of_all_sets_are_counted(tmp_path, not_finite):
    for i in range(2):
        Image.new("RGB", (90, 80), (i, 9, 99)).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_text("not an image")
    changes = {"data.mix": f"{tmp_path}=0.6", "data.darken_share": 0.5, "data.ragged_share": 0.5}
    with pytest.raises(RdcError, match="not finite"):
        train.train(smoke_config(tmp_path / "run", **changes))
    assert sum(line.get("replaced_images", 0) for line in metrics_of(tmp_path / "run")) > 0


def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_saved(tmp_path, not_finite):
    config = smoke_config(tmp_path, **{"training.log_every": 20})
    with pytest.raises(RdcError, match="not finite at step 4") as error:
        train.train(config)
    message = str(error.value)
    assert "\n" not in message and str(tmp_path) in message
    assert "training.muon_learning_rate" in message and "training.adam_learning_rate" in message
    assert saved_steps(tmp_path) == {2}
    assert not (tmp_path / "model").exists()


def test_the_profiler_is_told_the_number_of_every_step(tmp_path, monkeypatch, not_finite):
    told = []

    class Annotation(contextlib.nullcontext):
        def __init__(self, name, **numbers):
            super().__init__()
            told.append((name, numbers))

    monkeypatch.setattr(jax.profiler, "StepTraceAnnotation", Annotation)
    changes = {"data.held_out": 0, "training.total_steps": 2}
    train.train(smoke_config(tmp_path, **changes))
    assert told == [("train", {"step_num": 0}), ("train", {"step_num": 1})]


def test_nothing_happens_in_between_where_every_setting_is_0(tmp_path, not_finite):
    every = ("log_every", "checkpoint_every", "sample_every")
    changes = {f"training.{name}": 0 for name in every} | {"data.held_out": 0}
    train.train(smoke_config(tmp_path, **changes, **{"training.total_steps": 2}))
    assert saved_steps(tmp_path) == {2}  # the last step is always saved
    assert metrics_of(tmp_path) == [] and not (tmp_path / "pictures").exists()
    with pytest.raises(RdcError, match="not finite at step 4"):  # it is still looked at
        train.train(smoke_config(tmp_path, **changes))
    assert saved_steps(tmp_path) == {2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": "diffusion"}, "init_from=FOLDER"),
        ({"data.held_out": 64}, "hold out fewer"),
        ({"training.reference": "nowhere"}, "no model 'nowhere'"),
        (
            {"training.keep_best": "psnr@300"},
            r"training\.keep_best=psnr@300 is not measured by this run; choose .* psnr@",
        ),
        ({"restore_from": "nowhere"}, "no checkpoints in nowhere; name the workdir of a run"),
        ({"data.kind": "folder", "data.path": "nowhere"}, r"data\.path.*nowhere"),
        ({"data.kind": "latents", "data.path": "nowhere"}, r"data\.path.*nowhere"),
        ({"data.mix": "nowhere=0.1"}, r"data\.mix: no folder 'nowhere'"),
        ({"mesh.fsdp": 3}, r"mesh\.fsdp 3 does not fit 8 devices"),
        ({"mesh.data": 0}, r"mesh\.data is 0; it must be at least 1, or -1"),
        ({"mesh.data": -1, "mesh.tensor": -1}, r"only one of mesh\.data, mesh\.tensor may be -1"),
        ({"data.batch_size": 12}, r"data\.batch_size 12 does not divide"),
        ({"training.accumulate": 3}, r"data\.batch_size 8 .* training\.accumulate 3"),
        (
            {"training.split_rows": True, "mesh.tensor": 4},
            r"training\.split_rows over mesh\.tensor 4 needs .* multiple of 128 .* at least 256",
        ),
        ({"training.attention": "cudnn"}, r"training\.attention=cudnn needs a gpu"),
    ],
)
def test_settings_that_images_devices_or_weights_refuse_are_named(tmp_path, changes, message):
    with pytest.raises(RdcError, match=message) as error:
        train.train(smoke_config(tmp_path, **changes))
    assert "\n" not in str(error.value)
