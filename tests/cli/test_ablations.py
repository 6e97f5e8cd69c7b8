"""The ablation command: how differences are paired, and one small run of all of it."""

import json
import math

import jax
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from rdc_jax.cli import main
from rdc_jax.cli.commands import ablations
from rdc_jax.models import lpips, lpips_weights


def test_interval_is_students(rng):
    values = list(rng.normal(1.0, 2.0, 12))
    mean, half = ablations.paired(values)
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert ablations.paired([3.0]) == (3.0, math.inf)


def test_the_report_says_which_intervals_exclude_zero():
    effect = ablations.Effect("a", "b", "dB", -0.5, 0.2, 9)
    unclear = effect._replace(interval=0.7)
    lines = ablations.report([effect, unclear]).splitlines()
    assert lines[2].endswith("yes") and lines[3].endswith("no") and "-0.5 dB" in lines[2]


@pytest.mark.slow
def test_a_small_run_of_everything(tmp_path, smoke_model, capsys, monkeypatch):
    """Five variants of two steps each, two pictures; the second run trains nothing."""
    monkeypatch.setattr(lpips_weights, "load", lambda backbone: None)
    monkeypatch.setattr(
        lpips, "measure_lpips", lambda _, a, b: float(np.abs(a.astype(float) - b).mean())
    )
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (96, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((128, 192)).save(tmp_path / f"{number}.png")
    command = [
        "eval", "ablations", "--config", "configs/tiny.py:smoke", "--data", str(tmp_path),
        "--out", str(tmp_path / "out"), "--entropy-steps", "2", "--diffusion-steps", "2",
        "--qualities", "30,60", f"init_from={smoke_model}", "training.sample_every=0",
    ]  # fmt: skip
    with jax.numpy_dtype_promotion("standard"):  # for optax's update
        assert main.main(command) == 0
    results = json.loads((tmp_path / "out" / "ablations.json").read_text())
    effects = {effect["what"]: effect for effect in results["effects"]}
    assert {"entropy model: no timestep", "denoiser: one timestep"} <= set(effects)
    assert {"sampler: 16 steps, clamped", "denoiser: trained on Gaussian noise"} <= set(effects)
    assert all(effect["pictures"] == 2 for effect in effects.values() if "rounding" not in effect)
    capsys.readouterr()
    assert main.main(command) == 0
    assert "training '" not in capsys.readouterr().out
