"""A plug-and-play module on disk: round trip, the base it belongs to, and every kind of damage."""

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model, fusion_module
from rdc_jax.model_folder.files import flatten

BASE = bytes(range(8))
SECTION = {
    "transform": {"channels": (16, 16), "layers": 1, "heads": (0, 0)},
    "auxiliary": {"width": 8, "blocks": 1},
    "default_tau": 0.25,
    "default_steps": 3,
}


def tree(seed):
    rng = np.random.default_rng(seed)
    return {"conv_in": {"kernel": rng.normal(size=(3, 3, 4, 5)), "bias": rng.normal(size=5)}}


@pytest.fixture
def params():
    return {"transform": tree(0), "auxiliary": tree(1), "discriminator": tree(2), "unet": tree(3)}


@pytest.fixture
def folder(tmp_path, params):
    fusion_module.save(tmp_path / "module", "name", SECTION, BASE, params)
    return tmp_path / "module"


def rewrite_manifest(folder):
    """Makes the hashes right again, as someone would who edits a module on purpose."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != "manifest.json")
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / "manifest.json").write_text(json.dumps({"sha256": hashes}))


def edit_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    rewrite_manifest(folder)


def one_line(error):
    return str(error.value).count("\n") == 0


def test_round_trip_in_float16(folder, params):
    module = fusion_module.load(folder, BASE)
    assert (module.path, module.base_id) == (folder, BASE)
    assert (module.default_tau, module.default_steps) == (0.25, 3)
    assert module.config == json.loads(json.dumps(SECTION))
    assert set(module.params) == {"transform", "auxiliary"}
    for part, stored in module.params.items():
        flat, want = map(flatten, (stored, params[part]))
        assert flat.keys() == want.keys()
        for name, value in flat.items():
            assert value.dtype == np.float32
            expected = want[name].astype(np.float16).astype(np.float32)
            np.testing.assert_array_equal(value, expected)


def test_saving_twice_gives_the_same_bytes(folder, params, tmp_path):
    fusion_module.save(tmp_path / "again", "name", SECTION, BASE, params)
    for file in ("config.json", "transform.safetensors", "manifest.json"):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()


def test_training_parts_may_be_deleted(folder):
    before = fusion_module.load(folder, BASE)
    shutil.rmtree(folder / "training")
    after = fusion_module.load(folder, BASE)
    assert set(after.params) == {"transform"}
    kernels = (m.params["transform"]["conv_in"]["kernel"] for m in (before, after))
    np.testing.assert_array_equal(*kernels)


def test_training_parts_may_never_have_been(tmp_path, params):
    fusion_module.save(tmp_path / "m", "n", SECTION, BASE, {"transform": params["transform"]})
    assert not (tmp_path / "m" / "training").exists()
    assert set(fusion_module.load(tmp_path / "m", BASE).params) == {"transform"}


def test_a_damaged_training_part_is_named(folder):
    (folder / "training" / "auxiliary.safetensors").write_bytes(b"not what it should be")
    with pytest.raises(RdcError, match=r"training/auxiliary\.safetensors is damaged") as error:
        fusion_module.load(folder, BASE)
    assert one_line(error)


def test_a_module_of_another_base_names_both(folder):
    other = bytes(8)
    with pytest.raises(RdcError, match="fusion=") as error:
        fusion_module.load(folder, other)
    assert BASE.hex() in str(error.value) and other.hex() in str(error.value)
    assert str(folder) in str(error.value) and one_line(error)


@pytest.mark.parametrize("content", ["nothing", "folder", "file"])
def test_a_folder_without_a_module_says_so(tmp_path, content):
    folder = tmp_path / "m"
    if content == "folder":
        folder.mkdir()
    elif content == "file":
        folder.write_text("x")
    with pytest.raises(RdcError, match=r"no fusion module in .*`rdc train`") as error:
        fusion_module.load(folder, BASE)
    assert one_line(error)


@pytest.mark.parametrize("name", ["config.json", "transform.safetensors"])
def test_a_tampered_file_is_named(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(RdcError, match=f"{name} does not match its hash"):
        fusion_module.load(folder, BASE)


@pytest.mark.parametrize("name", ["config.json", "transform.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(RdcError, match=f"cannot read .*{name}"):
        fusion_module.load(folder, BASE)
    rewrite_manifest(folder)
    with pytest.raises(RdcError, match=r"manifest\.json is damaged"):
        fusion_module.load(folder, BASE)


@pytest.mark.parametrize("name", ["config.json", "transform.safetensors"])
def test_a_file_of_the_wrong_kind_is_refused(folder, name):
    (folder / name).write_bytes(b"not what it should be")
    rewrite_manifest(folder)
    with pytest.raises(RdcError, match=f"{name} is damaged"):
        fusion_module.load(folder, BASE)


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"sha256": 3}'])
def test_a_damaged_manifest_is_named(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(RdcError, match=r"manifest\.json is damaged"):
        fusion_module.load(folder, BASE)


@pytest.mark.parametrize("name", ["default_tau", "default_steps"])
def test_a_config_without_its_defaults_is_damaged(folder, name):
    section = {k: v for k, v in SECTION.items() if k != name}
    edit_config(folder, fusion=section)
    with pytest.raises(RdcError, match=r"config\.json is damaged"):
        fusion_module.load(folder, BASE)


def test_another_format_is_refused(folder):
    edit_config(folder, format=fusion_module.FORMAT + 1)
    message = f"module format {fusion_module.FORMAT + 1}; this version reads {fusion_module.FORMAT}"
    with pytest.raises(RdcError, match=message):
        fusion_module.load(folder, BASE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_weights_beyond_float16_are_not_saved(tmp_path, bad):
    params = {"transform": {"w": np.array([bad])}}
    with np.errstate(over="ignore"), pytest.raises(RdcError, match="the transform has weights"):
        fusion_module.save(tmp_path / "m", "n", SECTION, BASE, params)
    assert not (tmp_path / "m").exists() or not list((tmp_path / "m").iterdir())


def test_the_base_keeps_its_id_with_a_module_inside(smoke_model, tmp_path, params):
    base = tmp_path / "base"
    shutil.copytree(smoke_model, base)
    before = codec_model.load(base)
    assert fusion_module.choose(before, None) is None
    inside = base / fusion_module.FOLDER
    fusion_module.save(inside, "n", SECTION, before.model_id, params)
    after = codec_model.load(base)
    assert after.model_id == before.model_id
    assert after.params.keys() == before.params.keys()
    assert fusion_module.choose(after, None).path == inside


def test_which_module_is_taken(smoke_model, tmp_path, params):
    model = codec_model.load(smoke_model)
    for name in ("a", "b"):
        fusion_module.save(tmp_path / name, name, SECTION, model.model_id, params)
    assert fusion_module.choose(model, "none") is None
    for name in ("a", "b"):
        assert fusion_module.choose(model, tmp_path / name).path == tmp_path / name
        assert fusion_module.choose(model, str(tmp_path / name)).path == tmp_path / name
    with pytest.raises(RdcError, match="no fusion module"):
        fusion_module.choose(model, tmp_path / "c")


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("conv_in/bias"),
        lambda arrays: arrays.update({"conv_in/extra": np.zeros(1, np.float16)}),
        lambda arrays: arrays.update({"conv_in/bias": np.zeros(3, np.float16)}),
    ],
)
def test_the_codec_wants_exactly_the_parameters_of_the_config(smoke_model, tmp_path, change):
    import jax

    from configs import fusion as fusion_config
    from rdc_jax.codec import codec
    from rdc_jax.models.fusion import Fusion
    from rdc_jax.models.networks import Networks

    model = codec_model.load(smoke_model)
    section = fusion_config.get_config("smoke").fusion.to_dict()
    fusion = Fusion.from_config(section, Networks.from_config(model.config))
    shapes = jax.eval_shape(fusion.init, jax.random.key(0))["transform"]
    params = {"transform": jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes)}
    folder = tmp_path / "m"
    fusion_module.save(folder, "n", section, model.model_id, params)
    arrays = safetensors.numpy.load_file(folder / "transform.safetensors")
    change(arrays)
    safetensors.numpy.save_file(arrays, folder / "transform.safetensors")
    rewrite_manifest(folder)
    with pytest.raises(RdcError, match="weights do not fit their config: transform/conv_in/"):
        codec.load(smoke_model, folder)


@pytest.mark.parametrize("section", [SECTION, SECTION | {"transform": {"channel": [16]}}])
def test_a_config_that_describes_no_module_is_one_error(smoke_model, tmp_path, params, section):
    from rdc_jax.codec import codec

    model = codec_model.load(smoke_model)
    fusion_module.save(tmp_path / "m", "n", section, model.model_id, params)
    with pytest.raises(RdcError, match=r"config\.json does not describe a module") as error:
        codec.load(smoke_model, tmp_path / "m")
    assert one_line(error)


def test_loading_needs_no_jax(folder, user_environment):
    code = (
        "import sys; from rdc_jax.model_folder import fusion_module;"
        "fusion_module.load(sys.argv[1], bytes(range(8))); sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], env=user_environment, check=True)
