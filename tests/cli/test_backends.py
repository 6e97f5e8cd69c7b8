"""`rdc decode --backend`: when onnxruntime decodes, that it needs no JAX, and its pictures."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rdc_jax.bitstream.file_reader import FileReader
from rdc_jax.cli import backends
from rdc_jax.cli.main import main
from rdc_jax.codec import codec as codecs
from rdc_jax.interop.onnx import decoder
from rdc_jax.model_folder import codec_model, fusion_module

ROOT = Path(__file__).resolve().parents[2]
RENEW = "rdc export --to onnx tiny rdc_jax/weights/tiny/onnx --without-weights -f"
COMMAND = """
from rdc_jax.cli.main import main
code = main(sys.argv[1:])
assert "rdc_jax.codec.compilation_cache" not in sys.modules
sys.exit(code)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """An .rdc file of the shipped model, with a map."""
    rng, mask = np.random.default_rng(0), np.zeros((33, 57), bool)
    mask[:, :20] = True
    smooth = np.add.outer(np.arange(33), np.arange(57))[..., None] + rng.normal(60, 6, (33, 57, 3))
    path = tmp_path_factory.mktemp("coded") / "a.rdc"
    path.write_bytes(codecs.load().encode(smooth.astype(np.uint8), quality=50, importance=mask))
    return path


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setattr("rdc_jax.codec.compilation_cache.enable", lambda: None)


def decode(capsys, file, out, *more):
    """(pixels, report)"""
    assert main(["decode", str(file), "-o", str(out), "-f", "-j", *map(str, more)]) == 0
    with Image.open(out) as picture:
        return np.asarray(picture).astype(int), json.loads(capsys.readouterr().out)


