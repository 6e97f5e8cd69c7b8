"""A validation's comparison with a reference: measured once, kept, and compared at equal rates."""

import dataclasses
import json
import types

import jax
import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.model_folder import codec_model
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.validation import measuring, reference_curve, run_validation

TIMESTEPS = measuring.TIMESTEPS
MESH = partitioning.make_mesh({}, jax.devices()[:1])


@pytest.fixture
def compared(module_run, quick_judges, smoke_model, tmp_path, monkeypatch):
    """Function (crops) -> the validation of a run in tmp_path against the smoke model."""
    task, _ = module_run
    config = task.config.copy_and_resolve_references()
    config.training.update(total_steps=8, sample_every=2, judge_every=0, reference=str(smoke_model))
    config.workdir = str(tmp_path)
    task = dataclasses.replace(task, config=config)
    return lambda crops: run_validation.RunValidation(task, crops, MESH)


def test_the_reference_is_measured_once_and_kept(compared, module_run, crops, tmp_path, capsys):
    params = module_run[1]
    scalars, _ = compared(crops)(params, 2)
    kept = json.loads((tmp_path / "reference.json").read_text())
    assert kept["fingerprint"].keys() == {"model", "module", "crops"}
    # This reference has no module, and its faithful pictures are those of the run's frozen base.
    assert scalars["bd_rate_psnr"] == pytest.approx(0.0, abs=1e-6)
    assert scalars["equal_rate_psnr"] == pytest.approx(0.0, abs=1e-9)
    assert scalars["bd_rate_lpips_alex"] == pytest.approx(0.0, abs=1e-6)
    assert "bd_rate_psnr_tau_1" not in scalars and "bd_rate_lpips_vgg" not in scalars
    assert capsys.readouterr().out.count("measuring the reference") == 1
    compared(crops)(params, 2)
    assert "measuring" not in capsys.readouterr().out
    scalars, _ = compared(crops)(params, 8)  # all metrics, which are not kept yet
    assert "bd_rate_lpips_vgg" in scalars
    assert "measuring" in capsys.readouterr().out
    compared(crops)(params, 2)
    assert "measuring" not in capsys.readouterr().out


@pytest.mark.parametrize("what", ["crops", "model", "damaged"])
def test_a_reference_of_something_else_is_measured_again(
    compared, module_run, crops, tmp_path, capsys, what
):
    path = tmp_path / "reference.json"
    compared(crops)(module_run[1], 2)
    kept = json.loads(path.read_text())
    if what == "model":
        kept["fingerprint"]["model"] = "0" * 16
    path.write_text("{" if what == "damaged" else json.dumps(kept))
    capsys.readouterr()
    compared(crops[:2] if what == "crops" else crops)(module_run[1], 2)
    assert "measuring" in capsys.readouterr().out


def test_a_reference_with_a_module_is_compared_at_tau_1(
    module_run, quick_judges, crops, smoke_model, tmp_path
):
    task, params = module_run
    config = task.config.copy_and_resolve_references()
    reference = tmp_path / "reference"
    model = codec_model.load(smoke_model)
    codec_model.save(reference, model.name, model.config, model.params, model.entropy)
    fusion_run_folder = reference / "fusion"
    config.workdir = str(tmp_path)
    config.training.update(total_steps=8, sample_every=2, judge_every=-1, reference=str(reference))
    task = dataclasses.replace(task, config=config)
    task.export(fusion_run_folder, params)
    scalars, _ = run_validation.RunValidation(task, crops, MESH)(params, 2)
    for name in ("psnr", "psnr_tau_1", "lpips_alex_tau_1", "colour"):
        # The folder has the module's parameters in float16.
        assert scalars[f"bd_rate_{name}"] == pytest.approx(0.0, abs=0.1), name
        assert scalars[f"equal_rate_{name}"] == pytest.approx(0.0, abs=0.1), name
    assert not any("tau_0.5" in name for name in scalars if name.startswith("bd_rate"))


def curve(rates, **values):
    scalars = {f"bpp@{t}": rate for t, rate in zip(TIMESTEPS, rates, strict=True)}
    for name, column in values.items():
        scalars |= {f"{name}@{t}": value for t, value in zip(TIMESTEPS, column, strict=True)}
    return scalars


def test_differences_do_not_depend_on_the_rates():
    rates = np.array([0.8, 0.4, 0.2, 0.1])
    psnr, lpips = 30 + 3 * np.log2(rates), 0.1 * rates**-0.5
    anchor = curve(rates, psnr=psnr, lpips_alex_tau_1=lpips, dists=[0.1, 0.3, 0.2, 0.4])
    test = curve(0.9 * rates, psnr=psnr, lpips_alex_tau_1=lpips, dists=[0.1, 0.2, 0.3, 0.4])
    found = reference_curve.differences(anchor, test)
    assert found["bd_rate_psnr"] == pytest.approx(-10.0)
    assert found["bd_rate_lpips_alex_tau_1"] == pytest.approx(-10.0)
    assert found["equal_rate_psnr"] == pytest.approx(-3 * np.log2(0.9))
    assert found["equal_rate_lpips_alex_tau_1"] == pytest.approx(100 * (0.9**0.5 - 1), rel=1e-3)
    assert len(found) == 4  # no curve of dists that rises, no other metric


def test_curves_that_do_not_meet_have_no_difference():
    anchor = curve([0.8, 0.4, 0.2, 0.1], psnr=[33, 30, 27, 24])
    test = curve([0.8, 0.4, 0.2, 0.1], psnr=[63, 60, 57, 54])
    assert reference_curve.differences(anchor, test) == {}
    assert reference_curve.differences({}, test) == {}


def test_latents_are_compared_with_nothing():
    config = types.SimpleNamespace(training={"reference": "tiny"}, workdir=".")
    assert reference_curve.named_by(config, np.zeros((1, 8, 8, 4), np.float16)) is None


def test_a_missing_reference_is_named(module_run, crops):
    config = module_run[0].config.copy_and_resolve_references()
    config.training.update(reference="nowhere")
    with pytest.raises(RdcError, match="no model 'nowhere'"):
        reference_curve.named_by(config, crops)
