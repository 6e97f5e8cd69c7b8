"""`rdc import --from diffusers`: what it refuses, in one line. NumPy writes the folders."""

import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy

from rdc_jax.cli import main
from tests.interop.diffusers_folders import WEIGHTS, edit, refused, run


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
def test_unsuitable_folders_are_refused_in_one_line(stock_copy, tmp_path, capsys, case):
    change, words = REFUSALS[case]
    change(stock_copy)
    assert words in refused(capsys, stock_copy, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_long_list_of_keys_is_shortened(stock_copy, tmp_path, capsys):
    edit(stock_copy / "unet" / "config.json", _class_name="UNet2DConditionModel")
    shutil.copy(stock_copy / "vae" / WEIGHTS, stock_copy / "unet" / WEIGHTS)
    line = refused(capsys, stock_copy, tmp_path / "model")
    assert (
        " more; the weights are incomplete or have another architecture" in line and len(line) < 500
    )


def test_an_index_that_does_not_fit_its_shards_is_refused(stock_copy, tmp_path, capsys):
    (stock_copy / "unet" / WEIGHTS).rename(stock_copy / "unet" / "a.safetensors")
    index = stock_copy / "unet" / f"{WEIGHTS}.index.json"
    for placed, words in (
        ({"conv_in.bias": "a.safetensors"}, "do not agree on"),
        ({"conv_in.bias": "b.safetensors"}, "b.safetensors: no such file"),
        ({"conv_in.bias": "../vae/a.safetensors"}, "not a .safetensors file beside it"),
    ):
        index.write_text(json.dumps({"weight_map": placed}))
        assert words in refused(capsys, stock_copy, tmp_path / "model")
    index.write_text("[]")
    assert "is not an index of shards" in refused(capsys, stock_copy, tmp_path / "model")


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
