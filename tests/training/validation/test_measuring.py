"""The validation rule: its views, its means, its cadence. Networks of smoke size."""

import jax
import numpy as np
import pytest

from configs import tiny
from rdc_jax.data import pipeline
from rdc_jax.evaluation.metrics import added_pattern, area_colour, distortion, judges
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.tasks import decoders
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.validation import held_out, measuring, one_step, run_validation
from tests.training.validation.counting_judge import mean_error

TIMESTEPS = measuring.TIMESTEPS
MESH = partitioning.make_mesh({}, jax.devices()[:1])


def always():
    return True


def measure(decoder, params, crops, *others):
    return measuring.run(
        decoder.views, measuring.decode(decoder, params, crops), crops.dtype != np.uint8, *others
    )


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


def test_a_image_is_measured_once(decoder, module_run, crops):
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
