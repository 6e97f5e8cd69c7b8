"""The installation that only decodes (docs/install.md), in an environment with nothing else.

Needs a package index, from which pip takes five packages.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_jax.cli.main import main
from rdc_jax.model_folder import codec_model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"constriction", "numpy", "onnxruntime", "pillow", "safetensors"}
IN_PYTHON = """
import sys
import numpy as np
import rdc_jax
np.save(sys.argv[2], rdc_jax.decode(sys.argv[1], tau=0.0))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("alone")


@pytest.fixture(scope="module")
def alone(folder):
    """alone(program, *arguments): runs a program of the environment, outside of the clone."""
    venv.create(folder / "env", with_pip=True)
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "JAX_PLATFORMS"}}
    programs = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin")

    def run(program: str, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run(
            [programs / program, *map(str, arguments)],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    clone = folder / "clone"  # a build leaves files behind in the clone
    clone.mkdir()
    shutil.copytree(ROOT / "rdc_jax", clone / "rdc_jax")
    for name in ("LICENSE", "README.md", "pyproject.toml", "requirements-decode.txt"):
        shutil.copy(ROOT / name, clone)
    packages = "--no-deps", "-r", clone / "requirements-decode.txt", clone
    done = run("python", "-m", "pip", "install", "--quiet", *packages)
    if re.search("connection|resolve host", done.stderr, re.IGNORECASE):
        pytest.skip("there is no package index")
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="module")
def file(folder) -> Path:
    """A file of the shipped model with a map: a reference file of `rdc selftest`."""
    reference = codec_model.load().path / "selftest.json"
    files = json.loads(reference.read_text(encoding="utf-8"))["files"]
    path = folder / "region.rdc"
    path.write_bytes(base64.b64decode(files["region"]["file"]))
    return path


def test_nothing_else_is_installed(alone):
    done = alone("python", "-m", "pip", "list", "--format", "json")
    names = {re.sub("[-_.]+", "-", row["name"]).lower() for row in json.loads(done.stdout)}
    assert names - {"pip", "setuptools"} == {*PACKAGES, "rdc-jax"}


@pytest.mark.parametrize("tau", ["0", "1", "roi"])
def test_a_file_decodes_as_in_the_full_installation(alone, file, tau, tmp_path):
    pytest.importorskip("onnxruntime")
    command = ["decode", str(file), "--tau", tau, "-o"]
    done = alone("rdc", *command, tmp_path / "a.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert main([*command, str(tmp_path / "b.png"), "--backend", "onnxruntime"]) == 0
    assert_equal_up_to_rounding(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


def test_the_package_decodes_in_python(alone, file, tmp_path):
    pytest.importorskip("onnxruntime")
    done = alone("python", "-c", IN_PYTHON, file, tmp_path / "a.npy")
    assert done.returncode == 0, done.stderr
    output = str(tmp_path / "b.png")
    command = ["decode", str(file), "--tau", "0", "-o", output, "--backend", "onnxruntime"]
    assert main(command) == 0
    assert_equal_up_to_rounding(np.load(tmp_path / "a.npy"), pixels(output))


def test_info_runs_and_encode_says_what_to_install(alone, file, tmp_path):
    done = alone("rdc", "info", file)
    assert (done.returncode, done.stderr) == (0, "") and "importance map" in done.stdout
    done = alone("rdc", "encode", ROOT / "docs" / "demo.jpg", "-o", tmp_path / "a.rdc")
    assert done.returncode == 2 and not (tmp_path / "a.rdc").exists()
    (line,) = done.stderr.splitlines()
    assert "needs JAX, which is not installed; `pip install -e .`" in line


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def assert_equal_up_to_rounding(found: np.ndarray, expected: np.ndarray) -> None:
    """The two environments may have different versions of onnxruntime."""
    assert found.shape == expected.shape and found.dtype == expected.dtype == np.uint8
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1 and (difference == 0).mean() >= 0.99
