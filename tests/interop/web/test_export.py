"""`rdc export --to web`: the folder, the runtime in it, overwriting, and errors."""

import hashlib
import json
import shutil
import tarfile

import numpy as np
import pytest

from rdc_jax.cli.main import main
from rdc_jax.interop.torch.layout import decoder_state
from rdc_jax.interop.web import folder as web_folder
from rdc_jax.interop.web import graphs, runtime
from rdc_jax.model_folder import codec_model, fusion_module


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder in place of the npm package, whose small files have the pinned hashes."""
    folder = tmp_path / "onnxruntime-web"
    (folder / "dist").mkdir(parents=True)
    for constant in ("SHA256", "WEBGPU_SHA256"):
        hashes = {}
        for name in getattr(runtime, constant):
            (folder / "dist" / name).write_text(f"stands for {name}")
            hashes[name] = hashlib.sha256(f"stands for {name}".encode()).hexdigest()
        monkeypatch.setattr(runtime, constant, hashes)
    return folder


def export(out, *more, model="tiny"):
    return main(["export", "--to", "web", model, str(out), *map(str, more)])


def error(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_folder_is_complete(package, tmp_path, capsys):
    pytest.importorskip("onnx")
    out = tmp_path / "out"
    assert export(out, "--runtime", package, "-j") == 0
    report = json.loads(capsys.readouterr().out)
    manifest = json.loads((out / "manifest.json").read_text())
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {"manifest.json", *manifest["sha256"]}
    assert {"index.html", "rdc.js", "runtime/LICENSE.txt", "model/LICENSE.md"} <= found
    for name, said in manifest["sha256"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == said
    assert report["bytes"] == sum((out / name).stat().st_size for name in manifest["sha256"])
    said = json.loads((out / "model" / "model.json").read_text())
    assert said["model_id"] == manifest["model_id"] == report["model_id"]
    assert said["graphs"]["knob.onnx"] == ["codec.bin", "fusion.bin"]
    readme = (out / "README.md").read_text()
    assert said["model_id"] in readme and "See model/LICENSE.md" in readme
    assert "{" not in readme.partition("```html")[0]
    assert web_folder.VERSION_MARK not in (out / "service_worker.js").read_bytes()

    assert export(out, "--runtime", package) == 2
    assert "not empty; -f replaces it" in error(capsys)
    assert export(out, "--runtime", package, "-f") == 0
    (tmp_path / "homepage").mkdir()
    (tmp_path / "homepage" / "index.html").write_text("not ours")
    capsys.readouterr()
    assert export(tmp_path / "homepage", "--runtime", package, "-f") == 2
    assert "not empty; name a new folder" in error(capsys)


def test_a_model_without_a_fusion_module(package, tmp_path):
    pytest.importorskip("onnx")
    shipped = codec_model.load("tiny").path
    model = shutil.copytree(shipped, tmp_path / "model", ignore=shutil.ignore_patterns("fusion"))
    assert export(tmp_path / "out", "--runtime", package, model=str(model)) == 0
    said = json.loads((tmp_path / "out" / "model" / "model.json").read_text())
    assert said["graphs"] == {"faithful.onnx": ["codec.bin"]} and said["module_id"] is None
    assert not (tmp_path / "out" / "model" / "fusion.bin").exists()
    assert web_folder.NO_TAU in (tmp_path / "out" / "README.md").read_text()


def test_graphs_compute_what_those_of_the_model_compute(rng, tmp_path):
    """With float16 weights in files, shared by both graphs."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from rdc_jax.decoding.sampling import Sampling
    from rdc_jax.interop.onnx import decoder as onnx_decoder

    model = codec_model.load("tiny")
    module = fusion_module.choose(model, None)
    for name, data in graphs.files(model, module).items():
        (tmp_path / name).write_bytes(data)
    weights = sum((tmp_path / name).stat().st_size for name in ("codec.bin", "fusion.bin"))
    stored = decoder_state(model.params | {"transform": module.params["transform"]})
    assert weights < 2.05 * sum(array.size for array in stored.values())
    yhat, mean, noise = (rng.normal(0, 9, (40, 40, 56)).astype(np.float32) for _ in range(3))
    scale = np.exp2(rng.uniform(-5, 5, (40, 40, 56))).astype(np.float32)
    levels = rng.integers(0, 8, (40, 40)).astype(np.uint8)
    tau, values = np.full((40, 40), 0.5, np.float32), np.linspace(650, 100, 8, dtype=np.float32)
    expected = onnx_decoder.load(model.path).window_function(
        Sampling(1, "proportional", tau, levels, values)
    )(yhat, mean, scale, levels, tau, noise)
    session = onnxruntime.InferenceSession(str(tmp_path / "knob.onnx"))
    feeds = dict(yhat=yhat, mean=mean, scale=scale, levels=levels, timesteps=values)
    (found,) = session.run(None, feeds | dict(noise=noise, tau=tau))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_the_runtime_comes_from_a_package_file_too(package, tmp_path):
    packed = tmp_path / "onnxruntime-web.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(package, "package")
    assert runtime.files(packed) == runtime.files(package)


