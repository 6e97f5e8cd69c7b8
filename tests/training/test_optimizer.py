"""Learning rate, the rule for Muon, the moving average: closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers, muon

from configs import tiny
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks
from rdc_jax.training import optimizer, state

RATES = ("muon_learning_rate", "adam_learning_rate")


def schedule(**changes):
    """The settings that the learning rate reads."""
    return {"schedule": "constant", "decay_fraction": 0.3, **changes}


def dimensions(params):
    """`optimizer.choice` in optax's words."""

    def of(name, leaf):
        rows = tuple(range(leaf.ndim - 1))
        return MuonDimensionNumbers(rows, (leaf.ndim - 1,)) if name == "muon" else None

    return jax.tree.map(of, optimizer.choice(params), params)


def plain(training):
    """The default optimiser without `inject_hyperparams`, as optax's authors write it."""
    rates = {name: optimizer.learning_rate(training[name], training) for name in RATES}
    adam, of_muon = rates["adam_learning_rate"], rates["muon_learning_rate"]
    update = optax.adam(adam)
    if training["optimizer"] == "muon":
        update = muon(of_muon, adam_learning_rate=adam, muon_weight_dimension_numbers=dimensions)
    return optax.chain(optax.clip_by_global_norm(training["gradient_clip"]), update)


def trained(transformation, params, steps=6):
    """Parameters after a few steps on the same random gradients, and the optimiser's state."""
    current, updated = transformation.init(params), jax.jit(transformation.update)
    for step in range(steps):
        draw = np.random.default_rng(step).normal
        grads = jax.tree.map(lambda p, d=draw: jnp.asarray(d(size=p.shape), jnp.float32), params)
        with jax.numpy_dtype_promotion("standard"):  # which optax needs, see conftest.py
            updates, current = updated(grads, current, params)
        params = optax.apply_updates(params, updates)
    return params, current


@pytest.fixture
def params(rng):
    """Kernels for Muon and for Adam, and a bias."""
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    return {
        "conv": {"kernel": draw(3, 3, 4, 8), "bias": draw(8)},
        "linear": {"kernel": draw(4, 8)},
    }


def test_learning_rate_warms_up_stays_and_decays():
    training = schedule(total_steps=1000, warmup_steps=100)
    rate = optimizer.learning_rate(2.0, training)
    steps = [0, 50, 100, 400, 700, 850, 999, 1000, 2000]
    expected = [0.02, 0.02 + 1.98 * 0.5, 2, 2, 2, 1, 2 / 300, 0, 0]
    np.testing.assert_allclose([float(rate(s)) for s in steps], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("total", "warmup"), [(1, 1), (4, 1), (2, 100), (5, 0)])
def test_learning_rate_of_short_runs_is_never_above_its_peak(total, warmup):
    for name in optimizer.SCHEDULES:
        training = schedule(total_steps=total, warmup_steps=warmup, schedule=name)
        rates = [float(optimizer.learning_rate(1.0, training)(s)) for s in range(total)]
        assert all(0 < rate <= 1 + 1e-6 for rate in rates)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", [0.02, 1.01, 2, 4 / 3, 1, 2 / 900, 0]),
        ("cosine", [0.02, 1.01, 2, 1.5, 1, 1 - np.cos(np.pi / 900), 0]),
    ],
)
def test_learning_rate_falls_from_the_warm_up_to_the_end(name, expected):
    training = schedule(total_steps=1000, warmup_steps=100, schedule=name)
    rate = optimizer.learning_rate(2.0, training)
    found = [float(rate(s)) for s in [0, 50, 100, 400, 550, 999, 1000]]
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["muon", "adam"])
def test_the_default_optimiser_is_the_plain_one(params, name):
    changes = {"optimizer": name, "total_steps": 8, "warmup_steps": 2}
    training = tiny.get_config().training.to_dict() | changes
    ours, optimizer_state = trained(optimizer.build(training), params)
    theirs, _ = trained(plain(training), params)
    kernels = [tree["conv"].pop("kernel") for tree in (ours, theirs)]
    np.testing.assert_allclose(*kernels, rtol=1e-4, atol=0 if name == "adam" else 1e-6)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    rates = optimizer.learning_rates(optimizer_state)
    assert set(rates) == (set(RATES) if name == "muon" else {"adam_learning_rate"})
    for rate, value in rates.items():  # those of the last step
        assert float(value) == float(optimizer.learning_rate(training[rate], training)(5))


def test_an_optimiser_without_learning_rates_in_its_state_has_none():
    assert optimizer.learning_rates(optax.sgd(0.1).init({"w": jnp.zeros(3)})) == {}


@pytest.mark.parametrize(
    ("change", "kernels_of"),
    [
        ({"muon_momentum": 0.5}, ["conv"]),
        ({"adam_betas": (0.5, 0.9)}, ["linear"]),
        ({"weight_decay": 0.1}, ["conv"]),
        ({"optimizer": "adam", "weight_decay": 0.1}, ["conv", "linear"]),
    ],
)
def test_momentum_betas_and_weight_decay_reach_their_kernels(params, change, kernels_of):
    training = tiny.get_config().training.to_dict() | {"warmup_steps": 0}
    before = training | {"optimizer": change.get("optimizer", "muon")}
    first, _ = trained(optimizer.build(before), params)
    second, _ = trained(optimizer.build(before | change), params)
    differs = {name for name in params if np.any(first[name]["kernel"] != second[name]["kernel"])}
    assert differs == set(kernels_of)
    if "weight_decay" in change:
        np.testing.assert_array_equal(first["conv"]["bias"], second["conv"]["bias"])