def error(capsys, *arguments):
    assert main([*map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_shipped_graphs_are_those_of_the_shipped_weights():
    for model in map(codec_model.load, codec_model.shipped()):
        module = fusion_module.choose(model, None)
        wanted = {"faithful.onnx": [model.model_id.hex()]}
        if module is not None:
            wanted["knob.onnx"] = [model.model_id.hex(), module.identity]
        for name, identities in wanted.items():
            path = model.path / decoder.FOLDER / name
            said = path.read_bytes() if path.is_file() else b""
            for identity in identities:
                assert identity.encode() in said, f"{path} is stale; renew it with `{RENEW}`"


@pytest.mark.parametrize("tau", ["0", "1", "roi"])
def test_both_back_ends_make_the_same_image(file, tau, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    out = tmp_path / "a.png"
    found = {}
    for name in ("onnxruntime", "xla"):
        options = ("--backend", name, "--tau", tau, "--symbol-hash")
        found[name], report = decode(capsys, file, out, *options)
        assert report["backend"] == name
        found[name, "symbols"] = report["symbol_hash"]
    assert found["onnxruntime", "symbols"] == found["xla", "symbols"]
    difference = np.abs(found["onnxruntime"] - found["xla"])
    assert difference.max() <= 1 and (difference == 0).mean() >= 0.99


def test_decoding_with_onnxruntime_does_not_import_jax(file, refusing, user_environment, tmp_path):
    pytest.importorskip("onnxruntime")
    command = ["decode", str(file), "-o", str(tmp_path / "a.png"), "-v"]  # auto
    environment = user_environment | {"JAX_PLATFORMS": "cpu"}
    source = refusing("jax", "jaxlib", "flax", "torch", "onnx") + COMMAND
    done = subprocess.run(
        [sys.executable, "-c", source, *command],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "proportional clock, onnxruntime, model tiny" in done.stdout


@pytest.mark.parametrize("backend", [backends.XLA, backends.ONNXRUNTIME])
def test_a_file_is_opened_once(file, backend, tmp_path, capsys, monkeypatch):
    if backend == backends.ONNXRUNTIME:
        pytest.importorskip("onnxruntime")
    opened, begin = [], FileReader.__init__
    monkeypatch.setattr(
        FileReader, "__init__", lambda *a, **options: opened.append(1) or begin(*a, **options)
    )
    settings = ["--backend", backend, "--steps", "1", "--tau", "0"]
    report = decode(capsys, file, tmp_path / "a.png", *settings, "--symbol-hash")[1]
    assert report["backend"] == backend and len(opened) == 1
    assert report["symbol_hash"] == codecs.load().decode_latent(file.read_bytes())[1].symbol_hash


class Onnx:
    """Graphs that start, or do not."""

    def __init__(self, starts=True):
        self.starts, self.calls = starts, 0

    def start(self, tau):
        self.calls += 1
        if not self.starts:
            raise backends.RdcError("made for other weights")


@pytest.fixture
def chosen(monkeypatch):
    """choose(asked, ...) with everything at hand that is not taken away."""

    def choose(asked, steps=None, tau=None, onnx=None, **header):
        model = SimpleNamespace(model=codec_model.load(), module=None)
        choice = backends.Backends(asked, model)
        choice.onnx = Onnx() if onnx is None else onnx
        said = {"default_steps": 1, "default_tau": 255} | header
        return [choice.choose(SimpleNamespace(**said), steps, tau) for _ in range(2)][1]

    monkeypatch.setattr(backends, "installed", {"jax", "onnxruntime"}.__contains__)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    return choose


def test_auto_is_onnxruntime_for_one_step(chosen):
    assert chosen("auto") == chosen("auto", default_steps=4, steps=1) == "onnxruntime"
    assert chosen("auto", steps=4, tau=0.0) == "onnxruntime"
    assert chosen("auto", default_steps=4, default_tau=0) == "onnxruntime"
    assert chosen("auto", tau="roi") == chosen("auto", tau=np.zeros((2, 2))) == "onnxruntime"
    assert chosen("auto", steps=4) == chosen("auto", default_steps=4) == "xla"
    assert chosen("auto", steps=4, tau="roi") == chosen("auto", steps=2, tau=np.ones(1)) == "xla"
    assert chosen("xla") == "xla"


def test_auto_is_xla_where_onnxruntime_or_its_graphs_are_missing(chosen, monkeypatch, tmp_path):
    stale = Onnx(starts=False)
    assert chosen("auto", onnx=stale) == "xla" and stale.calls == 1
    with monkeypatch.context() as patch:
        patch.setattr(backends, "installed", {"jax"}.__contains__)
        assert chosen("auto") == "xla"
    monkeypatch.setattr(backends.decoder, "FOLDER", "nowhere")
    assert chosen("auto") == "xla"


def test_auto_is_onnxruntime_where_jax_is_missing(chosen, monkeypatch):
    monkeypatch.setattr(backends, "installed", {"onnxruntime", "libtpu"}.__contains__)
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    assert chosen("auto") == chosen("auto", steps=4) == "onnxruntime"
    assert chosen("xla") == "xla"
    with pytest.raises(backends.RdcError, match="made for other weights"):
        chosen("auto", onnx=Onnx(starts=False))


def test_auto_leaves_accelerators_to_jax(chosen, monkeypatch):
    for platforms, choice in (("cpu", "onnxruntime"), ("cuda,cpu", "xla"), ("tpu", "xla")):
        monkeypatch.setenv("JAX_PLATFORMS", platforms)
        assert chosen("auto") == choice
    assert chosen("onnxruntime") == "onnxruntime"  # which was asked for
    monkeypatch.delenv("JAX_PLATFORMS")
    assert chosen("auto") == "onnxruntime"
    for plugin in ("jax_plugins", "libtpu"):
        monkeypatch.setattr(backends, "installed", {"jax", "onnxruntime", plugin}.__contains__)
        assert chosen("auto") == "xla"


def test_what_cannot_be_honoured_is_one_line(file, smoke_model, tmp_path, capsys, monkeypatch):
    if importlib.util.find_spec("onnxruntime") is not None:
        common = ("decode", file, "-o", tmp_path / "a.png", "--backend", "onnxruntime")
        line = error(capsys, *common, "--steps", 3, "--tau", 1)
        assert "in one step, not 3; use --steps 1 or --backend xla" in line
        assert decode(capsys, file, tmp_path / "a.png", "--tau", "0", "--steps", "3")
    coded = tmp_path / "smoke.rdc"
    coded.write_bytes(codecs.load(smoke_model).encode(np.zeros((16, 16, 3), np.uint8)))
    common = ("decode", coded, "--model", smoke_model, "--backend", "onnxruntime")
    assert "make it with `rdc export --to onnx --without-weights" in error(capsys, *common)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    line = error(capsys, "decode", file, "--backend", "onnxruntime", "-o", tmp_path / "b.png")
    assert "pip install onnxruntime" in line
    assert not (tmp_path / "b.png").exists()
    monkeypatch.setitem(sys.modules, "jax", None)
    line = error(capsys, "decode", file, "--backend", "xla", "-o", tmp_path / "b.png")
    assert "needs JAX, which is not installed" in line
