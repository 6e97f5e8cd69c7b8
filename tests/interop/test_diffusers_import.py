"""`rdc import --from diffusers`: every kind of file. NumPy writes the folders."""

import json

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from rdc_jax.cli import main
from rdc_jax.codec import loading
from rdc_jax.interop.diffusers import names
from rdc_jax.model_folder import codec_model, files
from tests.interop.diffusers_folders import CONFIG, MODEL, WEIGHTS, edit, refused, run

DTYPES = {"float16": "F16", "bfloat16": "BF16"}


def assert_parts_equal(folder, expected, parts=("unet", "autoencoder")):
    loaded = codec_model.load(folder).params
    for part in parts:
        ours, theirs = files.flatten(loaded[part]), files.flatten(expected[part])
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert ours[name].dtype == np.float32
            np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_float32_is_imported_unchanged(stock, stock_params, tmp_path, capsys):
    assert run(stock, tmp_path / "model") == 0
    out = capsys.readouterr().out
    assert "licence of the source" in out and "context of the cross-attention is zeros" in out
    assert f"next: rdc train --config {CONFIG} init_from={tmp_path / 'model'}" in out
    assert_parts_equal(tmp_path / "model", stock_params)
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
def test_half_precision_in_shards_is_imported_as_float32(stock_copy, stock_params, tmp_path, kind):
    for part in ("unet", "vae"):
        arrays = safetensors.numpy.load_file(stock_copy / part / WEIGHTS)
        (stock_copy / part / WEIGHTS).unlink()
        placed = {}
        for shard in range(3):
            name = f"diffusion_pytorch_model-0000{shard + 1}-of-00003.safetensors"
            own = {k: halved(v, kind) for i, (k, v) in enumerate(arrays.items()) if i % 3 == shard}
            (stock_copy / part / name).write_bytes(packed(own, DTYPES[kind]))
            placed |= dict.fromkeys(own, name)
        index = {"metadata": {}, "weight_map": placed}
        (stock_copy / part / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    assert run(stock_copy, tmp_path / "model") == 0
    expected = jax.tree.map(lambda v: halved(v, kind).astype(np.float32), stock_params)
    assert_parts_equal(tmp_path / "model", expected)


def test_a_single_file_and_the_fp16_variant_are_found(stock_copy, stock_params, tmp_path):
    half = {
        k: v.astype(np.float16)
        for k, v in safetensors.numpy.load_file(stock_copy / "vae" / WEIGHTS).items()
    }
    (stock_copy / "vae" / WEIGHTS).unlink()
    safetensors.numpy.save_file(
        half, stock_copy / "vae" / "diffusion_pytorch_model.fp16.safetensors"
    )
    elsewhere = tmp_path / "elsewhere"
    (stock_copy / "unet").rename(elsewhere)
    (elsewhere / WEIGHTS).rename(elsewhere / "v2.safetensors")
    assert run(stock_copy, tmp_path / "m", "--unet", str(elsewhere / "v2.safetensors")) == 0
    assert_parts_equal(tmp_path / "m", stock_params, ["unet"])
    halves = jax.tree.map(lambda v: v.astype(np.float16).astype(np.float32), stock_params)
    assert_parts_equal(tmp_path / "m", halves, ["autoencoder"])


def test_older_names_and_convolutions_of_attention_are_known(stock_copy, stock_params, tmp_path):
    """Older autoencoders name layers query, key, value. U-Nets of SD 1.x have 1x1 convolutions."""
    older = {new: old for old, new in names.OLDER_ATTENTION.items()}
    arrays = {}
    for key, value in safetensors.numpy.load_file(stock_copy / "vae" / WEIGHTS).items():
        for new, old in older.items():
            key = key.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        is_old = ".weight" in key and any(f".{old}." in key for old in older.values())
        arrays[key] = value[:, :, None, None] if is_old else value
    assert any(".proj_attn." in key for key in arrays)
    safetensors.numpy.save_file(arrays, stock_copy / "vae" / WEIGHTS)
    arrays = safetensors.numpy.load_file(stock_copy / "unet" / WEIGHTS)
    for key in arrays:
        if key.endswith(("proj_in.weight", "proj_out.weight")):
            arrays[key] = arrays[key][:, :, None, None]
    safetensors.numpy.save_file(arrays, stock_copy / "unet" / WEIGHTS)
    edit(stock_copy / "unet" / "config.json", use_linear_projection=False)
    assert run(stock_copy, tmp_path / "model") == 0
    assert_parts_equal(tmp_path / "model", stock_params)


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


def test_a_model_that_predicts_noise_is_imported_with_an_override(stock_copy, tmp_path, capsys):
    edit(stock_copy / "scheduler" / "scheduler_config.json", prediction_type="epsilon")
    arguments = ["import", "--from", "diffusers", str(stock_copy), "--config", CONFIG]
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
