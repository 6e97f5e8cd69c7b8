"""What the `data` section of a config opens, and what reaches the loop."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from configs import base, hyperprior, sd21, tiny
from rdc_jax.cli.commands.train import load_config
from rdc_jax.data import sources
from rdc_jax.data.prepare import prepare
from rdc_jax.errors import RdcError
from rdc_jax.training import program, train
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.image_sets import open_source
from rdc_jax.training.tasks.selection import task_for


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six photos, one of them damaged, and a folder of their shards beside them."""
    folder = tmp_path_factory.mktemp("sets") / "photos"
    folder.mkdir()
    for i in range(6):
        noise = np.random.default_rng(i).integers(0, 256, (70, 90, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
    prepare(folder, folder.parent / "shards", workers=1, progress=False)
    (folder / "1.png").write_bytes(b"damaged")
    return folder


@pytest.mark.parametrize("module", [base, hyperprior, sd21, tiny])
def test_smoke_configs_read_the_folder_that_is_named(module, photos):
    config = module.get_config("smoke")
    assert repr(open_source(config)) == "SyntheticSource(64, 128, 0)"
    config = module.get_config("smoke")
    config.data.path = str(photos)
    assert isinstance(open_source(config), sources.FolderSource)
    assert config.data.kind == "folder"


def test_shards_are_recognised(photos, tmp_path):
    config = tiny.get_config()
    config.data.path = str(photos.parent / "shards")
    assert isinstance(open_source(config), sources.ArrayRecordSource)
    assert config.data.kind == "array_record"
    assert sources.kind_of("auto", f"{config.data.path}/*.arrayrecord") == "array_record"
    (tmp_path / "manifest.json").write_text(json.dumps({"content": "latents", "shards": [None]}))
    assert sources.kind_of("auto", tmp_path) == "latents"
    assert sources.kind_of("folder", tmp_path) == "folder"
    with pytest.raises(RdcError, match=r"holds shards; read them with data\.kind=latents"):
        sources.open_source("folder", tmp_path)
    assert sources.kind_of("auto", tmp_path / "none") == "folder"


def test_settings_of_sd21_suit_a_batch_of_2048():
    """An average over a thousandth to a tenth of the run, in each stage."""
    for variant in ("", "entropy"):
        config = sd21.get_config(variant)
        steps = config.training.ema_half_life / config.data.batch_size
        assert 0.001 < steps / config.training.total_steps < 0.1
    one, two = sd21.get_config(), sd21.get_config("entropy")
    assert (one.stage, two.stage) == ("diffusion", "entropy")
    assert one.workdir != two.workdir and one.model.to_json() == two.model.to_json()
    small = sd21.get_config("entropy_smoke")
    assert small.stage == "entropy" and small.training.total_steps == 2
    with pytest.raises(RdcError, match="known: entropy, smoke, entropy_smoke"):
        load_config(f"{sd21.__file__}:entropy_smok")


def test_only_parts_that_the_loss_uses_are_on_the_devices():
    mesh = partitioning.make_mesh()
    for stage, parts in {
        "diffusion": {"autoencoder", "hyperprior", "context"},
        "entropy": {"autoencoder", "context"},
    }.items():
        config = sd21.get_config("smoke")
        config.stage = stage
        config.training.compute_dtype = "float32"
        task = task_for(config)
        run = program.build(task, mesh, task.parameter_shapes())
        assert set(run.frozen) == parts
        key = jax.eval_shape(lambda: jax.random.key(0))
        jax.eval_shape(run.step, run.state, run.frozen, run.batch, key)


@pytest.mark.slow
def test_a_run_with_workers_is_that_with_threads(photos, tmp_path):
    """Losses are equal, and unreadable images are counted where workers find them."""
    logs = []
    for workers in (0, 2):
        config = tiny.get_config("smoke")
        config.model.unet.update(channels=(16,), heads=(0,))
        config.workdir = str(tmp_path / str(workers))
        config.data.update(path=str(photos), num_workers=workers, held_out=1)
        config.training.update(total_steps=3, sample_every=9, checkpoint_every=9)
        train.train(config)
        lines = (tmp_path / str(workers) / "metrics.jsonl").read_text().splitlines()
        logs.append([json.loads(line) for line in lines])
    threads, processes = (
        [(line["loss"], line.get("replaced_images")) for line in log if "loss" in line]
        for log in logs
    )
    assert len(threads) == 3 and threads == processes
    assert any(replaced for _, replaced in threads)
