"""`rdc_jax` as a library: what it shows and what it takes."""

import ast
import os
import pydoc
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import rdc_jax
from rdc_jax.codec import api, compilation_cache
from rdc_jax.codec import codec as codecs
from rdc_jax.importance import detectors

ROOT = Path(__file__).parents[1]
NAMES = {
    *("load", "Codec", "encode", "decode", "info"),
    *("read_image", "write_image", "RdcError"),
}  # fmt: skip


@pytest.fixture(scope="module")
def codec(smoke_model):
    return rdc_jax.load(smoke_model)


@pytest.fixture(scope="module")
def pixels():
    y, x = np.mgrid[0:24, 0:40]
    planes = [128 + 100 * np.sin(x / a + y / b) for a, b in ((5, 9), (8, 7), (11, 4))]
    return np.stack(planes, -1).astype(np.uint8)


@pytest.fixture(scope="module")
def data(codec, pixels):
    return codec.encode(pixels)


# What it shows


def test_dir_and_help_show_the_library_and_no_imports():
    shown = {name for name in dir(rdc_jax) if not name.startswith("__")}
    assert shown == NAMES == set(rdc_jax.__all__)
    text = pydoc.plain(pydoc.render_doc(rdc_jax))
    assert all(name in text for name in NAMES)
    assert "import_module" not in text and "TYPE_CHECKING" not in text
    assert rdc_jax.Report is codecs.Report
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rdc_jax.nothing


