"""Symbols of the hyper-latent: learnt step, context, and networks without them."""

import hashlib

import numpy as np
import pytest

from rdc_jax.entropy import hyper_coding, latent_coding
from rdc_jax.entropy.integer_layers import ONE
from rdc_jax.entropy.integer_network import (
    IntegerHyperprior,
    condition_table,
    quantize_hyperprior,
)
from rdc_jax.errors import RdcError

STEP, CONTEXT = {"hyper_step": True}, {"hyper_context": True}
KINDS = [STEP, CONTEXT, STEP | CONTEXT]


def test_mean_of_the_hyper_latent_becomes_a_dither():
    mean = np.arange(-5000, 5000)
    whole, phase = hyper_coding.split_hyper_mean(mean)
    assert phase.dtype == np.uint8 and phase.max() == 31
    dither = (2 * phase.astype(np.float64) + 1) / 64 - 0.5
    assert np.abs(whole + dither + mean / 1024).max() <= 1 / 64


def test_the_lattice_is_that_of_training():
    from rdc_jax.models import hyper_latent

    fixed = np.arange(-3 * ONE, 6 * ONE + 1)
    lattice = hyper_coding.lattice_of(np.zeros_like(fixed), fixed)
    expected = np.asarray(hyper_latent.step_of(fixed / np.float32(ONE)))
    np.testing.assert_allclose(lattice.step / ONE, expected, atol=1 / ONE)
    assert lattice.step[0] == ONE / 8 and lattice.step[3 * ONE] == ONE
    assert lattice.step[-1] == 64 * ONE and np.all(np.diff(lattice.step) >= 0)
    limits = tuple(ONE * x for x in hyper_latent.LOG2_STEP_RANGE)
    assert limits == hyper_coding.LOG2_STEP_RANGE


@pytest.mark.parametrize("log2_step", [-3 * ONE, -700, 0, 1500, 6 * ONE])
def test_a_lattice_has_a_point_near_the_mean_and_one_near_the_value(rng, log2_step):
    mean, z = rng.integers(-(2**18), 2**18, (2, 500))
    lattice = hyper_coding.lattice_of(mean, np.full(500, log2_step))
    step = lattice.step[0]
    value = lattice.value(lattice.nearest(z))
    assert 2 * np.abs(value - z).max() <= step
    assert np.abs(lattice.value(np.zeros(500, np.int64)) - mean).max() <= ONE / 2
    from_centre = lattice.in_steps(mean)
    np.testing.assert_allclose(from_centre, (mean - 1024 * lattice.centre) * ONE / step, atol=1)
    if log2_step == 0:  # the lattice of the integers for any mean
        np.testing.assert_array_equal(value, (z + ONE // 2) // ONE * ONE)


@pytest.fixture(scope="module")
def inputs(make_conditions):
    """(condition in both representations, levels) of a 12 x 12 grid of z."""
    import jax.numpy as jnp

    from rdc_jax.models.conditions import condition_features

    conditions = make_conditions(48, 48)
    levels = conditions.levels[None, ..., None]
    t = jnp.asarray(conditions.timesteps[levels], jnp.float32)
    float_condition = condition_features(t, jnp.asarray(levels / 2, jnp.float32))
    table = condition_table(conditions.timesteps, 3)
    return table[conditions.levels].astype(np.float64), float_condition


@pytest.mark.parametrize("additions", KINDS)
def test_the_prior_is_that_of_the_float_network(rng, random_hyperprior, inputs, additions):
    """Pass by pass, each with the values that the float network coded before."""
    import jax.numpy as jnp

    module, params = random_hyperprior(seed=4, **additions)
    network = IntegerHyperprior(quantize_hyperprior(params))
    condition, float_condition = inputs
    z = rng.normal(0, 6, (1, 12, 12, 3))

    def floats(method, *arguments):
        found = module.apply({"params": params}, *arguments, float_condition, method=method)
        return [np.asarray(x, np.float64)[0] for x in found]

    value, _, mean, log2_scale = floats("hyper_latent_given", jnp.asarray(z, jnp.float32))
    prior_mean = floats("hyper_latent_prior")[0]
    prior, log2_step = network.hyper_latent_prior(condition), network.hyper_log2_step(condition)
    step = np.ones(mean.shape)
    if additions.get("hyper_step"):
        log2_step = np.clip(log2_step, *hyper_coding.LOG2_STEP_RANGE)
        step = hyper_coding.lattice_of(prior[0], log2_step).step / ONE
        assert step.min() < 0.8 and step.max() > 3
    else:
        assert log2_step is None
    log2_step = np.zeros(mean.shape) if log2_step is None else log2_step

    passes = network.hyper_passes(12, 12)
    assert len(passes) == (3 if additions.get("hyper_context") else 1)
    np.testing.assert_array_equal(sum(map(np.asarray, passes), 0), np.ones((12, 12)))
    known = np.zeros(mean.shape, np.int64)
    for number, where in enumerate(passes):
        own = [x[where] for x in prior]
        if number:
            own = network.hyper_pass_parameters(number, prior, known, condition, where)
            assert np.abs(own[0] - prior[0][where]).max() > ONE  # the context matters
        np.testing.assert_allclose(own[0] / ONE / step[where], mean[where], rtol=0.02, atol=0.1)
        scale = own[1] - log2_step[where]
        np.testing.assert_allclose(scale / ONE, log2_scale[where], atol=0.05)
        known[where] = np.rint((value - prior_mean)[where] * ONE)


@pytest.mark.parametrize("additions", KINDS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 9), (13, 22), (40, 8)])
def test_decoder_sees_what_the_encoder_saw(
    rng, random_hyperprior, make_model, make_conditions, additions, height, width
):
    model = make_model(random_hyperprior(**additions)[1])
    latent, conditions = rng.normal(0, 90, (height, width, 4)), make_conditions(height, width)
    hyper, body, coded = latent_coding.encode_latent(model, latent, conditions)
    decoded = latent_coding.decode_latent(model, hyper, body, conditions)
    assert decoded.symbol_hash == coded.symbol_hash and coded.hyper_bits > 0
    for name in ("yhat", "mean", "scale"):
        np.testing.assert_array_equal(getattr(decoded, name), getattr(coded, name))
    assert len(hyper) <= coded.hyper_bits / 8 * 1.02 + 12
    missing = latent_coding.missing_latent(model, conditions)
    assert np.all(np.isfinite(missing.mean))


