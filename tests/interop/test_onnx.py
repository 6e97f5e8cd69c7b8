"""The decoder as ONNX graphs: made by PyTorch, run by onnxruntime, checked against JAX."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from rdc_jax.codec import codec as codecs  # noqa: E402
from rdc_jax.decoding.sampling import Sampling  # noqa: E402
from rdc_jax.errors import RdcError  # noqa: E402
from rdc_jax.interop.onnx import decoder as onnx_decoder  # noqa: E402
from rdc_jax.interop.onnx import export  # noqa: E402
from rdc_jax.interop.torch import decoder as torch_decoding  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
DECODE = """
from pathlib import Path
import numpy as np

from rdc_jax.interop.onnx import decoder as onnx_decoder
graphs, file, picture = map(Path, sys.argv[1:])
decoder = onnx_decoder.load(folder=graphs)
np.save(picture, decoder.decode(file.read_bytes()))
"""


def photograph(height, width):
    rng = np.random.default_rng(height)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 90 * np.sin(x / rng.uniform(9, 40) + y / rng.uniform(9, 40)) for _ in range(3)]
    planes = np.stack(planes, axis=-1) + rng.normal(0, 6, (height, width, 3))
    return np.clip(planes, 0, 255).astype(np.uint8)


def left(height, width):
    mask = np.zeros((height, width), bool)
    mask[:, : width // 2] = True
    return mask


def assert_same_picture(found, expected):
    assert found.shape == expected.shape and found.dtype == np.uint8
    difference = np.abs(found.astype(int) - expected)
    assert (difference <= 1).mean() >= 0.999
    assert (difference == 0).mean() >= 0.99  # found: .9999


@pytest.fixture(scope="module")
def shipped():
    return codecs.load()


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """Graphs of the shipped model and its fusion module, without weights."""
    folder = tmp_path_factory.mktemp("graphs")
    written = export.export(torch_decoding.load(), folder, weights=False)
    assert [path.name for path in written] == ["faithful.onnx", "knob.onnx"]
    assert sum(path.stat().st_size for path in written) < 300_000
    return folder


@pytest.fixture(scope="module")
def example(shipped):
    """(file, hash of its symbols) of an odd size, over two windows, with a map."""
    settings = dict(quality=45, importance=left(35, 345), return_report=True)
    data, report = shipped.encode(photograph(35, 345), **settings)
    return data, report.symbol_hash


@pytest.fixture(scope="module")
def whole(smoke_model, tmp_path_factory):
    """Graphs of a model without a fusion module, with weights."""
    folder = tmp_path_factory.mktemp("whole")
    written = export.export_model(smoke_model, folder, fusion="none")
    assert [path.name for path in written] == ["faithful.onnx"]
    return folder


@pytest.mark.parametrize("tau", [0, 0.5, 1, "roi", None])
def test_images_equal_those_of_jax(shipped, graphs, example, tau):
    data, symbol_hash = example
    decoder = onnx_decoder.load(folder=graphs)
    assert decoder.decode_latent(data)[1].symbol_hash == symbol_hash
    assert_same_picture(decoder.decode(data, tau=tau), shipped.decode(data, tau=tau))


def test_tiles_and_crops_equal_those_of_jax(shipped, graphs):
    data = shipped.encode(photograph(35, 345), quality=45, tile=256)
    expected, crop = shipped.decode(data), (200, 3, 80, 30)
    for decoder in (onnx_decoder.load(folder=graphs), torch_decoding.load()):
        picture = np.asarray(decoder.decode(data))
        assert_same_picture(picture, expected)
        part = np.asarray(decoder.decode(data, crop=crop))
        np.testing.assert_array_equal(part, picture[3:33, 200:280])


def test_a_graph_with_weights_and_without_a_module(smoke_model, whole):
    codec = codecs.load(smoke_model)
    data = codec.encode(photograph(24, 41)[..., 0], quality=70)
    decoder = onnx_decoder.load(smoke_model, "none", whole)
    assert_same_picture(decoder.decode(data), codec.decode(data))


def test_one_window_equals_that_of_torch(graphs, rng):
    decoder, ours = onnx_decoder.load(folder=graphs), torch_decoding.load()
    yhat, mean, noise = (rng.normal(0, 9, (40, 40, 56)).astype(np.float32) for _ in range(3))
    scale = np.exp2(rng.uniform(-5, 5, (40, 40, 56))).astype(np.float32)
    levels = rng.integers(0, 8, (40, 40)).astype(np.uint8)
    values = np.linspace(650, 100, 8, dtype=np.float32)
    for tau in (np.zeros((40, 40), np.float32), rng.uniform(0, 1, (40, 40)).astype(np.float32)):
        sampling = Sampling(1, "proportional", tau, levels, values)
        found, expected = (
            side.window_function(sampling)(yhat, mean, scale, levels, tau, noise)
            for side in (decoder, ours)
        )
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_onnxruntime_needs_neither_jax_nor_torch(
    shipped, graphs, example, refusing, user_environment, tmp_path
):
    data, _ = example
    file, picture = tmp_path / "a.rdc", tmp_path / "a.npy"
    file.write_bytes(data)
    source = refusing("jax", "jaxlib", "flax", "torch", "onnx", "onnxscript") + DECODE
    done = subprocess.run(
        [sys.executable, "-c", source, str(graphs), str(file), str(picture)],
        cwd=ROOT, env=user_environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_picture(np.load(picture), shipped.decode(data))


def test_graphs_contain_nothing_of_this_machine(graphs):
    for path in graphs.iterdir():
        content = path.read_bytes()
        for text in (str(ROOT), sys.prefix, "site-packages", ".py"):
            assert text.encode() not in content


def message(call):
    with pytest.raises(RdcError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_errors_are_one_line(graphs, whole, smoke_model, example, tmp_path, monkeypatch):
    data, _ = example
    assert "in one step, not 2" in message(
        lambda: onnx_decoder.load(folder=graphs).decode(data, tau=1, steps=2)
    )
    onnx_decoder.load(folder=graphs).decode(data, tau=0, steps=2)
    missing = onnx_decoder.load(folder=tmp_path)
    assert "make it with `rdc export --to onnx" in message(lambda: missing.decode(data))
    for name in ("faithful.onnx", "knob.onnx"):
        (tmp_path / name).write_bytes((graphs / name).read_bytes()[:5000])
    assert "cannot load" in message(lambda: onnx_decoder.load(folder=tmp_path).decode(data))
    (tmp_path / "faithful.onnx").write_bytes((whole / "faithful.onnx").read_bytes())
    other = onnx_decoder.load(folder=tmp_path)
    assert "was made for rdc_model_id" in message(lambda: other.decode(data, tau=0))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    again = onnx_decoder.load(folder=graphs)
    assert "pip install onnxruntime" in message(lambda: again.decode(data))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    torch_decoder = torch_decoding.load(smoke_model, "none")
    assert "pip install onnxscript" in message(lambda: export.export(torch_decoder, tmp_path))
