"""`rdc export --to onnx`: the folder, overwriting, and errors."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rdc_jax.cli.main import main
from rdc_jax.codec import codec as codecs
from rdc_jax.model_folder import codec_model

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "from rdc_jax.cli.main import main; sys.exit(main(sys.argv[1:]))"
IMPORTS = """
from rdc_jax.cli.commands import export_model
from rdc_jax.interop.onnx import folder as onnx_folder
from rdc_jax.interop.torch import decoder as torch_decoding
"""


def export(model, out, *more):
    return main(["export", "--to", "onnx", str(model), str(out), *more])


def error(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture(scope="module")
def exporter():
    for package in ("torch", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)


def test_the_folder_is_complete(exporter, smoke_model, tmp_path, capsys):
    from rdc_jax.interop.onnx import decoder as onnx_decoder

    out = tmp_path / "out"
    out.mkdir()  # an existing empty folder is accepted
    assert export(smoke_model, out, "-j") == 0
    report = json.loads(capsys.readouterr().out)
    model = codec_model.load(smoke_model)
    assert report["model_id"] == model.model_id.hex() and report["module_id"] is None
    assert report["weights"] and report["bytes"].keys() == {"faithful.onnx"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["sha256"].keys() == {"faithful.onnx", "README.md"}
    for name, said in manifest["sha256"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == said
    readme = (out / "README.md").read_text()
    assert model.model_id.hex() in readme and "No licence file came with the weights" in readme
    assert "float32 [40,40,56]" in readme and "noise" not in readme
    data = codecs.load(smoke_model).encode(np.full((12, 20), 99, np.uint8))
    assert onnx_decoder.load(smoke_model, folder=out).decode(data).shape == (12, 20, 3)


def test_graphs_without_weights_and_existing_folders(exporter, smoke_model, tmp_path, capsys):
    out = tmp_path / "onnx"
    assert export(smoke_model, out, "--without-weights") == 0
    assert "put them into MODEL/onnx" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {"faithful.onnx", "manifest.json"}
    assert (out / "faithful.onnx").stat().st_size < 150_000
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert export(smoke_model, out, "--without-weights") == 2
    assert "not empty; -f replaces it" in error(capsys)
    assert export(smoke_model, out, "--without-weights", "-f") == 0
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    capsys.readouterr()
    assert export(smoke_model, smoke_model, "-f") == 2
    assert "not empty; name a new folder" in error(capsys)
    (tmp_path / "file").write_text("")
    assert export(smoke_model, tmp_path / "file") == 2
    assert "is a file" in error(capsys)


def in_a_process(source, environment, *arguments):
    return subprocess.run(
        [sys.executable, "-c", source, *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("missing", ["torch", "onnxscript"])
def test_without_the_packages_nothing_is_written(
    missing, smoke_model, refusing, user_environment, tmp_path
):
    if missing == "onnxscript":
        pytest.importorskip("torch")
    out = tmp_path / "out"
    command = ("export", "--to", "onnx", smoke_model, out)
    done = in_a_process(refusing(missing) + COMMAND, user_environment, *command)
    assert done.returncode == 2 and not out.exists()
    (line,) = done.stderr.splitlines()
    assert f"pip install {missing}" in line


def test_an_option_of_another_target_is_refused(tmp_path, capsys):
    command = ["export", "--to", "diffusers", "tiny", str(tmp_path / "out"), "--without-weights"]
    assert main(command) == 2
    assert "is for --to onnx" in error(capsys)


def test_the_readme_of_a_model_with_a_module():
    pytest.importorskip("torch")
    from rdc_jax.interop.onnx import folder
    from rdc_jax.interop.torch import decoder as torch_decoding

    decoder = torch_decoding.load("tiny")
    readme = folder.readme(decoder)
    assert decoder.module_identity in readme and "| `tau` (knob.onnx) |" in readme
    assert "See LICENSE.md" in readme and "overlap by at least 8" in " ".join(readme.split())
    assert max(map(len, readme.splitlines())) <= 100


def test_weights_beyond_one_file_are_refused(smoke_model, tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch")
    from rdc_jax.interop.onnx import export as onnx_export

    monkeypatch.setattr(onnx_export, "LARGEST", 1000)
    assert export(smoke_model, tmp_path / "out") == 2
    assert "leave them out with --without-weights" in error(capsys)


def test_exporting_does_not_import_jax(refusing, user_environment):
    pytest.importorskip("torch")
    done = in_a_process(refusing("jax", "jaxlib", "flax") + IMPORTS, user_environment)
    assert done.returncode == 0, done.stderr
