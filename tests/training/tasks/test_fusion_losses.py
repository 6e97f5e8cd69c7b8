"""The module's three losses: what each trains, what holds at the start, who learns from whom."""

import jax
import numpy as np
import optax
import pytest

from rdc_jax.training.tasks import fusion_task
from rdc_jax.training.tasks.task import split_parameters

PICTURE = {"mse", "mse_ratio", "score", "lpips_alexnet", "pattern", "colour"}
METRICS = {
    "auxiliary": PICTURE | {"pull"},
    "transform": {"prediction_error"},
    "realism": PICTURE | {"prediction_error", "generator", "discriminator"},
    "end_to_end": {f"{name}_tau_1" for name in PICTURE}
    | {"bpp", "bpp_y", "bpp_z", "mse_pixel", "mse_latent", "distortion"}
    | {"generator", "discriminator"},
}


@pytest.mark.parametrize("stage", fusion_task.TRAINED)
def test_each_loss_trains_its_parts_and_no_other(gradient, recipe, system, learnt, batch, stage):
    value, metrics, grads = gradient(stage, recipe, learnt, batch)
    assert np.isfinite(value) and set(metrics) == METRICS[stage]
    assert all(np.isfinite(v) for v in metrics.values())
    assert set(grads) == set(fusion_task.TRAINED[stage])
    for path, leaf in jax.tree.leaves_with_path(grads):
        name = jax.tree_util.keystr(path)
        assert np.all(np.isfinite(leaf)), name
        # The two hinges pull the judge's last bias to opposite sides.
        assert np.any(leaf) or name == "['discriminator']['conv_out']['bias']", name
    _, frozen = split_parameters(fusion_task.TRAINED[stage], learnt)
    base = {"autoencoder", "hyperprior", "unet", "step_profile"}
    assert base <= set(grads if stage in fusion_task.WITH_BASE else frozen)
    assert not set(frozen) & set(grads)


@pytest.mark.parametrize("stage", fusion_task.TRAINED)
def test_each_loss_starts_with_finite_gradients(gradient, recipe, system, batch, stage):
    value, _, grads = gradient(stage, recipe, system[2], batch)
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(grads))
    for part in grads.keys() & {"transform", "auxiliary", "discriminator"}:
        assert np.any(grads[part]["conv_out"]["kernel"])  # starts at zero, moves


def test_the_mean_of_the_metrics_is_the_loss(gradient, recipe, learnt, batch):
    value, found, _ = gradient("realism", recipe, learnt, batch)
    expected = 0.5 * found["mse_ratio"] + found["score"] + 0.05 * found["prediction_error"]
    expected += 0.1 * found["generator"] + found["discriminator"]
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    value, found, _ = gradient("auxiliary", recipe, learnt, batch)
    expected = 0.5 * found["mse_ratio"] + found["score"] + 0.01 * found["pull"]
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_the_same_key_gives_the_same_loss_and_another_another(gradient, recipe, learnt, batch):
    first, again, other = (gradient("transform", recipe, learnt, batch, s)[0] for s in (0, 0, 1))
    assert first == again != other


def test_transform_learns_one_batch_by_heart(gradient, recipe, system, batch):
    params = dict(system[2])
    optimizer = optax.adam(3e-3)
    state, values = optimizer.init({"transform": params["transform"]}), []

    @jax.jit
    def advance(grads, state, transform):
        change, state = optimizer.update(grads, state)
        return optax.apply_updates(transform, change), state

    for _ in range(12):
        value, _, grads = gradient("transform", recipe, params, batch)
        values.append(float(value))
        with jax.numpy_dtype_promotion("standard"):  # optax's own affair
            trained, state = advance(grads, state, {"transform": params["transform"]})
        params |= trained
    assert values[-1] < 0.95 * values[0]
    assert np.all(np.diff(values[-4:]) < 0)


def test_a_fresh_auxiliary_encoder_is_nearer_than_the_base(gradient, recipe, system, batch):
    """It is the clean latent: less error than without it, and a pull of about one deviation."""
    _, metrics, _ = gradient("auxiliary", recipe, system[2], batch)
    assert metrics["mse_ratio"] < 1
