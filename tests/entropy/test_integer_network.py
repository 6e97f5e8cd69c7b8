"""The fixed-point network: agreement with the float network, exactness, refusals."""

import numpy as np
import pytest

from rdc_jax.entropy import integer_layers as layers
from rdc_jax.entropy import integer_network as integers
from rdc_jax.errors import RdcError

ONE = layers.ONE
UNIT = 32


def random_layer(rng, k, c_in, c_out):
    weight = rng.integers(-(2**15) + 1, 2**15, (k, k, c_in, c_out)).astype(np.float64)
    bias = rng.integers(-(2**40), 2**40, c_out).astype(np.float64)
    return layers.IntegerConv(weight, bias, 12)


def random_activations(rng, h, w, c):
    limit = layers.ACTIVATION_LIMIT
    return rng.integers(-limit, limit + 1, (h, w, c)).astype(np.float64)


def reference_sums(layer, x, stride):
    """The sums in int64, tap by tap."""
    k = layer.weight.shape[0]
    pad = k // 2
    x = np.pad(x.astype(np.int64), ((pad, pad), (pad, pad), (0, 0)))
    weight = layer.weight.astype(np.int64)
    h, w = x.shape[0] - 2 * pad, x.shape[1] - 2 * pad
    total = np.zeros((-(-h // stride), -(-w // stride), weight.shape[-1]), np.int64)
    for i in range(k):
        for j in range(k):
            tap = x[i : i + h : stride, j : j + w : stride]
            total += np.einsum("hwc,cd->hwd", tap, weight[i, j])
    return total + layer.bias.astype(np.int64)


@pytest.mark.parametrize(
    ("k", "stride", "height"), [(1, 1, 3), (3, 1, 5), (3, 1, 129), (3, 2, 130), (3, 2, 131)]
)
def test_sums_are_exact_at_full_range_and_across_stripes(rng, k, stride, height):
    layer = random_layer(rng, k, 8, 5)
    x = random_activations(rng, height, 6, 8)
    total = layer.accumulate(x, stride)
    np.testing.assert_array_equal(total, reference_sums(layer, x, stride))
    assert np.abs(total).max() > 2**38  # beyond what float32, or a float64 with a point, would hold


@pytest.mark.parametrize("k", [1, 3])
def test_sums_at_some_pixels_equal_those_at_all(rng, k):
    """Also if a pixel sees mostly zeros, and with an additional row and column."""
    layer = random_layer(rng, k, 5, 4)
    x = random_activations(rng, 9, 12, 5)
    where = rng.random((8, 11)) < 0.3
    for alive in (1.0, 0.3, 0.0):
        x = x * (rng.random((9, 12, 1)) < alive)
        expected = layer.accumulate(x)[:8, :11][where]
        np.testing.assert_array_equal(layer.accumulate_at(x, where), expected)


def test_order_of_summation_does_not_matter(rng):
    layer = random_layer(rng, 3, 48, 7)
    x = random_activations(rng, 9, 8, 48)
    order = rng.permutation(48)
    shuffled = layers.IntegerConv(layer.weight[:, :, order], layer.bias, layer.shift)
    np.testing.assert_array_equal(layer.accumulate(x), shuffled.accumulate(x[..., order]))


def test_rescaling_rounds_half_up_and_clips():
    layer = layers.IntegerConv(np.zeros((1, 1, 1, 1)), np.zeros(1), 3)
    total = np.array([0, 3, 4, 11, 12, -4, -5, -12, 2.0**50, -(2.0**50)])
    limit = layers.ACTIVATION_LIMIT
    np.testing.assert_array_equal(layer.rescale(total), [0, 0, 1, 1, 2, 0, -1, -1, limit, -limit])


@pytest.mark.parametrize("peak", [1e-9, 0.003, 0.7, 1.0, 40.0])
def test_quantised_weights_are_close_and_below_the_limit(rng, peak):
    kernel = rng.uniform(-peak, peak, (3, 3, 4, 5))
    kernel[0, 0, 0, 0] = peak
    stored = layers.quantize_convolution(kernel, rng.normal(size=5))
    shift = int(stored["shift"][0])
    weight = stored["weight"].astype(np.float64)
    assert np.abs(weight).max() < layers.WEIGHT_LIMIT and 1 <= shift <= layers.MAX_SHIFT
    np.testing.assert_allclose(weight / 2.0**shift, kernel, atol=2.0 ** -(shift + 1))
    if 0.05 < peak:
        assert np.abs(weight).max() >= layers.WEIGHT_LIMIT // 2 - 1  # no precision is wasted


def test_hats_sum_to_one_at_every_timestep():
    table = integers.condition_table(np.arange(1001), 1001)
    assert table.shape == (1001, 16) and table.min() >= 0
    np.testing.assert_array_equal(table[:, :12].sum(-1), np.full(1001, ONE))
    np.testing.assert_array_equal(table[:, 12:].sum(-1), np.full(1001, ONE))
    np.testing.assert_array_equal(
        integers.condition_table(np.array([0]), 1)[0, 12:], [0, 0, 0, ONE]
    )


@pytest.fixture(scope="module")
def networks(random_hyperprior):
    """Float functions, integer network, and inputs in both representations (8 levels)."""
    import jax.numpy as jnp

    from rdc_jax.models.conditions import condition_features

    module, params = random_hyperprior(seed=3)
    rng = np.random.default_rng(3)
    timesteps, levels = np.linspace(900, 50, 8).astype(np.int64), rng.integers(0, 8, (12, 8))
    condition = integers.condition_table(timesteps, 8)[levels].astype(np.float64)
    t = jnp.asarray(timesteps[levels][None, ..., None], jnp.float32)
    m = jnp.asarray(levels[None, ..., None] / 7, jnp.float32)
    float_condition = condition_features(t, m)

    def apply(method, *arguments, last=()):
        """`last`: arguments after the condition, already of rank 4."""
        arrays = [jnp.asarray(a, jnp.float32)[None] for a in arguments]
        result = module.apply({"params": params}, *arrays, float_condition, *last, method=method)
        if isinstance(result, tuple):
            return tuple(np.asarray(a, np.float64)[0] for a in result)
        return np.asarray(result, np.float64)[0]

    network = integers.IntegerHyperprior(integers.quantize_hyperprior(params))
    latent = rng.normal(0, UNIT, (12, 8, 4))
    return apply, network, condition, np.asarray(float_condition)[0], latent


def test_condition_features_agree(networks):
    _, _, condition, float_condition, _ = networks
    np.testing.assert_allclose(condition / ONE, float_condition, atol=2 / ONE)


def test_hyper_analysis_agrees_with_the_float_network(networks):
    apply, network, condition, _, latent = networks
    z = network.hyper_analysis(np.rint(latent / UNIT * ONE), condition)
    expected = apply("hyper_analysis", latent)
    assert z.shape == expected.shape == (3, 2, 3) and z.dtype == np.int64
    assert np.abs(expected).max() > 2
    assert np.abs(z / ONE - expected).max() < 0.05


def test_prior_of_the_hyper_latent_agrees(networks):
    apply, network, condition, _, _ = networks
    for ours, theirs in zip(
        network.hyper_latent_prior(condition), apply("hyper_latent_prior"), strict=True
    ):
        assert ours.dtype == np.int64
        np.testing.assert_allclose(ours / ONE, theirs, atol=0.02)


@pytest.mark.parametrize("log2_step", [-100.0, 3.0])
def test_all_passes_agree(networks, log2_step):
    """The context is the Wiener estimate. For a tiny step it is the latent itself."""
    apply, network, condition, _, latent = networks
    z = np.rint(apply("hyper_analysis", latent))
    last = (np.full((1, 1, 1, 1), log2_step, np.float32),)
    mean, log2_scale = apply("parameters_given", z, latent, last=last)
    assert mean.std() > 0.1 * UNIT and log2_scale.std() > 0.1

    features = network.hyper_synthesis(z.astype(np.int64) * ONE, condition)
    row, column = np.arange(12)[:, None] % 2, np.arange(8)[None, :] % 2
    masks = [(row == 0) & (column == 0), (row == 1) & (column == 1), row != column]
    known = np.zeros(latent.shape)
    for number, where in enumerate(masks):
        ours = network.pass_parameters(number, features, known, where)
        np.testing.assert_allclose(ours[0] / ONE * UNIT, mean[where], atol=0.02 * UNIT)
        np.testing.assert_allclose(ours[1] / ONE, log2_scale[where], atol=0.02)
        power = 4.0 ** np.clip(ours[1] / ONE - log2_step, -7, 6)
        weight = power / (power + 1 / 12)
        known[where] = np.rint(ours[0] + weight * ((latent / UNIT * ONE)[where] - ours[0]))


@pytest.fixture
def arrays(random_hyperprior):
    return integers.quantize_hyperprior(random_hyperprior()[1])


def test_incomplete_or_foreign_arrays_are_refused(arrays):
    assert integers.IntegerHyperprior(arrays).latent_channels == 4
    without = {k: v for k, v in arrays.items() if k != "synthesis_1.bias"}
    for wrong in (without, arrays | {"extra.bias": np.zeros(1)}):
        with pytest.raises(RdcError, match="damaged"):
            integers.IntegerHyperprior(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"analysis_0.shift": np.array([0], np.int16)},
        {"analysis_0.shift": np.array([21], np.int16)},
        {"analysis_0.bias": np.zeros(3, np.int64)},
        {"analysis_0.weight": np.zeros((5, 5, 4, 12), np.int16)},
        {"analysis_0.weight": np.zeros((4, 12), np.int16)},
    ],
)
def test_malformed_layers_are_refused(arrays, change):
    with pytest.raises(RdcError, match="analysis_0"):
        integers.IntegerHyperprior(arrays | change)


def test_a_layer_that_could_overflow_is_refused(arrays):
    weight = np.full((3, 3, 7300, 12), 2**15 - 1, np.int16)
    bias = arrays["analysis_0.bias"].copy()
    bias[0] = 2**53
    for change in ({"analysis_0.weight": weight}, {"analysis_0.bias": bias}):
        with pytest.raises(RdcError, match="overflow"):
            integers.IntegerHyperprior(arrays | change)
