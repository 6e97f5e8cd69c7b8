"""One real run of every stage at smoke size; exact resume; clear errors."""

import json
import shutil
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import tiny
from rdc_jax import model_folder
from rdc_jax.data import pipeline
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks
from rdc_jax.training import optimizer, stages, state, train, validation
from rdc_jax.training.checkpoints import Checkpoints


@pytest.fixture(scope="module", autouse=True)
def compile_once():
    """What the runs of this file share: the step of a stage, validation, fresh parameters."""
    steps, validations, fresh = {}, {}, {}
    make_step, make_validate = train.make_step, validation.make_validate
    initial_parameters = train.initial_parameters

    def shared_step(loss, optimizer, shardings, config):
        key = config.stage, config.training.total_steps
        return steps.setdefault(key, make_step(loss, optimizer, shardings, config))

    def shared_validate(networks):
        return validations.setdefault(networks, make_validate(networks))

    def shared_parameters(config, networks, crops):
        if config.stage != "joint":
            return initial_parameters(config, networks, crops)
        if networks not in fresh:
            fresh[networks] = jax.device_get(initial_parameters(config, networks, crops))
        return jax.tree.map(jnp.array, fresh[networks])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "make_step", shared_step)
        patch.setattr(train, "initial_parameters", shared_parameters)
        patch.setattr(validation, "make_validate", shared_validate)
        yield


def smoke_config(workdir, **changes):
    config = tiny.get_config("smoke")
    config.workdir = str(workdir)
    config.update_from_flattened_dict(changes)
    return config


def metrics_of(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def final_state(config):
    """(step, leaves of the newest state by path, position of the data)."""
    networks = Networks.from_config(config.model.to_dict())
    training = config.training.to_dict()
    transformation = optimizer.build(training)

    def create():
        params = networks.init(jax.random.key(0))
        return state.create({k: params[k] for k in stages.TRAINED[config.stage]}, transformation)

    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
        jax.eval_shape(create),
    )
    source = train.open_source(config)
    batches = pipeline.training_iterator(
        source,
        batch_size=config.data.batch_size,
        crop_size=config.data.crop_size,
        seed=config.seed,
        exclude=pipeline.held_out_split(len(source), config.data.held_out, seed=0),
    )
    checkpoints = Checkpoints(config.workdir, 3)
    step, restored = checkpoints.restore(abstract, batches)
    checkpoints.close()
    leaves = {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree.leaves_with_path(restored)
    }
    return step, leaves, next(batches)


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    """Four straight steps of the joint stage: its config; the model is in workdir/model."""
    workdir = tmp_path_factory.mktemp("joint")
    config = smoke_config(workdir)
    assert train.train(config) == workdir / "model"
    return config, workdir


def test_joint_run_leaves_what_it_should(joint):
    _, workdir = joint
    lines = metrics_of(workdir)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 4 and np.all(np.isfinite(losses))
    assert {"bpp", "bpp_y", "bpp_z", "mse_pixel", "mse_latent", "distortion"} <= set(lines[0])
    assert lines[-1]["step"] == 4 and np.isfinite(lines[-1]["psnr@400"])
    assert lines[-1]["bpp@250"] > lines[-1]["bpp@700"] > 0
    with Image.open(workdir / "pictures" / "validation_0000004.png") as sheet:
        assert sheet.size == (2 * 128, 5 * 128)
    saved = {int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit()}
    assert saved == {2, 4}


def test_exported_model_is_the_average_and_fits_its_config(joint):
    config, workdir = joint
    model = model_folder.load(workdir / "model")
    networks = Networks.from_config(model.config)
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    have, want = model_folder.flatten(model.params), model_folder.flatten(shapes)
    assert {k: v.shape for k, v in have.items()} == {k: v.shape for k, v in want.items()}
    _, leaves, _ = final_state(config)
    for key, value in have.items():
        path = ".ema_params" + "".join(f"['{part}']" for part in key.split("/"))
        np.testing.assert_array_equal(value, leaves[path].astype(np.float16).astype(np.float32))


def test_interrupted_and_resumed_equals_straight(joint, tmp_path, monkeypatch):
    config, _ = joint
    broken = smoke_config(tmp_path)
    global_batch, calls = train.partitioning.global_batch, []

    def interrupting(mesh, batch):
        calls.append(None)
        if len(calls) == 2:  # in the middle of step 2, when its batch is already taken
            signal.raise_signal(signal.SIGINT)
        return global_batch(mesh, batch)

    monkeypatch.setattr(train.partitioning, "global_batch", interrupting)
    with pytest.raises(KeyboardInterrupt):
        train.train(broken)
    assert len(calls) == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not (tmp_path / "model").exists()
    train.train(broken)
    assert len(calls) == 4

    step, straight, next_batch = final_state(config)
    resumed_step, resumed, resumed_batch = final_state(broken)
    assert step == resumed_step == 4
    assert straight.keys() == resumed.keys()
    assert any(key.startswith(".opt_state") for key in straight)
    for key, leaf in straight.items():
        np.testing.assert_array_equal(leaf, resumed[key], err_msg=key)
    for name in next_batch:
        np.testing.assert_array_equal(next_batch[name], resumed_batch[name])


def test_a_finished_run_is_not_trained_further(joint, tmp_path):
    _, workdir = joint
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    before = (copy / "model" / "manifest.json").read_bytes()
    train.train(smoke_config(copy))
    assert (copy / "model" / "manifest.json").read_bytes() == before
    assert len(metrics_of(copy)) == len(metrics_of(workdir))


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
    before, after = (model_folder.flatten(model_folder.load(f).params) for f in (start, folder))
    changed = {key.split("/")[0] for key in before if np.any(before[key] != after[key])}
    assert changed == {part}


def not_finite(*arguments):
    return lambda train_state, frozen, batch, key: (train_state, {"loss": jnp.asarray(jnp.nan)})


def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "make_step", not_finite)
    config = smoke_config(tmp_path, **{"training.log_every": 20})
    with pytest.raises(RdcError, match="not finite at step 2") as error:
        train.train(config)
    assert str(tmp_path) in str(error.value)
    assert not [p for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": "fourth"}, "joint, diffusion, entropy, not 'fourth'"),
        ({"stage": "diffusion"}, "init_from=FOLDER"),
        ({"data.kind": "video"}, "data.kind must be"),
        ({"data.held_out": 64}, "hold out fewer"),
        ({"data.crop_size": 72}, "multiple of the map's cell size"),
    ],
)
def test_settings_that_cannot_work_are_named(tmp_path, changes, message):
    with pytest.raises(RdcError, match=message):
        train.train(smoke_config(tmp_path, **changes))
