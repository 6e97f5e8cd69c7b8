"""Decoding with nothing but NumPy, Pillow, constriction, safetensors and onnxruntime.

The other packages are installed but refused here. tests/test_decode_install.py installs the five
alone, which takes longer.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_jax import installation
from rdc_jax.cli.main import main
from rdc_jax.model_folder import codec_model
from tests.cli.runs import ROOT, fails

ONLY_FIVE = """
import sys

allowed = {"PIL", "constriction", "numpy", "onnxruntime", "rdc_jax", "safetensors"}
allowed |= sys.stdlib_module_names

class Refuse:
    def find_spec(self, name, path=None, target=None):
        package = name.split(".")[0]
        if package not in allowed:
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)

sys.meta_path.insert(0, Refuse())
from rdc_jax.cli.main import main
"""
PYTHON = """
import numpy as np
import rdc_jax

file, out = sys.argv[1:]
np.save(out, rdc_jax.decode(file, tau=1.0))
assert len(rdc_jax.decode([file, file], tau=1.0)) == 2
assert rdc_jax.info(file).width == 192
for use in (rdc_jax.encode, rdc_jax.__getattr__):
    try:
        use("load")
    except rdc_jax.RdcError as error:
        print(error)
"""
COMMANDS = {
    "encode": ["photo.png"],
    "inpaint": ["photo.rdc", "--mask", "mask.png"],
    "train": ["--config", "configs/tiny.py"],
    "eval": ["--data", "photos"],
    "demo": [],
    "selftest": [],
    "studio": ["--no-browser"],
}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A file of the shipped model with a map: a reference file of `rdc selftest`."""
    reference = codec_model.load().path / "selftest.json"
    files = json.loads(reference.read_text(encoding="utf-8"))["files"]
    path = tmp_path_factory.mktemp("coded") / "region.rdc"
    path.write_bytes(base64.b64decode(files["region"]["file"]))
    return path


def alone(environment, source, *arguments) -> subprocess.CompletedProcess:
    """A process with the five packages. JAX_PLATFORMS asks for what is not there."""
    return subprocess.run(
        [sys.executable, "-c", ONLY_FIVE + source, *map(str, arguments)],
        cwd=ROOT, env=environment | {"JAX_PLATFORMS": "cuda"}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("tau", ["0", "1", "roi"])
def test_a_file_decodes_as_in_the_full_installation(file, tau, user_environment, tmp_path):
    pytest.importorskip("onnxruntime")
    command = ["decode", file, "--tau", tau, "-o"]
    done = alone(user_environment, "sys.exit(main(sys.argv[1:]))", *command, tmp_path / "a.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert main([*map(str, command), str(tmp_path / "b.png"), "--backend", "onnxruntime"]) == 0
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


def test_a_folder_decodes_without_progress_bars(file, user_environment, tmp_path):
    pytest.importorskip("onnxruntime")
    command = ["decode", file.parent, "-o", tmp_path / "out", "--crop", "0,0,9,8"]
    done = alone(user_environment, "sys.exit(main(sys.argv[1:]))", *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert "region.rdc -> " in done.stdout
    assert pixels(tmp_path / "out" / "region_crop.png").shape == (8, 9, 3)


def test_the_package_decodes_in_python(file, user_environment, tmp_path):
    pytest.importorskip("onnxruntime")
    done = alone(user_environment, PYTHON, file, tmp_path / "a.npy")
    assert done.returncode == 0, done.stderr
    assert main(["decode", str(file), "--tau", "1", "-o", str(tmp_path / "b.png"), "--backend",
                 "onnxruntime"]) == 0  # fmt: skip
    assert np.array_equal(np.load(tmp_path / "a.npy"), pixels(tmp_path / "b.png"))
    encoding, loading = done.stdout.splitlines()
    assert "needs JAX, which is not installed; `pip install -e .`" in encoding
    assert "not installed; `pip install -e .`" in loading


def test_info_and_models_run(file, user_environment):
    for command in (["info", file], ["models"]):
        done = alone(user_environment, "sys.exit(main(sys.argv[1:]))", *command)
        assert (done.returncode, done.stderr) == (0, "") and done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_other_commands_say_what_to_install(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    line = fails(capsys, tmp_path, command, *COMMANDS[command])
    assert "needs JAX, which is not installed; `pip install -e .` in the clone" in line


def test_other_missing_packages_are_named(file, user_environment, tmp_path):
    mask = tmp_path / "map.png"
    source = "sys.exit(main(sys.argv[1:]))"
    done = alone(user_environment, source, "roi", ROOT / "docs" / "demo.jpg", "-o", mask)
    assert done.returncode == 2 and not mask.exists()
    (line,) = done.stderr.splitlines()
    assert "this needs scipy, which is not installed; `pip install -e .`" in line
    steps = ["decode", file, "-o", mask, "--steps", "4", "--tau", "1"]
    done = alone(user_environment, source, *steps)
    assert done.returncode == 2 and not mask.exists()
    assert "onnxruntime decodes in one step, not 4; use --steps 1" in done.stderr


def test_a_missing_module_of_ours_is_a_bug():
    with pytest.raises(ModuleNotFoundError), installation.explain_missing():
        import rdc_jax.no_such_module  # noqa: F401