@pytest.mark.parametrize("additions", KINDS)
def test_a_grown_network_codes_the_same_integers(
    rng, random_hyperprior, make_model, make_conditions, additions
):
    """With new layers that end in zeros, a step changes no byte and a context only the order."""
    params = random_hyperprior()[1]
    more = random_hyperprior(**additions)[1]
    for layer in ("hyper_log2_step", "hyper1_1", "hyper2_1"):
        if layer in more:
            more[layer] = {name: np.zeros_like(array) for name, array in more[layer].items()}
    latent, conditions = rng.normal(0, 60, (21, 30, 4)), make_conditions(21, 30)
    small, large = make_model(params), make_model(more | params)
    old_hyper, old_body, old = latent_coding.encode_latent(small, latent, conditions)
    hyper, body, new = latent_coding.encode_latent(large, latent, conditions)
    assert body == old_body and new.hyper_bits == pytest.approx(old.hyper_bits)
    for name in ("yhat", "mean", "scale"):
        np.testing.assert_array_equal(getattr(new, name), getattr(old, name))
    if additions is STEP:
        assert hyper == old_hyper and new.symbol_hash == old.symbol_hash
    else:
        assert abs(len(hyper) - len(old_hyper)) <= 4


def test_a_larger_step_costs_fewer_bits(rng, random_hyperprior, make_model, make_conditions):
    """Down to zero bits if the step is far above the scale of z."""
    params = random_hyperprior(**STEP)[1]
    latent, conditions = rng.normal(0, 30, (32, 32, 4)), make_conditions(32, 32)
    params["hyper_log2_step"]["kernel"] *= 0
    params["hyper_prior"]["kernel"] *= 0
    params["hyper_prior"]["bias"][3:] = 1.5
    bits = []
    for log2_step in (-2, 0, 2, 4, 6):
        params["hyper_log2_step"]["bias"][:] = log2_step
        model = make_model(params)
        bits.append(latent_coding.encode_latent(model, latent, conditions)[2].hyper_bits)
    assert np.all(np.diff(bits) < 0)
    assert bits[0] - bits[1] == pytest.approx(2 * 8 * 8 * 3, rel=0.1)  # 2 bits each
    assert bits[-1] < 0.2 * bits[2]


def test_the_largest_values_stay_exact(random_hyperprior, make_model, rng):
    """2**13 - 1 of the largest steps, the maximum in a file."""
    network = make_model(random_hyperprior(**STEP | CONTEXT)[1]).network
    condition = condition_table(np.array([500, 100]), 2)[rng.integers(0, 2, (8, 8))]
    for steps in (2**13 - 1, -(2**13) + 1):
        z, _ = hyper_coding.code_hyper_latent(
            network, condition.astype(np.float64),
            lambda *a, steps=steps: a[-1] + steps, hashlib.sha256(), count_bits=False,
        )  # fmt: skip
        assert np.abs(z).max() < 2**13 * 2**16 + 2**25
        assert np.all(np.isfinite(network.hyper_synthesis(z, condition.astype(np.float64))))


@pytest.fixture
def arrays(random_hyperprior):
    return quantize_hyperprior(random_hyperprior(**STEP | CONTEXT)[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.pop("hyper2_1.bias"),
        lambda a: a.pop("hyper1_context.weight"),
        lambda a: a.update({"hyper_log2_step.shift": np.zeros(1, np.int16)}),
        lambda a: a.update(
            {
                f"hyper_log2_step.{k}": a[f"hyper_log2_step.{k}"][..., :-1]
                for k in ("weight", "bias")
            }
        ),
        lambda a: a.update({"hyper1_context.weight": a["hyper1_context.weight"][:, :, :-1]}),
        lambda a: a.update({"hyper1_0.weight": np.tile(a["hyper1_0.weight"], (3, 3, 1, 1))}),
        lambda a: a.update(
            {f"hyper2_1.{k}": a[f"hyper2_1.{k}"][..., :-2] for k in ("weight", "bias")}
        ),
    ],
)
def test_damaged_additions_are_refused(arrays, change):
    IntegerHyperprior(arrays)
    change(arrays)
    with pytest.raises(RdcError, match="damaged"):
        IntegerHyperprior(arrays)


def test_a_context_that_could_overflow_is_refused(arrays):
    arrays["hyper1_1.bias"][0] = 2**53
    with pytest.raises(RdcError, match="'hyper1_1' of these weights could overflow"):
        IntegerHyperprior(arrays)
