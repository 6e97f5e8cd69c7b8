"""DISTS against the PyTorch package it comes from, its properties, and the parameter file."""

import importlib.util
import sys
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import dists as dists_module
from rdc_jax.evaluation.metrics.dists import dists, load_parameters, measure_dists

# One compilation instead of one for each operation.
jitted_dists = jax.jit(dists)
CHANNELS = 4  # of the random network


@pytest.fixture(scope="module")
def weights(published_weights):
    return published_weights("vgg16")


@pytest.fixture(scope="module")
def parameters():
    try:
        return load_parameters()
    except RdcError as error:
        if str(error) != dists_module.MISSING:
            raise
        pytest.skip("DISTS-pytorch is not installed")


@pytest.fixture
def thin_vgg16(random_weights):
    return random_weights("vgg16", CHANNELS)


def random_parameters():
    """Fit the thin network of random weights."""
    generator = np.random.default_rng(2)
    sizes = [3] + [CHANNELS] * 5
    raw = {name: [generator.uniform(0, 1, n) for n in sizes] for name in ("alpha", "beta")}
    total = sum(a.sum() for arrays in raw.values() for a in arrays)
    return {n: [(a / total).astype(np.float32) for a in arrays] for n, arrays in raw.items()}


def vgg16_in_torch(weights):
    """torchvision's `vgg16().features` with our weights, from its layer table."""
    torch = pytest.importorskip("torch")
    layers, channels, convolutions = [], 3, iter(weights["conv"])
    for stage in (2, 2, 3, 3, 3):
        for _ in range(stage):
            kernel, bias = next(convolutions)
            layer = torch.nn.Conv2d(channels, kernel.shape[-1], 3, padding=1)
            channels = kernel.shape[-1]
            layer.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
            layer.bias.data = torch.from_numpy(bias.copy())
            layers += [layer, torch.nn.ReLU()]
        layers.append(torch.nn.MaxPool2d(2, 2))
    return torch.nn.Sequential(*layers)


@pytest.fixture
def package(weights, monkeypatch):
    """The PyTorch package's own network, its torchvision replaced by our VGG16."""
    torch = pytest.importorskip("torch")
    if importlib.util.find_spec("DISTS_pytorch") is None:
        pytest.skip("DISTS-pytorch is not installed")
    vision = types.ModuleType("torchvision")
    network = types.SimpleNamespace(features=vgg16_in_torch(weights))
    vision.models = types.SimpleNamespace(vgg16=lambda pretrained: network)
    vision.transforms = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "torchvision", vision)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from DISTS_pytorch import DISTS

        model = DISTS(load_weights=False)  # it would look in the wrong folder
        file = dists_module._package_file()
        loaded = torch.load(file, weights_only=True)
    model.alpha.data, model.beta.data = loaded["alpha"], loaded["beta"]
    yield model
    for name in [n for n in sys.modules if n.startswith("DISTS_pytorch")]:
        del sys.modules[name]


def test_agrees_with_the_package(pair, weights, parameters, package):
    import torch

    for size in ((40, 45), (67, 33)):
        x, y = pair(*size)
        tensors = [torch.from_numpy(np.array(z)).permute(0, 3, 1, 2) / 2 + 0.5 for z in (x, y)]
        value = float(jitted_dists(weights, parameters, x, y)[0])
        assert value == pytest.approx(float(package(*tensors).detach()), abs=1e-5)


def test_known_value(two_waves, weights, parameters):
    """Of this file's pictures, by the PyTorch package: for a run without it."""
    assert measure_dists(weights, parameters, *two_waves()) == pytest.approx(0.184732, abs=1e-5)


def test_parameters_are_those_that_torch_reads(parameters):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = torch.load(dists_module._package_file(), weights_only=True)
    total = float(sum(tensor.double().sum() for tensor in loaded.values()))
    for name, arrays in parameters.items():
        assert [a.shape for a in arrays] == [(n,) for n in dists_module.CHANNELS]
        expected = loaded[name].reshape(-1).numpy() / total
        np.testing.assert_allclose(np.concatenate(arrays), expected, rtol=1e-6)


def test_equal_images_are_at_zero_and_order_does_not_matter(thin_vgg16, pair):
    x, y = pair(32, 32)
    batches = jnp.concatenate([x, y, x]), jnp.concatenate([y, x, x])
    there, back, same = jitted_dists(thin_vgg16, random_parameters(), *batches)
    assert same == pytest.approx(0.0, abs=1e-6)
    assert 0.01 < there < 2.0
    assert float(there) == pytest.approx(float(back), rel=1e-5)


def test_gradient_is_finite_and_points_downhill(thin_vgg16, pair):
    weights, parameters = thin_vgg16, random_parameters()
    x, y = pair(32, 32)
    loss = jax.jit(jax.value_and_grad(lambda x: dists(weights, parameters, x, y).sum()))
    value, gradient = loss(x)
    assert np.isfinite(gradient).all()
    assert loss(x - 0.01 * gradient / jnp.abs(gradient).max())[0] < value
    assert np.isfinite(loss(y)[1]).all()  # at the minimum
    assert np.isfinite(loss(jnp.zeros_like(x))[1]).all()  # no texture at all


def test_low_precision_images_are_compared_in_float32(thin_vgg16, pair):
    x, y = (image.astype(jnp.bfloat16) for image in pair(32, 32))
    value = jax.eval_shape(dists, thin_vgg16, random_parameters(), x, y)
    assert (value.shape, value.dtype) == ((1,), jnp.float32)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((1, 31, 40, 3), np.float32), None, "32 pixels or more .*, not 31x40"),
        (np.zeros((1, 40, 40, 3), np.uint8), None, "needs float"),
        (np.zeros((40, 40, 3), np.float32), None, "needs float"),
        (np.zeros((1, 40, 40, 3), np.float32), np.zeros((1, 40, 41, 3)), "differ in shape"),
    ],
)
def test_wrong_images_are_refused(thin_vgg16, x, y, message):
    with pytest.raises(RdcError, match=message):
        dists(thin_vgg16, random_parameters(), x, x if y is None else y)


def test_another_network_is_refused(thin_vgg16, pair):
    weights = {"conv": thin_vgg16["conv"][:5], "heads": []}
    with pytest.raises(RdcError, match="vgg16"):
        dists(weights, random_parameters(), *pair(32, 32))


def test_only_8_bit_images_are_measured(thin_vgg16, two_waves):
    picture = two_waves()[0]
    with pytest.raises(RdcError, match="uint8"):
        measure_dists(thin_vgg16, random_parameters(), picture, picture.astype(np.float32))


# The parameter file.


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(dists_module, "PACKAGE", "no_such_package")
    with pytest.raises(RdcError, match=r"pip install --no-deps DISTS-pytorch==0\.1$"):
        load_parameters()


def test_the_package_is_not_imported_and_another_file_is_refused(monkeypatch, tmp_path):
    folder = tmp_path / "fake_dists"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(dists_module, "PACKAGE", "fake_dists")
    with pytest.raises(RdcError, match=r"cannot read .*weights\.pt"):
        load_parameters()
    (folder / "weights.pt").write_bytes(bytes(12288))
    with pytest.raises(RdcError, match=r"weights\.pt is not the file of DISTS-pytorch 0\.1"):
        load_parameters()
    with pytest.raises(RdcError, match="cannot read"):
        load_parameters(tmp_path / "missing.pt")
