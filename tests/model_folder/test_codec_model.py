"""A model on disk: exact round trip, strict loading, one line for every kind of damage."""

import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, files


@pytest.fixture
def copy(smoke_model, tmp_path):
    """A folder of one's own to damage."""
    folder = tmp_path / "model"
    shutil.copytree(smoke_model, folder)
    return folder


def rewrite_manifest(folder, change=lambda hashes: None):
    """Makes the hashes right again, as someone would who edits a model on purpose."""
    import hashlib

    hashes = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != "manifest.json"
    }
    change(hashes)
    (folder / "manifest.json").write_text(json.dumps({"sha256": hashes}))


def test_round_trip(tmp_path, rng):
    params = {"unet": {"a": {"kernel": rng.normal(size=(3, 4)), "bias": np.zeros(4)}}}
    entropy = {"network/x.weight": np.arange(6, dtype=np.int16).reshape(2, 3).T}
    model_id = codec_model.save(tmp_path / "m", "name", {"levels": 8}, params, entropy)
    model = codec_model.load(tmp_path / "m")
    assert (model.name, model.config, model.model_id) == ("name", {"levels": 8}, model_id)
    assert len(model_id) == 8
    kernel = model.params["unet"]["a"]["kernel"]
    assert kernel.dtype == np.float32
    stored = params["unet"]["a"]["kernel"].astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(kernel, stored)
    np.testing.assert_array_equal(model.entropy["network/x.weight"], entropy["network/x.weight"])
    assert model.entropy["network/x.weight"].dtype == np.int16


def test_the_id_depends_on_contents_only(tmp_path, rng):
    def save(folder, value, name="n"):
        return codec_model.save(tmp_path / folder, name, {}, {"unet": {"w": value}}, {})

    value = np.ones(3)
    assert save("a", value) == save("b", value) == save("a", value)
    assert len({save("a", value), save("c", 2 * value), save("d", value, "other")}) == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_weights_beyond_float16_are_not_saved(tmp_path, bad):
    with np.errstate(over="ignore"), pytest.raises(RdcError, match="the unet has weights"):
        codec_model.save(tmp_path / "m", "n", {}, {"unet": {"w": np.array([bad])}}, {})
    assert not (tmp_path / "m").exists()


def test_flatten_is_undone_by_unflatten():
    tree = {"a": {"b": {"c": np.ones(2)}, "d": np.zeros(1)}, "e": np.ones(3)}
    flat = files.flatten(tree)
    assert set(flat) == {"a/b/c", "a/d", "e"}
    back = files.unflatten(flat)
    assert files.flatten(back).keys() == flat.keys()
    np.testing.assert_array_equal(back["a"]["b"]["c"], np.ones(2))


def test_loading_needs_no_jax(smoke_model, user_environment):
    import subprocess
    import sys

    code = (
        "import sys; from rdc_jax.model_folder import codec_model; codec_model.load(sys.argv[1]);"
        "sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(smoke_model)], env=user_environment, check=True)


def test_a_missing_model_says_where_it_was_sought(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RdcError, match=r"no model 'nowhere' \(looked in .*weights/nowhere and now"):
        codec_model.load("nowhere")
    with pytest.raises(RdcError, match=str(tmp_path)):
        codec_model.load(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["unet.safetensors", "entropy.safetensors", "config.json"])
def test_a_tampered_file_is_named(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(RdcError, match=f"{name} does not match its hash"):
        codec_model.load(copy)


def test_a_missing_file_is_named(copy):
    (copy / "unet.safetensors").unlink()
    with pytest.raises(RdcError, match=r"cannot read .*unet\.safetensors"):
        codec_model.load(copy)


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"sha256": 3}'])
def test_a_damaged_manifest_is_named(copy, text):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(RdcError, match=r"manifest\.json is damaged"):
        codec_model.load(copy)


def test_a_manifest_cannot_name_files_elsewhere(copy, tmp_path):
    (tmp_path / "secret").write_text("x")
    rewrite_manifest(copy, lambda hashes: hashes.update({"../secret": "0" * 64}))
    with pytest.raises(RdcError, match="cannot read"):
        codec_model.load(copy)


def test_another_format_is_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"format": 1}))
    rewrite_manifest(copy)
    with pytest.raises(RdcError, match="has model format 1; this version reads 2"):
        codec_model.load(copy)


@pytest.mark.parametrize("name", ["config.json", "entropy.safetensors"])
def test_a_manifest_must_name_every_part(copy, name):
    (copy / name).unlink()
    rewrite_manifest(copy)
    with pytest.raises(RdcError, match="manifest"):
        codec_model.load(copy)


@pytest.mark.parametrize("name", ["config.json", "unet.safetensors"])
def test_a_file_of_the_wrong_kind_is_refused(copy, name):
    (copy / name).write_bytes(b"not what it should be")
    rewrite_manifest(copy)
    with pytest.raises(RdcError, match=name):
        codec_model.load(copy)


def edit(folder, name, change):
    arrays = safetensors.numpy.load_file(folder / name)
    change(arrays)
    safetensors.numpy.save_file(arrays, folder / name)
    rewrite_manifest(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("conv_in/bias"),
        lambda arrays: arrays.update({"conv_in/extra": np.zeros(1, np.float16)}),
        lambda arrays: arrays.update({"conv_in/bias": np.zeros(3, np.float16)}),
    ],
)
def test_the_codec_wants_exactly_the_parameters_of_the_config(copy, change):
    from rdc_jax.codec import codec

    edit(copy, "unet.safetensors", change)
    with pytest.raises(RdcError, match="weights do not fit their config: unet/conv_in/"):
        codec.load(copy)


def test_the_codec_wants_the_whole_entropy_model(copy):
    from rdc_jax.codec import codec

    edit(copy, "entropy.safetensors", lambda arrays: arrays.pop("network/pass0_0.bias"))
    with pytest.raises(RdcError, match=r"check 'pass0_0\.bias'"):
        codec.load(copy)
