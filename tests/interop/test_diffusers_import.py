"""`rdc import --from diffusers`: every kind of file and every error. NumPy writes the folders."""

import json
import shutil
import sys
from types import SimpleNamespace

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from configs import sd21
from rdc_jax.cli import main
from rdc_jax.codec import loading
from rdc_jax.interop.diffusers import configs as diffusers_configs
from rdc_jax.interop.diffusers import names, scheduler
from rdc_jax.model_folder import codec_model, files
from rdc_jax.models.networks import Networks

CONFIG = "configs/sd21.py:smoke"
WEIGHTS = "diffusion_pytorch_model.safetensors"
DTYPES = {"float16": "F16", "bfloat16": "BF16"}
MODEL = sd21.get_config("smoke").model.to_dict()


@pytest.fixture(scope="module")
def networks():
    return Networks.from_config(MODEL)


@pytest.fixture(scope="module")
def params(networks):
    """Random parameters that neither float16 nor bfloat16 can represent."""
    generator = np.random.default_rng(0)
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    return jax.tree.map(
        lambda leaf: generator.normal(0, 0.2, leaf.shape).astype(np.float32), shapes
    )


@pytest.fixture(scope="module")
def stock(networks, params, tmp_path_factory):
    """A folder like that of Stable Diffusion: unet/, vae/, scheduler/, LICENSE.md, in float32."""
    folder = tmp_path_factory.mktemp("stock")
    configs = {
        "unet": diffusers_configs.unet_config(networks),
        "vae": diffusers_configs.autoencoder_config(networks.autoencoder),
        "scheduler": scheduler.scheduler_config(MODEL, networks),
    }
    for part, config in configs.items():
        (folder / part).mkdir()
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        (folder / part / name).write_text(json.dumps(config))
    for part, tree in (("unet", params["unet"]), ("vae", params["autoencoder"])):
        flat = files.flatten(tree)
        arrays = {names.diffusers_key(k): names.to_diffusers(k, v) for k, v in flat.items()}
        safetensors.numpy.save_file(arrays, folder / part / WEIGHTS)
    (folder / "LICENSE.md").write_text("terms of the source")
    return folder


@pytest.fixture
def copy(stock, tmp_path):
    """A copy of that folder, for changes."""
    return shutil.copytree(stock, tmp_path / "copy")


def run(folder, out, *more, config=CONFIG):
    options = ["--config", config] if config else []
    return main.main(["import", "--from", "diffusers", str(folder), str(out), *options, *more])


def refused(capsys, *arguments, **options):
    """The single line of a command's error."""
    assert run(*arguments, **options) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert captured.out == ""
    return line


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def assert_parts_equal(folder, expected, parts=("unet", "autoencoder")):
    loaded = codec_model.load(folder).params
    for part in parts:
        ours, theirs = files.flatten(loaded[part]), files.flatten(expected[part])
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert ours[name].dtype == np.float32
            np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_float32_is_imported_unchanged(stock, params, tmp_path, capsys):
    assert run(stock, tmp_path / "model") == 0
    out = capsys.readouterr().out
    assert "licence of the source" in out and "context of the cross-attention is zeros" in out
    assert f"next: rdc train --config {CONFIG} init_from={tmp_path / 'model'}" in out
    assert_parts_equal(tmp_path / "model", params)
    loaded = codec_model.load(tmp_path / "model").params
    assert loaded.keys() == {"unet", "autoencoder", "hyperprior", "context"}
    assert not loaded["context"]["empty_prompt"].any()
    loading.of_model(codec_model.load(tmp_path / "model"))  # nothing is missing
    assert (tmp_path / "model" / "LICENSE.md").read_text() == "terms of the source"
    assert "not empty; -f replaces it" in refused(capsys, stock, tmp_path / "model")


def halved(array, kind):
    return array.astype(ml_dtypes.bfloat16 if kind == "bfloat16" else kind)


