"""The entropy model's stored arrays: what is read and what is refused."""

import numpy as np
import pytest

from rdc_jax.entropy import tables
from rdc_jax.entropy.entropy_model import EntropyModel, schedule_arrays
from rdc_jax.errors import RdcError


@pytest.mark.parametrize("stored", [[-1], [tables.NUM_SCALES + 1], [3, 3]])
def test_skipped_scales_out_of_range_are_refused(random_model, stored):
    table = 0.5 * 128 ** (np.arange(1001) / 1000)
    arrays = schedule_arrays(table.reshape(-1, 1), 32, skipped_scales=1)
    arrays["silent_scales"] = np.asarray(stored, np.int64)
    arrays = {f"schedule/{name}": array for name, array in arrays.items()}
    with pytest.raises(RdcError, match="silent_scales"):
        EntropyModel.from_arrays(arrays)


def test_entropy_model_loads_its_arrays_and_refuses_others(random_hyperprior):
    from rdc_jax.model_folder import codec_model

    steps = np.linspace(0.5, 60, 1001)[:, None]
    arrays = codec_model.entropy_arrays(random_hyperprior()[1], steps, 32.0)
    model = EntropyModel.from_arrays(arrays)
    assert model.latent_unit == 32 and model.step_fixed.dtype == np.int64
    np.testing.assert_allclose(model.step_fixed * 32 / 2**20, steps, rtol=1e-4)
    np.testing.assert_allclose(model.log2_step_fixed / 1024, np.log2(steps), atol=5e-4)
    np.testing.assert_array_equal(model.shrink, arrays["schedule/shrink"])
    shrink = arrays["schedule/shrink"]
    assert shrink.dtype == np.int32
    wrongs = [{k: v for k, v in arrays.items() if k != f"schedule/{name}"}
              for name in ("step_fixed", "shrink")]  # fmt: skip
    wrongs += [arrays | {"extra/x": steps}]
    wrongs += [
        arrays | {"schedule/shrink": wrong}
        for wrong in (
            shrink[:-1],
            shrink[:, None],
            shrink.astype(np.float32),
            np.where(shrink == shrink[3], -1, shrink).astype(np.int32),
            np.where(shrink == shrink[3], 2**16 + 1, shrink).astype(np.int32),
        )
    ]
    for wrong in wrongs:
        with pytest.raises(RdcError, match="damaged"):
            EntropyModel.from_arrays(wrong)


@pytest.mark.parametrize("stored", [[2], [1, 1], [-1]])
def test_a_damaged_switch_is_named(stored):
    arrays = schedule_arrays(np.ones((1001, 1)), 32)
    arrays["continued_context"] = np.asarray(stored, np.int64)
    arrays = {f"schedule/{name}": array for name, array in arrays.items()}
    with pytest.raises(RdcError, match="continued_context"):
        EntropyModel.from_arrays(arrays)