def test_the_runtime_for_webgpu_is_an_option(package, tmp_path):
    """It lies where the page looks for it, and where the service worker leaves it out."""
    plain, larger = runtime.files(package), runtime.files(package, webgpu=True)
    more = sorted(larger.keys() - plain.keys())
    assert len(more) == 2 and plain == {name: larger[name] for name in plain}
    page = (web_folder.SITE / "rdc" / "decoding" / "runtime.js").read_text()
    for name in larger.keys() - {"LICENSE.txt"}:
        assert f'"runtime/{name}"' in page
    assert all(name.startswith("webgpu/") for name in more)
    assert r"/^runtime\/webgpu\//" in (web_folder.SITE / "service_worker.js").read_text()
    pytest.importorskip("onnx")
    assert export(tmp_path / "out", "--runtime", package, "--webgpu") == 0
    names = json.loads((tmp_path / "out" / "manifest.json").read_text())["sha256"]
    assert {f"runtime/{name}" for name in more} <= names.keys()


def test_another_runtime_is_refused_before_the_work(package, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(graphs, "files", lambda *_: pytest.fail("graphs were made"))
    changed = package / "dist" / next(iter(runtime.SHA256))
    changed.write_text("another version")
    assert export(tmp_path / "out", "--runtime", package) == 2
    assert f"{changed.name} of {package} is not that of onnxruntime-web@" in error(capsys)
    changed.unlink()
    assert export(tmp_path / "out", "--runtime", package) == 2
    assert f"holds no dist/{changed.name}" in error(capsys)
    assert export(tmp_path / "out", "--runtime", tmp_path / "missing.tgz") == 2
    assert "holds no dist/" in error(capsys)
    assert not (tmp_path / "out").exists()


def test_without_npm_the_error_names_the_option(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(runtime.RdcError, match=r"install Node.js, or name a copy .* --runtime"):
        runtime.files()


def test_options_of_other_targets_are_refused(tmp_path, capsys):
    assert export(tmp_path / "out", "--without-weights") == 2
    assert "is for --to onnx" in error(capsys)
    command = ["export", "--to", "diffusers", "tiny", str(tmp_path / "out"), "--runtime", "x"]
    assert main(command) == 2
    assert "--runtime is for --to web" in error(capsys)
    assert main([*command[:-2], "--webgpu"]) == 2
    assert "--webgpu is for --to web" in error(capsys)


def test_the_version_changes_with_any_file(package):
    contents = {"a": b"1", "b": b"2"}
    version = web_folder._version(contents)
    assert version != web_folder._version(contents | {"b": b"3"})
    assert version == web_folder._version(dict(reversed(contents.items())))