def packed(arrays, dtype):
    """Writes a safetensors file. The library's NumPy writer does not support bfloat16."""
    header, data = {}, b""
    for key, value in arrays.items():
        end = len(data) + value.nbytes
        header[key] = {"dtype": dtype, "shape": value.shape, "data_offsets": [len(data), end]}
        data += value.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_in_shards_is_imported_as_float32(copy, params, tmp_path, kind):
    for part in ("unet", "vae"):
        arrays = safetensors.numpy.load_file(copy / part / WEIGHTS)
        (copy / part / WEIGHTS).unlink()
        placed = {}
        for shard in range(3):
            name = f"diffusion_pytorch_model-0000{shard + 1}-of-00003.safetensors"
            own = {k: halved(v, kind) for i, (k, v) in enumerate(arrays.items()) if i % 3 == shard}
            (copy / part / name).write_bytes(packed(own, DTYPES[kind]))
            placed |= dict.fromkeys(own, name)
        index = {"metadata": {}, "weight_map": placed}
        (copy / part / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    assert run(copy, tmp_path / "model") == 0
    expected = jax.tree.map(lambda v: halved(v, kind).astype(np.float32), params)
    assert_parts_equal(tmp_path / "model", expected)


def test_a_single_file_and_the_fp16_variant_are_found(copy, params, tmp_path):
    half = {
        k: v.astype(np.float16)
        for k, v in safetensors.numpy.load_file(copy / "vae" / WEIGHTS).items()
    }
    (copy / "vae" / WEIGHTS).unlink()
    safetensors.numpy.save_file(half, copy / "vae" / "diffusion_pytorch_model.fp16.safetensors")
    elsewhere = tmp_path / "elsewhere"
    (copy / "unet").rename(elsewhere)
    (elsewhere / WEIGHTS).rename(elsewhere / "v2.safetensors")
    assert run(copy, tmp_path / "m", "--unet", str(elsewhere / "v2.safetensors")) == 0
    assert_parts_equal(tmp_path / "m", params, ["unet"])
    halves = jax.tree.map(lambda v: v.astype(np.float16).astype(np.float32), params)
    assert_parts_equal(tmp_path / "m", halves, ["autoencoder"])


def test_older_names_and_convolutions_of_attention_are_known(copy, params, tmp_path):
    """Older autoencoders name layers query, key, value. U-Nets of SD 1.x have 1x1 convolutions."""
    older = {new: old for old, new in names.OLDER_ATTENTION.items()}
    arrays = {}
    for key, value in safetensors.numpy.load_file(copy / "vae" / WEIGHTS).items():
        for new, old in older.items():
            key = key.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        is_old = ".weight" in key and any(f".{old}." in key for old in older.values())
        arrays[key] = value[:, :, None, None] if is_old else value
    assert any(".proj_attn." in key for key in arrays)
    safetensors.numpy.save_file(arrays, copy / "vae" / WEIGHTS)
    arrays = safetensors.numpy.load_file(copy / "unet" / WEIGHTS)
    for key in arrays:
        if key.endswith(("proj_in.weight", "proj_out.weight")):
            arrays[key] = arrays[key][:, :, None, None]
    safetensors.numpy.save_file(arrays, copy / "unet" / WEIGHTS)
    edit(copy / "unet" / "config.json", use_linear_projection=False)
    assert run(copy, tmp_path / "model") == 0
    assert_parts_equal(tmp_path / "model", params)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_a_context_is_read_from_a_file(stock, tmp_path, capsys, rng, suffix):
    context = rng.normal(0, 1, (1, *MODEL["context_shape"])).astype(np.float16)
    file = tmp_path / f"context{suffix}"
    if suffix == ".npy":
        np.save(file, context)
    else:
        safetensors.numpy.save_file({"any name": context}, file)
    assert run(stock, tmp_path / "model", "--context", str(file), "-j") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["notes"] == ["the entropy model is untrained and codes badly until it is trained"]
    stored = codec_model.load(tmp_path / "model").params["context"]["empty_prompt"]
    np.testing.assert_array_equal(stored, context[0].astype(np.float32))
    np.save(tmp_path / "wrong.npy", context[:, 1:])
    line = refused(capsys, stock, tmp_path / "m", "--context", str(tmp_path / "wrong.npy"))
    assert "wrong.npy is float16 (2, 16); the config's context is (3, 16)" in line
    (tmp_path / "no.npy").write_bytes(b"text")
    assert "no.npy" in refused(capsys, stock, tmp_path / "m", "--context", str(tmp_path / "no.npy"))


def test_a_model_that_predicts_noise_is_imported_with_an_override(copy, tmp_path, capsys):
    edit(copy / "scheduler" / "scheduler_config.json", prediction_type="epsilon")
    arguments = ["import", "--from", "diffusers", str(copy), "--config", CONFIG]
    assert main.main([*arguments, str(tmp_path / "model"), "model.prediction=eps"]) == 0
    assert codec_model.load(tmp_path / "model").config["prediction"] == "eps"
    assert "model.prediction=eps init_from=" in capsys.readouterr().out


@pytest.mark.slow
def test_training_continues_from_an_import(stock, tmp_path, capsys):
    model = tmp_path / "model"
    assert run(stock, model) == 0
    train = ["train", "--config", CONFIG, f"init_from={model}", f"workdir={tmp_path / 'run'}",
             "training.compute_dtype=float32"]  # fmt: skip
    with jax.numpy_dtype_promotion("standard"):  # optax needs it
        assert main.main(train) == 0, capsys.readouterr().err
    trained = codec_model.load(tmp_path / "run" / "model").params
    assert trained["unet"].keys() == codec_model.load(model).params["unet"].keys()
    assert "context" in trained


def without(folder, key):
    arrays = safetensors.numpy.load_file(folder / WEIGHTS)
    del arrays[key]
    safetensors.numpy.save_file(arrays, folder / WEIGHTS)


def changed(folder, key, array):
    arrays = safetensors.numpy.load_file(folder / WEIGHTS) | {key: array}
    safetensors.numpy.save_file(arrays, folder / WEIGHTS)


def cut(file):
    file.write_bytes(file.read_bytes()[:-100])


def pickled(folder):
    (folder / WEIGHTS).rename(folder / "diffusion_pytorch_model.bin")


REFUSALS = {
    "missing key": (
        lambda c: without(c / "unet", "conv_in.bias"),
        "unet lacks conv_in.bias",
    ),
    "unknown key": (
        lambda c: changed(c / "vae", "encoder.extra.weight", np.zeros(3, np.float32)),
        "vae has unknown encoder.extra.weight",
    ),
    "wrong shape": (
        lambda c: changed(c / "unet", "conv_out.bias", np.zeros(5, np.float32)),
        "conv_out.bias has shape (5,)",
    ),
    "integers": (
        lambda c: changed(c / "unet", "conv_out.bias", np.zeros(4, np.int32)),
        "conv_out.bias is I32; only F32, F16, BF16 are read",
    ),
    "not finite": (
        lambda c: changed(c / "unet", "conv_out.bias", np.full(4, np.nan, np.float32)),
        "conv_out.bias has values that are not finite",
    ),
    "cut short": (lambda c: cut(c / "unet" / WEIGHTS), "damaged or cut short"),
    "pickles": (lambda c: pickled(c / "vae"), "only pickled weights"),
    "no weights": (lambda c: (c / "vae" / WEIGHTS).unlink(), "no .safetensors weights"),
    "no vae": (lambda c: shutil.rmtree(c / "vae"), "PATH needs unet/ and vae/"),
    "no config": (lambda c: (c / "unet" / "config.json").unlink(), "config.json: No such file"),
    "no JSON": (lambda c: (c / "unet" / "config.json").write_text("{"), "config.json is not JSON"),
    "another class": (
        lambda c: edit(c / "unet" / "config.json", _class_name="FluxTransformer2DModel"),
        "describes FluxTransformer2DModel, not UNet2DConditionModel",
    ),
    "another width": (
        lambda c: edit(c / "unet" / "config.json", block_out_channels=[16, 16, 32, 64]),
        "says channels 16 16 32 64, the config 16 16 32 32",
    ),
    "an option": (
        lambda c: edit(c / "unet" / "config.json", class_embed_type="timestep"),
        "class_embed_type is timestep, an option that cannot be imported",
    ),
    "another value": (
        lambda c: edit(c / "unet" / "config.json", norm_eps=1e-6),
        "norm_eps is 1e-06; only 1e-05 can be imported",
    ),
    "other blocks": (
        lambda c: edit(c / "unet" / "config.json", down_block_types=["AttnDownBlock2D"] * 4),
        "its blocks differ from ours",
    ),
    "another context": (
        lambda c: edit(c / "unet" / "config.json", cross_attention_dim=24),
        "says cross_attention_dim 24, the config 16",
    ),
    "another scale": (
        lambda c: edit(c / "vae" / "config.json", scaling_factor=0.13025),
        "says scaling_factor 0.13025, the config 0.18215",
    ),
    "another prediction": (
        lambda c: edit(c / "scheduler" / "scheduler_config.json", prediction_type="epsilon"),
        "says prediction_type epsilon; give model.prediction=eps",
    ),
    "another noise": (
        lambda c: edit(c / "scheduler" / "scheduler_config.json", beta_end=0.02),
        "another noise schedule",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_unsuitable_folders_are_refused_in_one_line(copy, tmp_path, capsys, case):
    change, words = REFUSALS[case]
    change(copy)
    assert words in refused(capsys, copy, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_long_list_of_keys_is_shortened(copy, tmp_path, capsys):
    edit(copy / "unet" / "config.json", _class_name="UNet2DConditionModel")
    shutil.copy(copy / "vae" / WEIGHTS, copy / "unet" / WEIGHTS)
    line = refused(capsys, copy, tmp_path / "model")
    assert (
        " more; the weights are incomplete or have another architecture" in line and len(line) < 500
    )


def test_an_index_that_does_not_fit_its_shards_is_refused(copy, tmp_path, capsys):
    (copy / "unet" / WEIGHTS).rename(copy / "unet" / "a.safetensors")
    index = copy / "unet" / f"{WEIGHTS}.index.json"
    for placed, words in (
        ({"conv_in.bias": "a.safetensors"}, "do not agree on"),
        ({"conv_in.bias": "b.safetensors"}, "b.safetensors: no such file"),
        ({"conv_in.bias": "../vae/a.safetensors"}, "not a .safetensors file beside it"),
    ):
        index.write_text(json.dumps({"weight_map": placed}))
        assert words in refused(capsys, copy, tmp_path / "model")
    index.write_text("[]")
    assert "is not an index of shards" in refused(capsys, copy, tmp_path / "model")


def test_arguments_that_do_not_fit_are_refused(stock, tmp_path, capsys):
    out = tmp_path / "model"
    assert "needs --config" in refused(capsys, stock, out, config=None)
    assert "no U-Net with a KL autoencoder" in refused(
        capsys, stock, out, config="configs/tiny.py:smoke"
    )
    assert main.main(["import", "--from", "compressai", "x", str(out), "--vae", "y"]) == 2
    assert "--vae is for --from diffusers" in capsys.readouterr().err


def test_the_hub_needs_a_commit_a_library_and_a_network(tmp_path, capsys, monkeypatch, stock):
    out, commit = tmp_path / "model", "0123456789" * 4
    assert "no folder nowhere" in refused(capsys, "nowhere", out)
    for name in ("some/model", "some/model@main"):
        assert "hub needs a commit" in refused(capsys, name, out)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install huggingface_hub" in refused(capsys, f"some/model@{commit}", out)
    asked = []

    def offline(*arguments, **options):
        raise ConnectionError("no route\nto host")

    def found(name, revision, **patterns):
        asked.append((name, revision))
        return str(stock)

    for download in (offline, found):
        library = SimpleNamespace(snapshot_download=download)
        monkeypatch.setitem(sys.modules, "huggingface_hub", library)
        if download is offline:
            line = refused(capsys, f"some/model@{commit}", out)
            assert "ConnectionError: no route" in line and "give the folder" in line
    assert run(f"some/model@{commit}", out) == 0
    assert asked == [("some/model", commit)]
