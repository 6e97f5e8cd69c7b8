"""Runs that end early or do not start: losses that are not finite, settings that cannot work."""

import jax.numpy as jnp
import pytest
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.training import program, train
from rdc_jax.training.step import STOP
from tests.training.smoke_runs import metrics_of, saved_steps, smoke_config


@pytest.fixture
def not_finite(monkeypatch):
    """Steps whose losses are finite only up to the first save."""
    build = program.build

    def broken(task, mesh, params):
        def step(train_state, frozen, batch, key):
            loss = jnp.where(train_state.step < 2, 1.0, jnp.nan)
            advanced = train_state.replace(step=train_state.step + 1)
            return advanced, {"loss": loss, STOP: jnp.max(batch[STOP])}

        return build(task, mesh, params)._replace(step=step)

    monkeypatch.setattr(program, "build", broken)


def test_unreadable_images_of_all_sets_are_counted(tmp_path, not_finite):
    for i in range(2):
        Image.new("RGB", (90, 80), (i, 9, 99)).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_text("not an image")
    changes = {"data.mix": f"{tmp_path}=0.6", "data.darken_share": 0.5, "data.ragged_share": 0.5}
    with pytest.raises(RdcError, match="not finite"):
        train.train(smoke_config(tmp_path / "run", **changes))
    assert metrics_of(tmp_path / "run")[0]["skipped_images"] == 1


def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_saved(tmp_path, not_finite):
    config = smoke_config(tmp_path, **{"training.log_every": 20})
    with pytest.raises(RdcError, match="not finite at step 4") as error:
        train.train(config)
    message = str(error.value)
    assert "\n" not in message and str(tmp_path) in message
    assert "training.muon_learning_rate" in message and "training.adam_learning_rate" in message
    assert saved_steps(tmp_path) == {2}
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": "fourth"}, "entropy, auxiliary, transform, realism, end_to_end, not 'fourth'"),
        ({"stage": "diffusion"}, "init_from=FOLDER"),
        ({"data.kind": "video"}, "data.kind must be"),
        ({"data.held_out": 64}, "hold out fewer"),
        ({"data.validation_size": 32}, r"data\.validation_size .* multiple of 32 and at least 64"),
        ({"training.judge_every": 6}, r"training\.judge_every must be a multiple of .* 4, 0"),
        ({"training.reference": "nowhere"}, "no model 'nowhere'"),
        ({"data.crop_size": 72}, "multiple of the map's cell size"),
        ({"data.kind": "folder", "data.path": "nowhere"}, r"data\.path.*nowhere"),
        ({"data.kind": "latents", "data.path": "nowhere"}, r"data\.path.*nowhere"),
        ({"data.mix": "nowhere=0.1"}, r"data\.mix: no folder 'nowhere'"),
        ({"data.darken_share": 2.0}, r"data\.darken_share must be 0 to 1"),
        ({"mesh.fsdp": 3}, r"mesh\.fsdp 3 does not fit 8 devices"),
        ({"mesh.data": 0}, r"mesh\.data is 0; it must be at least 1, or -1"),
        ({"mesh.data": -1, "mesh.tensor": -1}, r"only one of mesh\.data, mesh\.tensor may be -1"),
        ({"data.batch_size": 12}, r"data\.batch_size 12 does not divide"),
        ({"training.accumulate": 3}, r"data\.batch_size 8 .* training\.accumulate 3"),
        (
            {"training.split_rows": True, "mesh.tensor": 4},
            r"training\.split_rows over mesh\.tensor 4 needs .* multiple of 128 .* at least 256",
        ),
        ({"training.remat": "all"}, r"training\.remat must be none, dots, blocks, not 'all'"),
        ({"training.attention": "fast"}, r"training\.attention must be one of .* not 'fast'"),
        ({"training.attention": "cudnn"}, r"training\.attention=cudnn needs a gpu"),
        ({"training.compute_dtype": "half"}, r"training\.compute_dtype must be float32 or"),
        ({"training.optimizer": "sgd"}, r"training\.optimizer must be muon or adam, not 'sgd'"),
    ],
)
def test_settings_that_cannot_work_are_named(tmp_path, changes, message):
    with pytest.raises(RdcError, match=message) as error:
        train.train(smoke_config(tmp_path, **changes))
    assert "\n" not in str(error.value)
