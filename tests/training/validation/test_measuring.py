"""The validation rule and its comparison with a reference, with networks of smoke size."""

import dataclasses
import json
import types

import jax
import numpy as np
import pytest

from configs import fusion as fusion_config
from configs import tiny
from rdc_jax.data import pipeline
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import added_pattern, area_colour, distortion, judges
from rdc_jax.model_folder import codec_model
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.tasks import decoders
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.validation import (
    held_out,
    measuring,
    one_step,
    reference_curve,
    run_validation,
)

TIMESTEPS = measuring.TIMESTEPS
MESH = partitioning.make_mesh({}, jax.devices()[:1])


def always():
    return True


def measure(decoder, params, crops, *others):
    return measuring.run(
        decoder.views, measuring.decode(decoder, params, crops), crops.dtype != np.uint8, *others
    )


def mean_error(calls):
    """A judge that counts its calls: features are floats, the distance their mean difference."""

    def features(picture):
        calls.append(picture)
        return picture.astype(np.float32)

    return judges.Judge(features, lambda a, b: np.abs(a - b).mean())


@pytest.fixture(scope="module")
def crops():
    """Three crops with structure at all scales, uint8 [3,64,64,3]."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (3, 8, 8, 3))
    return (coarse.repeat(8, 1).repeat(8, 2) * 0.8 + rng.integers(0, 50, (3, 64, 64, 3))).astype(
        np.uint8
    )


@pytest.fixture(scope="module")
def module_run(smoke_model, tmp_path_factory):
    """Task and parameters of a run that trains the module of the smoke model."""
    config = fusion_config.get_config("smoke")
    config.init_from = str(smoke_model)
    config.workdir = str(tmp_path_factory.mktemp("run"))
    config.stage = "transform"
    task = task_for(config)
    generator = np.random.default_rng(0)

    def draw(leaf):  # as the smoke model is drawn, which is quicker than compiling `init`
        scale = 0.1 if leaf.ndim == 1 else 0.5 / np.sqrt(np.prod(leaf.shape[:-1]))
        return generator.normal(0, scale, leaf.shape).astype(np.float32)

    fusion = task.decoder.fusion
    module = jax.tree.map(draw, jax.eval_shape(fusion.init, jax.random.key(0)))
    module["auxiliary"]["conv_out"]["kernel"][:] = 0.0  # its latent is then the clean one
    module["auxiliary"]["conv_out"]["bias"][:] = 0.0
    return task, codec_model.load(smoke_model).params | module


@pytest.fixture(scope="module")
def decoder(module_run):
    return module_run[0].decoder


@pytest.fixture
def quick_judges(monkeypatch):
    """Stand-ins for the metrics that need weights, by name; "dists" is not installed."""
    calls = []

    def make(names):
        found = {name: mean_error(calls) for name in names if name != "dists"}
        found["psnr"] = judges.Judge(np.asarray, distortion.psnr)
        return found, {name: "it is not there" for name in names if name == "dists"}

    monkeypatch.setattr(judges, "make", make)
    return calls


# Pictures and their means


def test_the_views_are_those_of_tau(decoder, module_run, crops):
    params = decoders.used(decoder, module_run[1])
    timesteps = np.array(TIMESTEPS, np.int32)
    shown = one_step.show(decoder, params, crops[0], timesteps, np.int32(1))
    assert shown.bpp.shape == (4,) and shown.bpp[0] > shown.bpp[3] > 0
    assert shown.images.shape == (4, 3, 64, 64, 3) and shown.images.dtype == np.uint8
    np.testing.assert_array_equal(shown.original, crops[0])
    faithful, half, realistic = np.asarray(shown.images[0]).astype(int)
    assert np.any(faithful != half) and np.any(half != realistic)
    distances = [np.abs(faithful - other).sum() for other in (half, realistic)]
    assert distances[0] < distances[1]
    # The faithful picture is that of the codec without a module.
    codec = decoders.of_codec(module_run[0].networks)
    params = decoders.used(codec, params)
    alone = one_step.show(codec, params, crops[0], timesteps, np.int32(1))
    difference = np.asarray(alone.images[0, 0]).astype(int) - faithful
    assert np.abs(difference).max() <= 1


def test_noise_follows_seed_and_timestep(decoder, module_run, crops):
    params = decoders.used(decoder, module_run[1])

    def picture(timesteps, seed):
        timesteps = np.array(timesteps, np.int32)
        shown = one_step.show(decoder, params, crops[0], timesteps, np.int32(seed))
        return np.asarray(shown.images[-1])

    first = picture([250, 400, 550, 700], 1)
    np.testing.assert_array_equal(first, picture([400, 550, 250, 700], 1))
    assert np.any(first != picture([250, 400, 550, 700], 2))


def test_scalars_are_means_over_the_crops(decoder, module_run, crops):
    chosen, missing = judges.make(["psnr", "colour"])
    assert not missing
    found = measure(decoder, module_run[1], crops, chosen, {}, always)
    views = [f"{name}{view}" for name in ("psnr", "colour") for view in ("", "_tau_0.5", "_tau_1")]
    names = ["bpp", *views, "added_pattern"]
    assert set(found.scalars) == {f"{name}@{t}" for name in names for t in TIMESTEPS}
    assert found.sheet.shape == (9 * 64, 3 * 64, 3)
    rows = found.sheet.reshape(9, 64, 3, 64, 3).swapaxes(1, 2)
    np.testing.assert_array_equal(rows[0], crops)
    faithful, realistic = rows[1], rows[2]  # at the first timestep
    expected = {
        "psnr@250": np.mean([distortion.psnr(*p) for p in zip(crops, faithful, strict=True)]),
        "colour_tau_1@250": np.mean(
            [area_colour.colour_error(*p) for p in zip(crops, realistic, strict=True)]
        ),
        "added_pattern@250": added_pattern.share(
            added_pattern.added_energy(*p) for p in zip(faithful, realistic, strict=True)
        ),
    }
    for name, value in expected.items():
        assert found.scalars[name] == pytest.approx(value), name
    # A crop's values do not depend on the others.
    alone = measure(decoder, module_run[1], crops[1:2], chosen, {}, always)
    np.testing.assert_array_equal(alone.sheet, found.sheet[:, 64:128])


def test_a_picture_is_measured_once(decoder, module_run, crops):
    calls = []
    chosen = {"error": mean_error(calls)}
    params = module_run[1]
    first = measure(decoder, params, crops, chosen, {}, always)
    assert len(calls) == len(crops) * (1 + 3 * len(TIMESTEPS))  # originals, and what is decoded
    calls.clear()
    again = measure(decoder, params, crops, chosen, first.known, always)
    assert not calls and again.scalars == first.scalars
    # With another module the faithful pictures stay.
    changed = jax.tree.map(lambda x: x, params)
    changed["transform"]["conv_out"]["bias"] = params["transform"]["conv_out"]["bias"] + 1
    later = measure(decoder, changed, crops, chosen, first.known, always)
    assert len(calls) == len(crops) * (1 + 2 * len(TIMESTEPS))
    assert later.scalars["error@250"] == first.scalars["error@250"]
    assert later.scalars["error_tau_1@250"] != first.scalars["error_tau_1@250"]


def test_a_validation_ends_when_it_should(decoder, module_run, crops):
    chosen, _ = judges.make(["psnr"])
    assert measure(decoder, module_run[1], crops, chosen, {}, lambda: False) is None


def test_the_first_crops_stay_when_more_are_held_out():
    few, many = (set(pipeline.held_out_split(100, n, seed=0).tolist()) for n in (8, 24))
    assert few < many


def test_crops_have_their_own_size():
    config = tiny.get_config()
    assert held_out.crop_side(config) == 256
    config.data.crop_size = 256
    assert held_out.crop_side(config) == 256
    del config.data.validation_size  # in configs written before there was such a setting
    assert held_out.crop_side(config) == 512


def test_the_table_has_a_row_a_metric():
    scalars = {f"{name}@{t}": 0.5 for name in ("bpp", "psnr") for t in TIMESTEPS}
    text = measuring.as_table(scalars | {"bd_rate_psnr": -12.3456}, ["bd_rate_", "equal_rate_"])
    header, _, bpp, psnr = text.splitlines()
    assert header.split() == ["250", "400", "550", "700", "bd_rate", "equal_rate"]
    assert bpp.split() == ["bpp", *["0.5"] * 4] and psnr.split() == ["psnr", *["0.5"] * 4, "-12.35"]


# Cadence, and what is missing


@pytest.mark.parametrize(
    ("judge_every", "cheap", "full"), [(0, [2, 4, 6], [8]), (4, [2, 6], [4, 8]), (-1, [2, 8], [])]
)
def test_expensive_metrics_have_a_cadence(
    module_run, crops, quick_judges, capsys, judge_every, cheap, full
):
    task, params = module_run
    task.config.training.update(
        total_steps=8, sample_every=2, judge_every=judge_every, reference=""
    )
    validate = run_validation.RunValidation(task, crops, MESH)
    error = capsys.readouterr().err
    assert error == (
        "" if judge_every == -1 else "rdc: validation without dists: it is not there\n"
    )
    for step in cheap + full:
        scalars, _ = validate(params, step)
        assert "lpips_alex_tau_0.5@400" in scalars and "dists@400" not in scalars
        assert ("lpips_vgg_tau_0.5@400" in scalars) == (step in full)
    assert capsys.readouterr().err == ""


def test_the_auxiliary_encoder_has_a_view_of_its_own(module_run, crops, quick_judges):
    task, params = module_run
    config = task.config.copy_and_resolve_references()
    config.update(stage="auxiliary")
    scalars, _ = run_validation.RunValidation(task_for(config), crops[:1], MESH)(params, 1)
    assert "psnr_y_p@250" in scalars and "psnr_tau_1@250" not in scalars
    assert scalars["psnr_y_p@700"] > scalars["psnr@700"]  # it has seen the original


# The reference


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
