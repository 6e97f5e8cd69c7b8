"""h_a and h_s in integers against the float network, and checks of their arrays."""

import math

import numpy as np
import pytest

from rdc_jax.entropy import mean_scale_network as integers
from rdc_jax.entropy.integer_layers import ONE, quantize_convolution
from rdc_jax.errors import RdcError

CHANNELS, WIDTH, UNIT = 6, 5, 16.0
FIELDS = {"latent_unit": UNIT, "scale_bound": 0.01, "hyper_gain": 4.0}


@pytest.fixture(scope="module")
def module_and_params():
    import jax
    import jax.numpy as jnp

    from rdc_jax.models.mean_scale import MeanScaleHyperprior

    module = MeanScaleHyperprior(CHANNELS, WIDTH, **FIELDS)
    latent = jnp.zeros((1, 8, 8, CHANNELS))
    arguments = latent, latent, latent, jnp.zeros((1, 1, 1, 1))
    shapes = jax.eval_shape(module.init, jax.random.key(0), *arguments)["params"]
    rng = np.random.default_rng(0)

    def draw(leaf):
        gain = 0.3 if leaf.ndim == 1 else 2.0 / np.sqrt(np.prod(leaf.shape[:-1]))
        return rng.normal(0, gain, leaf.shape).astype(np.float32)

    return module, jax.tree.map(draw, shapes)


@pytest.fixture(scope="module")
def arrays(module_and_params):
    return integers.quantize_mean_scale(module_and_params[1], **FIELDS)


@pytest.fixture(scope="module")
def network(arrays):
    return integers.IntegerMeanScale(arrays)


def test_agrees_with_the_float_network(module_and_params, network, rng):
    import jax

    module, params = module_and_params
    latent = rng.normal(0, 2 * UNIT, (12, 8, CHANNELS)).astype(np.float32)
    variables = {"params": params}
    apply = jax.jit(module.apply, static_argnames="method")
    z = np.asarray(apply(variables, latent[None], None, method="hyper_analysis"))[0]
    ours = (network.hyper_analysis(np.rint(latent / UNIT * ONE), None) + ONE // 2) // ONE
    near_edge = np.abs(z - np.floor(z) - 0.5) < 0.02
    np.testing.assert_array_equal(ours[~near_edge], np.floor(z + 0.5)[~near_edge])
    assert z.std() > 1

    condition = np.zeros((12, 8, 16))
    mean, log2_scale = network.hyper_latent_prior(condition)
    assert mean.shape == log2_scale.shape == z.shape
    np.testing.assert_allclose(mean[0, 0] / ONE, params["z_prior"]["mean"], atol=1e-3)

    features = network.hyper_synthesis(ours * ONE, condition)
    where = rng.random((12, 8)) < 0.5
    mean, log2_scale = network.pass_parameters(0, features, None, where)
    floats = apply(
        variables, ours[None].astype(np.float32), None, None, None, method="parameters_given"
    )
    expected_mean, expected_scale = (np.asarray(x)[0][where] for x in floats)
    assert mean.dtype == log2_scale.dtype == np.int64
    np.testing.assert_allclose(mean / ONE * UNIT, expected_mean, atol=0.01 * UNIT)
    np.testing.assert_allclose(2 ** (log2_scale / ONE), 2**expected_scale, atol=0.01 * UNIT)
    bound = math.log2(FIELDS["scale_bound"] * UNIT)
    assert log2_scale.min() / ONE == pytest.approx(bound, abs=0.002)


def test_one_pass_codes_everything(network):
    (where,) = network.passes(3, 5)
    assert where.shape == (3, 5) and where.all()


def test_logarithms_are_rounded_exactly():
    thresholds = integers.log2_thresholds().astype(np.int64)
    rng = np.random.default_rng(0)
    value = np.concatenate(
        [np.arange(1, 5000), 2 ** np.arange(41), np.exp2(rng.uniform(0, 40, 5000)).astype(np.int64)]
    )
    ours = integers.integer_log2(value, thresholds)
    np.testing.assert_allclose(ours / ONE, np.log2(value), atol=0.5 / ONE + 1e-9)
    assert np.all(ours[value == 1 << 20] == 20 * ONE)


def test_leaky_relu_is_an_integer_function():
    x = np.arange(-200.0, 200.0)
    expected = [a if a >= 0 else (41 * int(a) + 2048) // 4096 for a in x]
    np.testing.assert_array_equal(integers.leaky_relu(x), expected)


def test_up_layers_are_transposed_convolutions(rng):
    """Against the definition: y[2 i + k - 2] gains w[k] x[i]."""
    weight = rng.integers(-9, 9, (5, 5, 2, 3)).astype(np.int16)
    x = rng.integers(-9, 9, (3, 4, 2)).astype(np.float64)
    expected = np.zeros((3 * 2 + 4, 4 * 2 + 4, 3))
    for i in range(3):
        for j in range(4):
            expected[2 * i : 2 * i + 5, 2 * j : 2 * j + 5] += np.einsum(
                "klcd,c->kld", weight, x[i, j]
            )
    layer = quantize_convolution(np.zeros((3, 3, 2, 12)), None)
    arrays = {f"up.{name}": value for name, value in layer.items()}
    arrays["up.weight"] = integers.phase_kernel(weight)
    up = integers.checked_layer("up", arrays)
    ours = integers.depth_to_space(up.accumulate(x), 2)
    np.testing.assert_array_equal(ours, expected[2:-2, 2:-2])


@pytest.mark.parametrize(
    "change",
    [
        {"h_a_0.weight": np.zeros((5, 5, CHANNELS, WIDTH), np.int16)},
        {"h_s_0.bias": np.zeros(3, np.int64)},
        {"h_s_2.shift": np.array([0], np.int16)},
        {"z_mean": np.zeros(WIDTH + 1, np.int64)},
        {"z_median": np.full(WIDTH, 2**40, np.int64)},
        {"scale_bound": np.array([0], np.int64)},
        {"log2_thresholds": np.zeros(1024, np.int32)},
    ],
)
def test_damaged_arrays_are_refused(arrays, change):
    with pytest.raises(RdcError, match=next(iter(change)).split(".")[0]):
        integers.IntegerMeanScale(arrays | change)


def test_incomplete_or_overflowing_arrays_are_refused(arrays):
    with pytest.raises(RdcError, match="z_mean"):
        integers.IntegerMeanScale({k: v for k, v in arrays.items() if k != "z_mean"})
    bias = arrays["h_s_4.bias"].copy()
    bias[0] = 2**53
    with pytest.raises(RdcError, match="overflow"):
        integers.IntegerMeanScale(arrays | {"h_s_4.bias": bias})
