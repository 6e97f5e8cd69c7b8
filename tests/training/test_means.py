"""Means over steps and over crops."""

import math

import jax.numpy as jnp
import pytest

from rdc_jax.training import means


def window_of(*steps):
    window = None
    for step in steps:
        window = means.add(window, {name: jnp.float32(value) for name, value in step.items()})
    return window


def test_means_of_several_steps():
    found = means.values(window_of({"loss": 1.0, "bpp": 4.0}, {"loss": 2.0, "bpp": 8.0}))
    assert found == {"loss": 1.5, "bpp": 6.0}
    assert all(type(value) is float for value in found.values())


def test_a_window_of_one_step_is_exact():
    assert means.values(window_of({"loss": 0.1}))["loss"] == float(jnp.float32(0.1))


def test_windows_with_other_metrics_do_not_mix():
    assert means.values(window_of({"a": 1.0})) == {"a": 1.0}
    assert means.values(window_of({"b": 2.0}, {"b": 4.0})) == {"b": 3.0}


def test_one_value_that_is_not_finite_is_seen():
    assert math.isnan(means.values(window_of({"loss": 1.0}, {"loss": math.nan}))["loss"])


def test_the_window_does_not_grow():
    short, long = window_of(*[{"loss": 1.0}] * 2), window_of(*[{"loss": 1.0}] * 50)
    assert short.loss.total.shape == long.loss.total.shape == ()
    assert int(long.loss.count) == 50


def test_the_mean_over_crops():
    assert means.mean([30.0, 31.0, 35.0]) == 32.0
    assert means.mean([math.inf, 1.0]) == math.inf
    assert means.mean([0.1] * 24) == pytest.approx(0.1, rel=1e-6)
