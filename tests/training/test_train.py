"""One real run of every stage at smoke size: what it writes, exact resume, frozen parts."""

import json
import shutil
import signal

import jax
import numpy as np
import pytest
from PIL import Image

from configs import sd21
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, files
from rdc_jax.models.networks import Networks
from rdc_jax.training import export_run, optimizer, program, train
from rdc_jax.training.checkpoints import Checkpoints
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.cluster.interrupts import CONTINUE, INTERRUPTED
from rdc_jax.training.image_sets import open_images, training_batches
from rdc_jax.training.step import STOP
from rdc_jax.training.tasks import codec_task
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.validation import run_validation
from tests.training.smoke_runs import metrics_of, saved_steps, smoke_config


@pytest.fixture(scope="module", autouse=True)
def compile_once():
    """What the runs of this file share: compiled programs, fresh parameters."""
    programs, fresh, build = {}, {}, program.build
    initial_parameters = codec_task.initial_parameters

    def shared_program(task, mesh, params):
        settings = task.config.copy_and_resolve_references()
        settings.update(workdir="", init_from="")
        key = settings.to_json(), mesh
        if key not in programs:
            programs[key] = build(task, mesh, params)
        return programs[key]

    def shared_parameters(config, networks, crops):
        if config.stage != "joint" or config.init_from:
            return initial_parameters(config, networks, crops)
        if networks not in fresh:
            fresh[networks] = initial_parameters(config, networks, crops)
        return fresh[networks]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "build", shared_program)
        patch.setattr(codec_task, "initial_parameters", shared_parameters)
        yield


def final_state(config):
    """(step, leaves of the newest state by path, the batch that would come next)."""
    mesh = partitioning.make_mesh(config.mesh.to_dict())
    task = task_for(config)
    run = program.build(task, mesh, task.parameter_shapes())
    checkpoints = Checkpoints(config.workdir, 3)
    step, restored, data = checkpoints.restore(run.state)
    checkpoints.close()
    leaves = {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree.leaves_with_path(restored)
    }
    rows = partitioning.batch_rows(mesh, config.data.batch_size)
    batches = training_batches(config, open_images(task), rows, data["examples"])
    return step, leaves, next(batches)


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    """Four straight steps of the joint stage: its config; the model is in workdir/model."""
    workdir = tmp_path_factory.mktemp("joint")
    config = smoke_config(workdir)
    assert train.train(config) == workdir / "model"
    return config, workdir


def test_joint_run_leaves_what_it_should(joint):
    workdir = joint[1]
    lines = metrics_of(workdir)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 4 and np.all(np.isfinite(losses))
    assert {"bpp", "bpp_y", "bpp_z", "mse_pixel", "mse_latent", "distortion"} <= set(lines[0])
    assert lines[-1]["step"] == 4 and np.isfinite(lines[-1]["psnr@400"])
    assert lines[-1]["bpp@250"] > lines[-1]["bpp@700"] > 0
    with Image.open(workdir / "pictures" / "validation_0000004.png") as sheet:
        assert sheet.size == (2 * 64, 5 * 64)
    assert saved_steps(workdir) == {2, 4}
    stored = json.loads((workdir / "config.json").read_text())
    expected = json.loads(joint[0].to_json())
    assert stored == expected | {"data": expected["data"] | {"kind": "synthetic"}}  # not "auto"
    assert {"seconds_per_step", "images_per_second", "input_wait"} <= set(lines[0])
    assert not any("stop" in line for line in lines)