def test_weight_decay_alone_shrinks_kernels_by_the_learning_rate(params):
    changes = {"optimizer": "adam", "weight_decay": 0.5, "adam_learning_rate": 0.1}
    training = tiny.get_config().training.to_dict() | changes | {"warmup_steps": 0}
    transformation = optimizer.build(training)
    nothing = jax.tree.map(jnp.zeros_like, params)
    updates, _ = transformation.update(nothing, transformation.init(params), params)
    np.testing.assert_allclose(
        updates["conv"]["kernel"], -0.05 * params["conv"]["kernel"], rtol=1e-6
    )
    assert not np.any(updates["conv"]["bias"])


def test_muon_takes_the_kernels_of_the_real_networks():
    model = tiny.get_config("smoke").model
    model.hyperprior.update(hyper_step=True, hyper_context=True)
    networks = Networks.from_config(model.to_dict())
    params = jax.eval_shape(networks.init, jax.random.key(0))
    chosen = optimizer.choice(params)
    assert chosen["unet"]["conv_in"]["kernel"] == "muon"
    assert chosen["unet"]["time_embedding"]["linear_1"]["kernel"] == "muon"
    assert chosen["hyperprior"]["analysis_0"]["kernel"] == "muon"
    assert chosen["hyperprior"]["hyper1_context"]["kernel"] == "muon"
    assert chosen["hyperprior"]["hyper_log2_step"]["kernel"] == "adam"
    assert chosen["unet"]["conv_in"]["bias"] == "adam"
    assert chosen["step_profile"]["octaves"] == "adam"
    for half in ("analysis", "synthesis"):  # they start as a DCT
        assert chosen["autoencoder"][half]["linear"]["kernel"] == "adam"
        assert chosen["autoencoder"][half]["conv_in"]["kernel"] == "muon"


def test_a_muon_step_whitens_kernels_and_leaves_the_rest_to_adam(rng):
    training = tiny.get_config().training.to_dict() | {"warmup_steps": 0, "gradient_clip": 1e9}
    params = {
        "kernel": jnp.asarray(rng.normal(size=(12, 8)), jnp.float32),
        "bias": jnp.asarray(rng.normal(size=8), jnp.float32),
    }
    grads = jax.tree.map(lambda p: 3.0 * p, params)
    transformation = optimizer.build(training)
    updates = transformation.update(grads, transformation.init(params), params)[0]
    singular = np.linalg.svd(np.asarray(updates["kernel"]), compute_uv=False)
    assert singular.min() > 0.5 * singular.max()  # the gradient's own spread is larger
    assert np.ptp(np.linalg.svd(np.asarray(grads["kernel"]), compute_uv=False)) > 3
    # The first step of Adam with Nesterov momentum: a sign, 1 + b1 (1 - b1) / (1 - b1^2) long.
    first = training["adam_learning_rate"] * (1 + 0.9 * 0.1 / (1 - 0.9**2))
    np.testing.assert_allclose(np.abs(updates["bias"]), first, rtol=1e-3)
    assert np.all(np.sign(updates["bias"]) == -np.sign(grads["bias"]))


def test_decay_of_the_average_has_the_promised_half_life():
    decay = state.ema_decay(half_life_images=4000, batch_size=16)
    assert decay ** (4000 / 16) == pytest.approx(0.5)


def test_average_follows_closely_at_first_and_slowly_later():
    sgd = optax.sgd(1.0)
    current = state.create({"w": jnp.zeros(())}, sgd)
    expected_w = expected_ema = 0.0
    for step in range(40):
        current = state.apply_gradients(current, {"w": jnp.asarray(-1.0)}, sgd, 0.75)
        decay = min(0.75, (1 + step) / (10 + step))
        expected_w += 1
        expected_ema = decay * expected_ema + (1 - decay) * expected_w
        assert int(current.step) == step + 1
        assert float(current.params["w"]) == expected_w
        assert float(current.ema_params["w"]) == pytest.approx(expected_ema, rel=1e-5)
    # In the long run the average of a ramp lags by decay / (1 - decay).
    assert expected_w - expected_ema == pytest.approx(0.75 / 0.25, rel=0.01)


def test_state_keeps_its_own_copy_for_the_average():
    params = {"w": jnp.ones(3)}
    fresh = state.create(params, optax.sgd(0.1))
    assert fresh.ema_params["w"] is not fresh.params["w"]


def test_an_unknown_optimiser_is_named():
    training = tiny.get_config().training.to_dict() | {"optimizer": "sgd"}
    with pytest.raises(RdcError, match=r"training\.optimizer must be muon or adam, not 'sgd'"):
        optimizer.build(training)
