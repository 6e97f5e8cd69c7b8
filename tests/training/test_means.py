"""Means over steps and over crops."""

import math

import jax
import jax.numpy as jnp
import pytest

from rdc_jax.training import means


def means_of(*steps):
    found = means.StepMeans()
    for step in steps:
        found.add({name: jnp.float32(value) for name, value in step.items()})
    return found


def test_means_of_several_steps():
    steps, found = means_of({"loss": 1.0, "bpp": 4.0}, {"loss": 2.0, "bpp": 8.0}).take()
    assert (steps, found) == (2, {"loss": 1.5, "bpp": 6.0})
    assert all(type(value) is float for value in found.values())


def test_after_taking_they_start_anew():
    found = means_of({"loss": 1.0}, {"loss": 5.0})
    assert found.take() == (2, {"loss": 3.0})
    assert found.take() == (0, {})
    found.add({"other": jnp.float32(2.0)})
    assert found.take() == (1, {"other": 2.0})


def test_one_step_is_exact():
    assert means_of({"loss": 0.1}).take()[1]["loss"] == float(jnp.float32(0.1))


def test_one_value_that_is_not_finite_is_seen():
    assert math.isnan(means_of({"loss": 1.0}, {"loss": math.nan}).take()[1]["loss"])


def test_what_is_held_does_not_grow_with_the_steps():
    def held(count):
        found = means_of(*[{"loss": 1.0}] * count)
        return sum(leaf.size for leaf in jax.tree.leaves(found._collection))

    assert held(2) == held(50) > 0


def test_the_mean_over_crops():
    assert means.mean([30.0, 31.0, 35.0]) == 32.0
    assert means.mean([math.inf, 1.0]) == math.inf
    assert means.mean([0.1] * 24) == pytest.approx(0.1, rel=1e-6)
