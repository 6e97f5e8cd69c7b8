"""`rdc data encode-latents` with real networks at smoke size, and training on what it writes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import sd21
from rdc_jax.cli.commands import encode_latents as command
from rdc_jax.cli.main import main
from rdc_jax.data import latent_records
from rdc_jax.data.latent_source import LatentSource
from rdc_jax.model_folder import codec_model, files
from rdc_jax.models.networks import Networks
from rdc_jax.training import train
from rdc_jax.training.tasks import latent_checks
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.validation import held_out

CONFIG = "configs/sd21.py:smoke"
FLOAT32 = "training.compute_dtype=float32"  # flax's norms promote others, which tests forbid


def random_model(folder, seed):
    """A model folder with random weights of the smoke variant of sd21."""
    model = sd21.get_config("smoke").model.to_dict()
    networks, generator = Networks.from_config(model), np.random.default_rng(seed)

    def draw(leaf):
        scale = 0.1 if leaf.ndim == 1 else 1 / np.sqrt(np.prod(leaf.shape[:-1]))
        return generator.normal(0, scale, leaf.shape).astype(np.float32)

    params = jax.tree.map(draw, jax.eval_shape(networks.init, jax.random.key(0)))
    entropy = codec_model.entropy_arrays(
        params["hyperprior"], networks.step_table(params), networks.hyperprior.latent_unit
    )
    codec_model.save(folder, "sd21-smoke", model, params, entropy)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two model folders with different weights."""
    return [random_model(tmp_path_factory.mktemp("models") / f"{i}", i) for i in range(2)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for i in range(9):
        coarse = rng.integers(0, 256, (12, 14, 3), np.uint8)
        Image.fromarray(coarse).resize((140, 120 + 8 * i)).save(folder / f"{i}.png")
    (folder / "broken.jpg").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def encoded(models, photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("encoded") / "out"
    assert run(out, models[0], photos) == 0
    return out


def run(out, model, photos, *arguments):
    settings = [f"init_from={model}", "data.kind=folder", f"data.path={photos}", FLOAT32]
    options = ["--config", CONFIG, "--batch", 1]
    return main(["data", "encode-latents", *map(str, [*options, out, *settings, *arguments])])


def config_of(out, model, workdir, **changes):
    config = sd21.get_config("smoke")
    config.init_from, config.workdir = str(model), str(workdir)
    settings = {"data.kind": "latents", "data.path": str(out), "training.total_steps": 1}
    settings["training.compute_dtype"] = "float32"
    config.update_from_flattened_dict(settings | changes)
    return config


def test_a_tiles_latent_is_that_of_encoding_on_the_fly(encoded, models, photos):
    manifest = json.loads((encoded / "manifest.json").read_text())
    assert (manifest["images"], manifest["skipped"]) == (9, 1)
    assert manifest["settings"]["tile"] == 128 and manifest["enlarged"] == 1
    source = LatentSource(encoded)
    assert len(source) == manifest["tiles"] == 32
    params = codec_model.load(models[0]).params
    networks = Networks.from_config(sd21.get_config("smoke").model.to_dict())
    records = [latent_records.unpack(source._records[i]) for i in range(32)]
    records = [record for record in records if record.name == "5.png"]
    assert len(records) == 4
    pixels = np.asarray(Image.open(photos / "5.png"))
    for record in records:
        top, left, side = record.box
        tile = pixels[top : top + side, left : left + side].astype(np.float32)
        expected = networks.encode(params, jnp.asarray(tile[None]) / 127.5 - 1)[0]
        np.testing.assert_allclose(record.latent, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "part"), [("diffusion", "unet"), ("entropy", "hyperprior")])
def test_a_stage_trains_on_latents(encoded, models, tmp_path, stage, part):
    folder = train.train(config_of(encoded, models[0], tmp_path, stage=stage))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite(lines[0]["loss"])
    assert {"bpp@250", "psnr_ae@250"} <= lines[-1].keys() and "psnr@250" not in lines[-1]
    before, after = (files.flatten(codec_model.load(f).params) for f in (models[0], folder))
    changed = {key.split("/")[0] for key in before if np.any(before[key] != after[key])}
    assert changed == {part}
    assert list((tmp_path / "pictures").iterdir())


def test_held_out_latents_are_whole_where_a_tile_is_small(encoded):
    source = LatentSource(encoded)
    for size, side in ((64, 8), (128, 16), (512, 16)):
        crops = held_out.validation_crops(source, np.array([0, 5]), size)
        assert crops.shape == (2, side, side, 4) and crops.dtype == np.float16
    tile = source[5]["latent"]
    np.testing.assert_array_equal(held_out.validation_crops(source, [5], 64)[0], tile[4:12, 4:12])


def error_of(capsys, *arguments):
    assert main(list(map(str, arguments))) == 2
    text = capsys.readouterr().err
    assert text.startswith("rdc: error: ") and text.count("\n") == 1
    return text


def test_latents_that_do_not_fit_a_run_are_refused(encoded, models, tmp_path, capsys):
    def error(*changes, model=models[0]):
        settings = [f"init_from={model}", "data.kind=latents", f"data.path={encoded}"]
        settings += [f"workdir={tmp_path}", *changes]
        return error_of(capsys, "train", "--config", CONFIG, *settings)

    assert "made by another autoencoder" in error(model=models[1])
    assert "made by another" in error("model.autoencoder.norm_num_groups=2")
    assert "stage=joint needs images" in error("stage=joint")
    assert "at most the tiles' 128 pixels" in error("data.crop_size=256")
    assert "model.latent_channels is 8" in error("model.latent_channels=8")
    assert "no folder" in error("data.path=/none")
    assert "data.darken_share needs images" in error("data.darken_share=0.1")
    assert not (tmp_path / "checkpoints").exists()


def test_checks_leave_other_kinds_alone(models, tmp_path):
    config = config_of("", models[0], tmp_path, **{"data.kind": "synthetic", "stage": "joint"})
    task = task_for(config)
    latent_checks.check_settings(task, None)
    latent_checks.check_autoencoder(task, None, None)


def test_what_cannot_be_encoded_is_refused(encoded, models, photos, tmp_path, capsys):
    def error(*arguments, out=tmp_path / "out", model=models[0]):
        settings = [f"init_from={model}", "data.kind=folder", f"data.path={photos}"]
        start = ["data", "encode-latents", "--config", CONFIG]
        return error_of(capsys, *start, out, *settings, *arguments)

    assert "needs init_from=FOLDER" in error(model="")
    assert "no model" in error(model="/none")
    assert "--tile 72 must be a multiple of 16" in error("--tile", 72)
    assert "at least data.crop_size 64" in error("--tile", 48)
    assert "data.path: no folder '/none'" in error("data.path=/none")
    assert "must name images" in error("data.kind=latents")
    assert "data.kind must be" in error("data.kind=video")
    assert "model.latent_channels is 8" in error("model.latent_channels=8")
    assert "another autoencoder" in error("model.autoencoder.block_out_channels=(8, 8, 8, 16)")
    assert "compute_dtype must be" in error("training.compute_dtype=int8")
    assert "no setting 'data.pat'" in error("data.pat=x")
    assert not (tmp_path / "out").exists()
    assert "other settings" in error(out=encoded, model=models[1])


def test_an_interrupted_command_goes_on(encoded, models, photos, tmp_path, monkeypatch, capsys):
    compiled, calls = command.compiled_encoder, []

    def interrupted(config, params):
        encode = compiled(config, params)

        def once(tiles):
            calls.append(None)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return encode(tiles)

        return once

    monkeypatch.setattr(command, "compiled_encoder", interrupted)
    out = tmp_path / "out"
    assert run(out, models[0], photos, "--shards", 3) == 130
    assert "same command continues" in capsys.readouterr().err
    assert not json.loads((out / "manifest.json").read_text())["complete"]
    assert run(out, models[0], photos, "--shards", 3) == 0
    text = capsys.readouterr().out
    assert "9 photos" in text and "1 skipped" in text and "1 photos enlarged" in text
    straight, resumed = LatentSource(encoded), LatentSource(out)
    assert len(straight) == len(resumed) == 32
    for index in range(32):
        np.testing.assert_array_equal(straight[index]["latent"], resumed[index]["latent"])


def test_hosts_share_the_shards_of_a_set(encoded, models, photos, tmp_path, capsys):
    out, texts = tmp_path / "out", []
    for index in (1, 0):
        sharing = ["--shards", 2, "--process-index", index, "--process-count", 2]
        assert run(out, models[0], photos, *sharing) == 0
        texts.append(capsys.readouterr().out)
    assert "1 of 2 shards; other processes write the others" in texts[0]
    assert "9 photos, 32 tiles" in texts[1]
    one, shared = LatentSource(encoded), LatentSource(out)
    assert len(one) == len(shared)
    for index in range(len(one)):
        np.testing.assert_array_equal(one[index]["latent"], shared[index]["latent"])


def test_a_lack_of_memory_is_one_line(monkeypatch):
    def full(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    encode = command.compiled_encoder(sd21.get_config("smoke"), {"x": jnp.ones(1)})
    monkeypatch.setattr(command.jax, "device_put", full)
    with pytest.raises(command.RdcError, match="smaller --batch or --tile"):
        encode(np.zeros((8, 64, 64, 3), np.uint8))
