"""Learning rate, the rule for Muon, the moving average: closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers

from configs import tiny
from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks
from rdc_jax.training import optimizer, state


def test_learning_rate_warms_up_stays_and_decays():
    training = {"total_steps": 1000, "warmup_steps": 100, "decay_fraction": 0.3}
    rate = optimizer.learning_rate(2.0, training)
    steps = [0, 50, 100, 400, 700, 850, 999, 1000, 2000]
    expected = [0.02, 0.02 + 1.98 * 0.5, 2, 2, 2, 1, 2 / 300, 0, 0]
    np.testing.assert_allclose([float(rate(s)) for s in steps], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("total", "warmup"), [(1, 1), (4, 1), (2, 100), (5, 0)])
def test_learning_rate_of_short_runs_is_never_above_its_peak(total, warmup):
    training = {"total_steps": total, "warmup_steps": warmup, "decay_fraction": 0.3}
    rates = [float(optimizer.learning_rate(1.0, training)(s)) for s in range(total)]
    assert all(0 < rate <= 1 + 1e-6 for rate in rates)


def test_muon_takes_the_kernels_of_the_real_networks():
    model = tiny.get_config("smoke").model
    model.hyperprior.update(hyper_step=True, hyper_context=True)
    networks = Networks.from_config(model.to_dict())
    params = jax.eval_shape(networks.init, jax.random.key(0))
    dimensions = optimizer.muon_dimensions(params)
    conv = MuonDimensionNumbers((0, 1, 2), (3,))
    assert dimensions["unet"]["conv_in"]["kernel"] == conv
    assert dimensions["unet"]["time_embedding"]["linear_1"]["kernel"] == MuonDimensionNumbers(
        (0,), (1,)
    )
    assert dimensions["hyperprior"]["analysis_0"]["kernel"] == conv
    assert dimensions["hyperprior"]["hyper1_context"]["kernel"] == conv
    assert dimensions["hyperprior"]["hyper_log2_step"]["kernel"] is None
    assert dimensions["unet"]["conv_in"]["bias"] is None
    assert dimensions["step_profile"]["octaves"] is None
    for half in ("analysis", "synthesis"):  # they start as a DCT
        assert dimensions["autoencoder"][half]["linear"]["kernel"] is None
        assert dimensions["autoencoder"][half]["conv_in"]["kernel"] == conv


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