@pytest.mark.slow
def test_a_signal_during_the_last_validation_ends_the_run(tmp_path, monkeypatch, ctrl_c, capfd):
    config = smoke_config(tmp_path, **{"training.total_steps": 1})
    measured = run_validation.RunValidation.__call__

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        return measured(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(run_validation.RunValidation, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train.train(config)
    assert "stopped by a signal: saved step 1" in capfd.readouterr().out
    assert saved_steps(tmp_path) == {1} and not (tmp_path / "model").exists()
    assert codec_model.load(train.train(config))  # nothing is left to do but to export


def test_exported_model_is_the_average_and_fits_its_config(joint):
    config, workdir = joint
    model = codec_model.load(workdir / "model")
    networks = Networks.from_config(model.config)
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    have, want = files.flatten(model.params), files.flatten(shapes)
    assert {k: v.shape for k, v in have.items()} == {k: v.shape for k, v in want.items()}
    _, leaves, _ = final_state(config)
    for key, value in have.items():
        path = ".ema_params" + "".join(f"['{part}']" for part in key.split("/"))
        np.testing.assert_array_equal(value, leaves[path].astype(np.float16).astype(np.float32))


def test_interrupted_and_resumed_equals_straight(joint, tmp_path, monkeypatch, ctrl_c):
    config, _ = joint
    broken = smoke_config(tmp_path)
    global_batch, calls = partitioning.global_batch, []

    def interrupting(local, like, rows):
        calls.append(int(local[STOP].max()))
        if len(calls) == 1:  # in the middle of step 1, when its batch is already taken
            signal.raise_signal(signal.SIGINT)
        return global_batch(local, like, rows)

    monkeypatch.setattr(partitioning, "global_batch", interrupting)
    with pytest.raises(KeyboardInterrupt):
        train.train(broken)
    # The batch of step 2 carries the wish, which is read once step 3 is under way.
    assert calls == [CONTINUE, INTERRUPTED, INTERRUPTED]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert saved_steps(tmp_path) == {2, 3} and not (tmp_path / "model").exists()
    train.train(broken)
    assert calls[3:] == [CONTINUE]

    step, straight, next_batch = final_state(config)
    resumed_step, resumed, resumed_batch = final_state(broken)
    assert step == resumed_step == 4
    assert straight.keys() == resumed.keys()
    for part in (".params", ".ema_params", ".opt_state"):
        assert any(key.startswith(part) for key in straight)
    for key, leaf in straight.items():
        np.testing.assert_array_equal(leaf, resumed[key], err_msg=key)
    for entry in next_batch:
        np.testing.assert_array_equal(next_batch[entry], resumed_batch[entry])
    losses = [
        [line["loss"] for line in metrics_of(w) if "loss" in line] for w in (joint[1], tmp_path)
    ]
    assert losses[0] == losses[1]


def test_the_log_has_learning_rates_and_goodput(joint):
    config, workdir = joint
    lines = [line for line in metrics_of(workdir) if "loss" in line]
    for name in ("muon_learning_rate", "adam_learning_rate"):
        rate = optimizer.learning_rate(config.training[name], config.training.to_dict())
        assert [line[name] for line in lines] == [float(rate(step)) for step in range(4)]
    assert all(0 < line["goodput"] < 1 for line in lines)
    (start,) = json.loads((workdir / "starts.json").read_text())["starts"]
    assert start["step"] == 0 and start["versions"]["jax"] == jax.__version__
    assert "trained/unet/conv_in/kernel" in (workdir / "parameters.txt").read_text()


def test_a_checkpoint_is_exported_while_the_run_may_go_on(joint, tmp_path, monkeypatch):
    monkeypatch.setattr(jax.config, "update", lambda *_: None)  # this process keeps its devices
    workdir = joint[1]
    assert export_run.export_run(str(workdir), tmp_path / "newest") == 4
    for file in (workdir / "model").iterdir():
        assert (tmp_path / "newest" / file.name).read_bytes() == file.read_bytes()
    assert export_run.export_run(str(workdir), tmp_path / "older", 2) == 2
    older, newest = (codec_model.load(tmp_path / name) for name in ("older", "newest"))
    assert older.model_id != newest.model_id
    with pytest.raises(RdcError, match=r"has no checkpoint 3; it has 2, 4"):
        export_run.export_run(str(workdir), tmp_path / "none", 3)
    with pytest.raises(RdcError, match=r"no config\.json in .*; name the workdir of a run"):
        export_run.export_run(str(tmp_path), tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_new_run_continues_from_a_chosen_checkpoint_of_another(joint, tmp_path):
    config, workdir = joint
    changes = {"restore_from": str(workdir), "restore_step": 2, "training.sample_every": 0}
    train.train(smoke_config(tmp_path, **changes))
    assert [line["step"] for line in metrics_of(tmp_path)] == [3, 4]
    _, straight, _ = final_state(config)
    _, branched, _ = final_state(smoke_config(tmp_path))
    for key, leaf in straight.items():
        np.testing.assert_array_equal(leaf, branched[key], err_msg=key)
    train.train(smoke_config(tmp_path, **changes))  # from its own newest one, not again from 2
    assert len(metrics_of(tmp_path)) == 2
    with pytest.raises(RdcError, match="started with seed=0"):
        train.train(smoke_config(tmp_path / "other", seed=1, restore_from=str(workdir)))


@pytest.mark.slow
def test_the_checkpoint_with_the_best_validation_stays(tmp_path, monkeypatch):
    found = iter([20.0, 22.0, 21.0, 19.0])

    def measured(self, params, step, go_on):
        return {"psnr@400": next(found)}, np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr(run_validation.RunValidation, "__call__", measured)
    changes = {"keep_best": "psnr@400", "keep_checkpoints": 1, "sample_every": 1}
    train.train(smoke_config(tmp_path, **{f"training.{k}": v for k, v in changes.items()}))
    assert saved_steps(tmp_path) == {2, 4}


def test_a_finished_run_is_not_trained_further(joint, tmp_path):
    _, workdir = joint
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    before = (copy / "model" / "manifest.json").read_bytes()
    train.train(smoke_config(copy))
    assert (copy / "model" / "manifest.json").read_bytes() == before
    assert len(metrics_of(copy)) == len(metrics_of(workdir))


def test_another_run_does_not_go_on_in_the_same_workdir(joint, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(joint[1], copy)
    before = (copy / "config.json").read_bytes()
    with pytest.raises(RdcError, match=r"started with seed=0 .* the config says seed=1"):
        train.train(smoke_config(copy, seed=1, **{"training.total_steps": 8}))
    assert (copy / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("stage", "part", "metric"),
    [("diffusion", "unet", "prediction_error"), ("entropy", "hyperprior", "bpp_z")],
)
def test_later_stages_train_their_part_only(joint, tmp_path, stage, part, metric):
    _, workdir = joint
    start = workdir / "model"
    config = smoke_config(
        tmp_path, stage=stage, init_from=str(start), **{"training.total_steps": 1}
    )
    folder = train.train(config)
    first = metrics_of(tmp_path)[0]
    assert np.isfinite(first["loss"]) and np.isfinite(first[metric])
    before, after = (files.flatten(codec_model.load(f).params) for f in (start, folder))
    changed = {key.split("/")[0] for key in before if np.any(before[key] != after[key])}
    assert changed == {part}


def test_frozen_weights_are_not_in_checkpoints(joint, tmp_path):
    _, workdir = joint
    config = smoke_config(
        tmp_path, stage="entropy", init_from=str(workdir / "model"), **{"training.total_steps": 1}
    )
    train.train(config)
    _, leaves, _ = final_state(config)
    parts = {
        key.split("['")[1].split("']")[0] for key in leaves if key.startswith((".params", ".ema"))
    }
    assert parts == {"hyperprior"}
    stored = sum(p.stat().st_size for p in (tmp_path / "checkpoints" / "1").rglob("*"))
    trained = sum(leaf.nbytes for leaf in leaves.values())
    frozen = codec_model.load(workdir / "model").params["unet"]
    # Of what is not compressed by half; the unet alone would be twice as much again.
    assert stored < 1.5 * trained < sum(leaf.nbytes for leaf in jax.tree.leaves(frozen)) * 4


def test_checkpoints_of_the_large_model_hold_its_unet_four_times():
    config = sd21.get_config()
    task = task_for(config)
    run = program.build(task, partitioning.make_mesh(), task.parameter_shapes())
    assert set(run.frozen) == {"autoencoder", "hyperprior", "context"}
    assert set(run.state.params) == set(run.state.ema_params) == {"unet"}
    values = sum(leaf.size for leaf in jax.tree.leaves(run.state))
    assert values == pytest.approx(4 * 865.91e6, rel=1e-4)  # with its average, and Adam's two
