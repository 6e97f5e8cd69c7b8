"""The proof that the integer network cannot overflow, and refusal of weights that could."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from rdc_jax.entropy import integer_layers as integers
from rdc_jax.entropy.accumulator_bounds import EXACT_LIMIT, Bounds, Interval
from rdc_jax.entropy.entropy_model import EntropyModel, accumulator_record
from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model

GOLDEN = Path(__file__).parents[1] / "golden"


def random_conv(rng, k=3, c_in=5, c_out=4):
    weight = rng.integers(-(2**15) + 1, 2**15, (k, k, c_in, c_out)).astype(np.float64)
    bias = rng.integers(-(2**30), 2**30, c_out).astype(np.float64)
    return integers.IntegerConv(weight, bias, 9)


@pytest.mark.parametrize("k", [1, 3])
def test_the_bound_is_reached_and_never_passed(rng, k):
    layer = random_conv(rng, k)
    interval = Interval(np.array([-900, 0, -5, 3, -(2**22)]), np.array([4, 1024, 5, 3, 2**22]))
    bounds = Bounds({"layer": layer}, integers.ACTIVATION_LIMIT)
    out = bounds("layer", interval)
    record = bounds.record["layer"]
    assert record["reachable"] <= record["checked"]

    # The inputs that drive an output channel to the ends of its interval follow from the signs.
    x = np.where(layer.weight > 0, interval.high[:, None], interval.low[:, None])
    least = np.where(layer.weight > 0, interval.low[:, None], interval.high[:, None])
    if k == 3:  # the zero padding is possible too
        x = np.where(x * layer.weight < 0, 0, x)
        least = np.where(least * layer.weight > 0, 0, least)
    largest = (x * layer.weight).sum((0, 1, 2)) + layer.bias
    smallest = (least * layer.weight).sum((0, 1, 2)) + layer.bias
    np.testing.assert_array_equal(layer.rescale(largest), out.high)
    np.testing.assert_array_equal(layer.rescale(smallest), out.low)
    for _ in range(20):
        x = rng.integers(interval.low, interval.high + 1, (6, 7, 5)).astype(np.float64)
        total = layer.accumulate(x)
        assert np.abs(total).max() <= record["reachable"]
        values = layer.rescale(total)
        assert (values >= out.low).all() and (values <= out.high).all()


@pytest.mark.parametrize(
    "name", ["tiny", *(GOLDEN / n for n in ("model", "mean_scale", "hyper_latent"))]
)
def test_all_sums_of_a_model_stay_far_below_the_limit(name):
    record = accumulator_record(codec_model.load(name).entropy)
    assert record["limit"] == EXACT_LIMIT == 2**53
    for bound in record["largest_magnitude"].values():
        assert 0 < bound["reachable"] <= bound["checked"] < 2**48


def test_the_shipped_record_is_of_the_shipped_weights():
    model = codec_model.load("tiny")
    stored = json.loads((model.path / codec_model.BOUNDS).read_text())
    assert stored == accumulator_record(model.entropy)


def edit(folder, change):
    """Changes the integer arrays and corrects the hash in the manifest."""
    path = folder / "entropy.safetensors"
    arrays = safetensors.numpy.load_file(path)
    change(arrays)
    safetensors.numpy.save_file(arrays, path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(GOLDEN / "model", tmp_path / "model")
    return tmp_path / "model"


def test_a_weight_file_changed_to_overflow_is_refused(copy):
    def overflow(arrays):
        arrays["network/synthesis_1.bias"][0] = 2**53

    edit(copy, overflow)
    with pytest.raises(RdcError, match=r"'synthesis_1'.* could overflow"):
        EntropyModel.from_arrays(codec_model.load(copy).entropy)


def test_the_smallest_int64_bias_is_refused(copy):
    """Its magnitude does not fit int64."""

    def overflow(arrays):
        arrays["network/synthesis_1.bias"][0] = -(2**63)

    edit(copy, overflow)
    with pytest.raises(RdcError, match=r"'synthesis_1'.* could overflow"):
        EntropyModel.from_arrays(codec_model.load(copy).entropy)


def test_a_record_of_other_weights_is_refused(copy):
    record = accumulator_record(codec_model.load(copy).entropy)
    path = copy / codec_model.BOUNDS
    path.write_text(json.dumps(record))
    codec_model.load(copy)
    record["largest_magnitude"]["pass0_0"]["reachable"] -= 1
    path.write_text(json.dumps(record))
    with pytest.raises(RdcError, match=r"bounds\.json is not of these weights"):
        codec_model.load(copy)
    path.write_text("{")
    with pytest.raises(RdcError, match=r"bounds\.json is damaged"):
        codec_model.load(copy)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("network/synthesis_0.weight", lambda a: a.astype(np.float64) + 0.5),
        ("network/synthesis_0.bias", lambda a: a.astype(np.float64)),
        ("network/synthesis_1.weight", lambda a: a[:, :, :-1]),
        ("network/synthesis_3.weight", lambda a: a[..., :-1]),
        ("network/pass1_context.weight", lambda a: a[..., :-1]),
        ("network/pass0_0.weight", lambda a: np.tile(a, (3, 3, 1, 1))),
        ("network/pass2_2.weight", lambda a: a[..., :-2]),
        ("schedule/step_fixed", lambda a: a.astype(np.int64) << 20),
        ("schedule/step_fixed", lambda a: 0 * a),
        ("schedule/step_fixed", lambda a: a[:1000]),
        ("schedule/log2_step_fixed", lambda a: a[:, :3]),
        ("schedule/latent_unit", lambda a: a.astype(np.float64)),
    ],
)
def test_arrays_of_other_types_and_layers_that_do_not_fit_are_refused(copy, key, change):
    def alter(arrays):
        arrays[key] = np.ascontiguousarray(change(arrays[key]))
        bias = key.replace("weight", "bias")
        if key.endswith("weight") and arrays[bias].size != arrays[key].shape[-1]:
            arrays[bias] = arrays[bias][: arrays[key].shape[-1]].copy()

    edit(copy, alter)
    with pytest.raises(RdcError, match="damaged"):
        EntropyModel.from_arrays(codec_model.load(copy).entropy)
