"""Which checkpoints stay, which one is restored, and reading those of a run that goes on."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.training.checkpoints import Checkpoints
from rdc_jax.training.validation.reference_curve import better


def state(step):
    w = step + jnp.arange(4, dtype=jnp.float32)
    return {"params": {"w": w}, "ema_params": {"w": -w}, "opt_state": {"mu": w}}


def like(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)


def saved_steps(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def save_all(workdir, metrics, **options):
    with contextlib.closing(Checkpoints(workdir, **options)) as checkpoints:
        for step, metric in metrics.items():
            checkpoints.save(step, state(step), {"examples": step}, metric)


@pytest.mark.parametrize(("higher", "best"), [(True, 2), (False, 3)])
def test_the_best_one_stays_beside_the_newest(tmp_path, higher, best):
    metrics = {1: 30.0, 2: 33.0, 3: 29.0, 4: None, 5: 31.0, 6: None}
    save_all(tmp_path, metrics, keep=1, best="psnr@400", higher=higher)
    assert saved_steps(tmp_path) == [best, 6]
    save_all(tmp_path, {7: 32.0}, keep=1, best="psnr@400", higher=higher)  # after a restart
    assert saved_steps(tmp_path) == [best, 7]


def test_checkpoints_that_were_ranked_by_another_metric_give_way(tmp_path):
    save_all(tmp_path, {1: 30.0, 2: 20.0}, keep=1, best="psnr@400")
    save_all(tmp_path, {3: 0.5, 4: 0.7}, keep=1, best="lpips_alex@400", higher=False)
    assert saved_steps(tmp_path) == [3, 4]


@pytest.mark.parametrize(
    ("scalar", "higher"),
    [
        ("psnr@400", True),
        ("ssimulacra2_tau_1@550", True),
        ("lpips_alex@250", False),
        ("bd_rate_psnr", False),
        ("equal_rate_psnr", True),
        ("equal_rate_dists_tau_1", False),
    ],
)
def test_which_way_is_better(scalar, higher):
    assert better(scalar) is higher


def test_a_chosen_step_is_restored(tmp_path):
    save_all(tmp_path, {1: None, 2: None, 3: None}, keep=3)
    with contextlib.closing(Checkpoints(tmp_path, keep=None)) as checkpoints:
        step, restored, data = checkpoints.restore(like(state(0)), 2)
        assert (step, data) == (2, {"examples": 2})
        np.testing.assert_array_equal(restored["params"]["w"], state(2)["params"]["w"])
        with pytest.raises(RdcError, match=f"{tmp_path} has no checkpoint 9; it has 1, 2, 3$"):
            checkpoints.restore(like(state(0)), 9)


def test_the_average_alone_is_read_while_the_run_goes_on(tmp_path):
    with contextlib.closing(Checkpoints(tmp_path, keep=2)) as of_run:
        for step in (1, 2):
            of_run.save(step, state(step), {})
        of_run.save(3, state(3), {})
        with contextlib.closing(Checkpoints(tmp_path, keep=None)) as reading:
            step, average = reading.restore_average(like(state(0)["ema_params"]))
        np.testing.assert_array_equal(average["w"], state(step)["ema_params"]["w"])
    assert saved_steps(tmp_path) == [2, 3]  # nothing of the run was touched


def test_an_average_of_another_model_is_refused(tmp_path):
    save_all(tmp_path, {1: None}, keep=1)
    with contextlib.closing(Checkpoints(tmp_path, keep=None)) as reading:
        for other in ({"w": jnp.zeros(5)}, {"v": jnp.zeros(4)}):
            with pytest.raises(RdcError, match=f"{tmp_path}/checkpoints/1 is not of this config"):
                reading.restore_average(like(other))


def test_a_folder_without_checkpoints_is_named_and_stays_as_it_is(tmp_path):
    with pytest.raises(RdcError, match=f"no checkpoints in {tmp_path}/x; name the workdir"):
        Checkpoints(tmp_path / "x", keep=None)
    assert not list(tmp_path.iterdir())
    (tmp_path / "checkpoints").mkdir()
    with contextlib.closing(Checkpoints(tmp_path, keep=None)) as reading:
        with pytest.raises(RdcError, match=f"no checkpoints in {tmp_path} yet"):
            reading.restore_average({})


@pytest.mark.parametrize("other", [{"nu": jnp.zeros(4)}, {"mu": jnp.zeros(5)}, {}])
def test_a_state_of_another_optimiser_is_told_in_one_line(tmp_path, other):
    save_all(tmp_path, {1: None}, keep=1)
    with contextlib.closing(Checkpoints(tmp_path, keep=1)) as checkpoints:
        with pytest.raises(RdcError, match=r"optimiser's state is of another .* earlier") as error:
            checkpoints.restore(like(state(0) | {"opt_state": other}))
    assert "\n" not in str(error.value) and "rdc export --from" in str(error.value)