def test_type_checkers_see_the_modules_that_python_imports():
    tree = ast.parse(Path(rdc_jax.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {name.name: node.module for node in block.body for name in node.names}
    assert seen == rdc_jax._HOMES


def test_looking_starts_no_jax(user_environment, tmp_path, data):
    (tmp_path / "a.rdc").write_bytes(data)
    script = (
        "import sys, rdc_jax; dir(rdc_jax); rdc_jax.read_image; rdc_jax.RdcError; "
        "print(rdc_jax.info(sys.argv[1]).width, 'jax' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.rdc")],
        cwd=ROOT, env=user_environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout == "40 False\n", done.stderr


def test_a_codec_says_what_it_is(codec):
    count = sum(x.size for part in codec.model.params.values() for x in leaves(part))
    assert repr(codec) == (
        f"<Codec: model tiny-smoke {codec.model.model_id.hex()}, {count:,} parameters, "
        "no fusion module>"
    )


def leaves(tree):
    if not isinstance(tree, dict):
        return [tree]
    return [leaf for child in tree.values() for leaf in leaves(child)]


# What it takes


def test_the_same_pixels_in_every_form_give_the_same_file(codec, pixels, data, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    floats = pixels.astype(np.float32) / 255
    forms = [
        Image.fromarray(pixels),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        rdc_jax.read_image(tmp_path / "a.png"),
        jnp.asarray(pixels),
        floats,
        floats.astype(np.float64),
        np.moveaxis(floats, -1, 0),
        jnp.asarray(floats),
    ]
    assert codec.encode(forms) == [data] * len(forms)


def test_tensors(codec, pixels, data):
    torch = pytest.importorskip("torch")
    eight = torch.from_numpy(pixels)
    floats = (eight.float() / 255).requires_grad_()
    half = (eight.double() / 255).permute(2, 0, 1)
    assert codec.encode([eight, floats, floats.permute(2, 0, 1), half]) == [data] * 4
    mask = torch.zeros(24, 40, dtype=torch.bool)
    mask[:, :20] = True
    assert codec.encode(eight, importance=mask) == codec.encode(pixels, importance=mask.numpy())


def test_grey_images(codec, pixels):
    grey = pixels[..., 0]
    expected = codec.encode(grey)
    assert rdc_jax.info(expected).grey
    floats = grey.astype(np.float32) / 255
    forms = [Image.fromarray(grey), grey[..., None], floats, floats[None]]
    assert codec.encode(forms) == [expected] * len(forms)


def test_alpha_and_profile_of_a_pil_image_are_kept(codec, pixels):
    alpha = np.full((24, 40), 255, np.uint8)
    alpha[:5] = 0
    image = Image.fromarray(np.dstack([pixels, alpha]))
    image.info["icc_profile"] = b"a profile"
    decoded = codec.decode_image(codec.encode(image))
    np.testing.assert_array_equal(decoded.alpha, alpha)
    assert decoded.icc == b"a profile"
    mask = np.ones((24, 40), bool)  # what is transparent is not important
    kept = codec.encode(image, importance=mask)
    assert kept == codec.encode(image, importance=alpha > 0)


@pytest.mark.parametrize("name", detectors.DETECTORS)
def test_importance_by_the_name_of_a_detector(codec, pixels, monkeypatch, name):
    mask, asked = np.linspace(0, 1, 24 * 40, dtype=np.float32).reshape(24, 40), []

    def find(given, detector):
        asked.append(detector)
        np.testing.assert_array_equal(given, pixels)
        return detectors.Found(mask, "a test")

    monkeypatch.setattr(detectors, "find", find)
    assert codec.encode(pixels, importance=name) == codec.encode(pixels, importance=mask)
    assert asked == [name]


def test_importance_from_files_and_images_and_one_for_each(codec, pixels, tmp_path):
    mask = np.zeros((24, 40), np.uint8)
    mask[:, :16] = 255
    image = Image.fromarray(mask)
    image.save(tmp_path / "mask.png")
    expected = codec.encode(pixels, importance=mask)
    for form in (image, tmp_path / "mask.png", str(tmp_path / "mask.png"), jnp.asarray(mask)):
        assert codec.encode(pixels, importance=form) == expected
    both = codec.encode([pixels, pixels], importance=[mask, None], return_report=True)
    assert [file for file, _ in both] == [expected, codec.encode(pixels)]
    assert codec.encode(pixels, importance="center") != codec.encode(pixels)
    with pytest.raises(rdc_jax.RdcError, match="2 images have 1 masks; give one for each"):
        codec.encode([pixels, pixels], importance=[mask])


# In one call


def test_the_model_is_loaded_once_and_kept(smoke_model, codec, pixels, data, tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr("rdc_jax.codec.codec.load", lambda *names: loaded.append(names) or codec)
    api._codec.cache_clear()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    coded = rdc_jax.encode(tmp_path / "a.png", model=smoke_model, quality=50)
    assert coded == data
    (tmp_path / "a.rdc").write_bytes(coded)
    expected = codec.decode(data, tau=0)
    for form in (coded, tmp_path / "a.rdc", str(tmp_path / "a.rdc")):
        found = rdc_jax.decode(form, model=smoke_model, tau=0)
        np.testing.assert_array_equal(found, expected)
    both = rdc_jax.decode([coded, tmp_path / "a.rdc"], model=str(smoke_model), tau=0)
    assert len(both) == 2
    assert loaded == [(str(smoke_model), None)]
    api._codec.cache_clear()


def test_an_empty_batch_is_empty(smoke_model, codec):
    assert codec.encode([]) == codec.encode((), return_report=True) == []
    assert rdc_jax.encode([], model=smoke_model) == rdc_jax.decode([], model=smoke_model) == []


def test_info_of_bytes_paths_and_open_files(codec, pixels, data, tmp_path):
    found = rdc_jax.info(data)
    assert (found.width, found.height, found.bytes) == (40, 24, len(data))
    assert found.bpp == 8 * len(data) / (24 * 40)
    assert found.model_id == codec.model.model_id.hex()
    assert (found.importance_levels, found.tile_side) == (1, None)
    assert not found.grey and not found.alpha
    assert set(found.section_bytes) == {"importance", "hyper_latent", "latent"}
    (tmp_path / "a.rdc").write_bytes(data)
    assert rdc_jax.info(tmp_path / "a.rdc") == found
    with open(tmp_path / "a.rdc", "rb") as file:
        assert rdc_jax.info(file) == found
    tiles = codec.encode(pixels, tile=256, importance=pixels[..., 0] > 99)
    assert rdc_jax.info(tiles).tile_side == 256
    assert rdc_jax.info(tiles).importance_levels > 1
    for wrong in (b"", b"nothing", tmp_path / "none.rdc", None):
        with pytest.raises(rdc_jax.RdcError):
            rdc_jax.info(wrong)


# The cache of compiled networks


def test_load_keeps_compiled_networks_unless_told_not_to(smoke_model, monkeypatch):
    calls = []
    monkeypatch.setattr(compilation_cache, "enable", lambda: calls.append(1))
    rdc_jax.load(smoke_model, compilation_cache=False)
    assert calls == []
    rdc_jax.load(smoke_model)
    assert calls == [1]


def test_a_folder_that_jax_uses_already_is_left_alone(user_environment, tmp_path):
    script = (
        "import jax; from rdc_jax.codec import compilation_cache as c; c.enable_by_default(); "
        "print(jax.config.jax_compilation_cache_dir)"
    )
    for own in ({}, {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "own")}):
        environment = user_environment | {"RDC_CACHE_DIR": str(tmp_path / "rdc")} | own
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.stdout.strip() == str(tmp_path / ("own" if own else "rdc")), done.stderr


def test_tests_do_not_fill_the_users_cache():
    assert os.environ["RDC_CACHE_DIR"] == os.devnull
    assert compilation_cache.enable() is None
