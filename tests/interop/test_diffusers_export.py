"""`rdc export --to diffusers` and reimport: diffusers loads the folders, and bytes are restored."""

import json
import shutil

import jax
import numpy as np
import pytest
import safetensors.numpy

from configs import base, hyperprior, sd21, tiny
from rdc_jax.cli import main
from rdc_jax.interop.diffusers import configs, parts
from rdc_jax.interop.diffusers import scheduler as diffusers_scheduler
from rdc_jax.model_folder import codec_model, files, fusion_module
from rdc_jax.models.networks import Networks


def random_model(folder, config):
    """A model folder with random weights in every layer."""
    model = config.model.to_dict()
    networks, generator = Networks.from_config(model), np.random.default_rng(0)

    def draw(leaf):
        scale = 0.1 if leaf.ndim == 1 else 1 / np.sqrt(np.prod(leaf.shape[:-1]))
        return np.abs(generator.normal(0, scale, leaf.shape)).astype(np.float32)

    params = jax.tree.map(draw, jax.eval_shape(networks.init, jax.random.key(0)))
    entropy = codec_model.entropy_arrays(
        params["hyperprior"], networks.step_table(params), **networks.entropy_settings()
    )
    codec_model.save(folder, config.name, model, params, entropy)
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The smoke variant of configs/sd21.py."""
    return random_model(tmp_path_factory.mktemp("models") / "large", sd21.get_config("smoke"))


def export(model, out, *more):
    return main.main(["export", "--to", "diffusers", str(model), str(out), *more])


def import_again(folder, out, *more):
    return main.main(["import", "--from", "diffusers", str(folder), str(out), *more])


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def names_below(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def error(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_diffusers_loads_an_export(large, tmp_path, capsys, rng):
    torch, diffusers = pytest.importorskip("torch"), pytest.importorskip("diffusers")
    out = tmp_path / "out"
    assert export(large, out) == 0
    printed = capsys.readouterr().out
    assert "unet/: UNet2DConditionModel" in printed and "vae/: AutoencoderKL" in printed
    unet, told = diffusers.UNet2DConditionModel.from_pretrained(
        out / "unet", output_loading_info=True
    )
    assert not any(told.values())
    vae, told = diffusers.AutoencoderKL.from_pretrained(out / "vae", output_loading_info=True)
    assert not any(told.values())
    stored = codec_model.load(large)
    networks, params = Networks.from_config(stored.config), stored.params
    noisy = rng.normal(0, 1, (1, 8, 8, 4)).astype(np.float32)
    context = safetensors.numpy.load_file(out / "entropy" / "context.safetensors")["empty_prompt"]
    context = context.astype(np.float32)[None]
    t = np.array([333.0], np.float32)
    with torch.no_grad():
        latent = torch.from_numpy(noisy.transpose(0, 3, 1, 2).copy())
        theirs = unet(latent, torch.from_numpy(t), torch.from_numpy(context)).sample
        pixels = vae.decode(latent / vae.config.scaling_factor).sample
    ours = jax.jit(networks.unet.apply)({"params": params["unet"]}, noisy, t, context)
    for given, wanted in ((ours, theirs), (jax.jit(networks.decode)(params, noisy), pixels)):
        wanted = wanted.numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(given, wanted, atol=1e-4 * np.abs(wanted).max(), rtol=0)


@pytest.mark.parametrize("module", [sd21, tiny])
def test_the_scheduler_has_our_noise(module, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    model = module.get_config().model.to_dict()
    networks = Networks.from_config(model)
    described = diffusers_scheduler.scheduler_config(model, networks)
    (tmp_path / "scheduler_config.json").write_text(json.dumps(described))
    scheduler = diffusers.DDIMScheduler.from_pretrained(tmp_path)
    power = np.asarray(networks.schedule.alpha_bar(np.arange(len(scheduler.alphas_cumprod))))
    np.testing.assert_allclose(scheduler.alphas_cumprod.numpy(), power, rtol=2e-3)
    assert scheduler.config.prediction_type == "v_prediction"
    diffusers_scheduler.check_scheduler(described, networks, "it")


def test_export_and_reimport_change_nothing(large, tmp_path, capsys):
    out, again = tmp_path / "out", tmp_path / "again"
    assert export(large, out, "-j") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["classes"] == {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}
    assert report["model_id"] == codec_model.load(large).model_id.hex()
    assert names_below(out) == {
        *("README.md", "manifest.json", "scheduler/scheduler_config.json"),
        *("unet/config.json", "unet/diffusion_pytorch_model.safetensors"),
        *("vae/config.json", "vae/diffusion_pytorch_model.safetensors"),
        *(f"entropy/{name}.safetensors" for name in ("context", "entropy", "hyperprior")),
        "entropy/config.json",
    }
    assert import_again(out, again) == 0
    assert contents(again) == contents(large)


@pytest.mark.parametrize("config", [base, hyperprior])
def test_models_without_a_diffusers_class_are_reimported(config, tmp_path, capsys):
    model, out, again = (tmp_path / name for name in ("model", "out", "again"))
    random_model(model, config.get_config("smoke"))
    assert export(model, out, "-j") == 0
    assert set(json.loads(capsys.readouterr().out)["classes"].values()) == {None}
    assert (out / "unet").is_dir() == (config is base)
    assert import_again(out, again) == 0
    assert contents(again) == contents(model)


def test_the_shipped_model_is_exported_completely(tmp_path, capsys):
    out, again = tmp_path / "out", tmp_path / "again"
    assert export("tiny", out) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3 and all("not a diffusers class" in line for line in printed[1:])
    readme = (out / "README.md").read_text()
    assert "norms are per pixel" in readme and "LICENSE.md" in readme
    assert "CC BY-SA 4.0" in (out / "LICENSE.md").read_text()
    config = json.loads((out / "autoencoder" / "config.json").read_text())
    assert config["kind"] == "transform" and config["latent_channels"] == 56
    tiny_model = codec_model.load("tiny")
    flat = safetensors.numpy.load_file(out / "autoencoder" / "model.safetensors")
    ours = files.flatten(tiny_model.params["autoencoder"])
    assert flat.keys() == ours.keys()
    for name, value in flat.items():
        np.testing.assert_array_equal(value, ours[name])
    assert import_again(out, again) == 0
    shipped = contents(tiny_model.path)
    del shipped["selftest.json"]  # reference of `rdc selftest`, not part of the model
    assert contents(again) == shipped
    model = codec_model.load(again)
    module = fusion_module.choose(model, None)
    assert module.identity == fusion_module.choose(tiny_model, None).identity


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, None),
        ({"heads": (0, 0, 0, 0), "mid_heads": 0}, None),
        ({"norm": "pixel"}, "norms are per pixel"),
        ({"mid_heads": 0}, "its middle has no transformer"),
        ({"heads": (2, 2, 4, 8)}, "as many heads in the middle"),
    ],
)
def test_unets_without_a_diffusers_class_are_recognised(changes, outcome):
    model = sd21.get_config("smoke").model.to_dict()
    model["unet"] = {**model["unet"], **changes}
    networks = Networks.from_config(model)
    obstacle = configs.unet_obstacle(networks)
    assert obstacle is None if outcome is None else outcome in obstacle
    part, _ = parts.parts(model, networks)
    if outcome is None:  # and it is read as what it was
        read = configs.read_unet(part.config, "config.json")
        configs.check_settings(networks.unet, read.section, "config.json")
    else:
        assert part.config["kind"] == "unet"
    alone = Networks.from_config(model | {"context_shape": None})
    if any(model["unet"]["heads"]) and outcome is None:
        assert "no cross-attention" in configs.unet_obstacle(alone)


def test_a_changed_export_is_refused(large, tmp_path, capsys):
    out = tmp_path / "out"
    assert export(large, out) == 0
    weights = out / "vae" / "diffusion_pytorch_model.safetensors"
    arrays = safetensors.numpy.load_file(weights)
    arrays["post_quant_conv.bias"] += np.float16(1)
    safetensors.numpy.save_file(arrays, weights)
    capsys.readouterr()
    assert import_again(out, tmp_path / "again") == 2
    assert "is not what was exported; if it was changed on purpose" in error(capsys)
    (out / "manifest.json").unlink()
    assert import_again(out, tmp_path / "again") == 0
    changed, before = codec_model.load(tmp_path / "again"), codec_model.load(large)
    assert changed.model_id != before.model_id
    bias = changed.params["autoencoder"]["post_quant_conv"]["bias"]
    np.testing.assert_array_equal(bias, arrays["post_quant_conv.bias"].astype(np.float32))
    (out / "entropy" / "hyperprior.safetensors").unlink()
    capsys.readouterr()
    assert import_again(out, tmp_path / "more") == 2
    assert "lacks hyperprior" in error(capsys)
    assert import_again(out, tmp_path / "more", "--config", "configs/sd21.py") == 2
    assert "has its own settings" in error(capsys)


def test_existing_folders_are_kept(large, tmp_path, capsys):
    out = tmp_path / "out"
    assert export("tiny", out) == 0
    capsys.readouterr()
    assert export(large, out) == 2
    assert "-f replaces it" in error(capsys)
    assert export(large, out, "-f") == 0
    assert not (out / "autoencoder" / "config.json").exists() and (out / "vae").is_dir()
    other = tmp_path / "other"
    shutil.copytree(large, other)
    capsys.readouterr()
    for options in ((), ("-f",)):
        assert export(large, other, *options) == 2
        assert "not empty; name a new folder" in error(capsys)
    (tmp_path / "file").write_text("")
    assert export(large, tmp_path / "file") == 2
    assert "is a file" in error(capsys)
    assert export(tmp_path / "nowhere", tmp_path / "new") == 2
    assert "no model" in error(capsys)
