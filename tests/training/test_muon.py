"""Muon by small square matrices against optax's, and what its updates are."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers

from rdc_jax.training import muon


def plain(learning_rate, momentum, weight_decay):
    """The same transformation by optax alone."""

    def dimensions(params):
        rule = lambda leaf: MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), -1)  # noqa: E731
        return jax.tree.map(rule, params)

    return optax.contrib.muon(
        learning_rate,
        beta=momentum,
        weight_decay=weight_decay,
        muon_weight_dimension_numbers=dimensions,
    )


def kernel(rng, shape, decades):
    """Singular values from 1 down to 10^-decades."""
    u, _, v = np.linalg.svd(rng.normal(size=(int(np.prod(shape[:-1])), shape[-1])), False)
    values = np.logspace(0, -decades, min(u.shape[1], v.shape[0]))
    return jnp.asarray(((u * values) @ v).reshape(shape), jnp.float32)


@pytest.mark.parametrize("decades", [0.5, 3, 6])
def test_updates_are_those_of_optax(rng, decades):
    shapes = {"square": (24, 24), "tall": (3, 3, 8, 16), "wide": (4, 40), "one": (12, 1)}
    params = {name: kernel(rng, shape, decades) for name, shape in shapes.items()}
    ours, theirs = muon.muon(0.01, 0.9, 0.1), plain(0.01, 0.9, 0.1)
    state, other_state = ours.init(params), theirs.init(params)
    with jax.numpy_dtype_promotion("standard"):  # which optax needs, see conftest.py
        for _ in range(3):
            grads = {name: kernel(rng, shape, decades) for name, shape in shapes.items()}
            updates, state = ours.update(grads, state, params)
            expected, other_state = theirs.update(grads, other_state, params)
            for name in shapes:
                error = jnp.max(jnp.abs(updates[name] - expected[name]))
                assert error < 2e-3 * jnp.max(jnp.abs(expected[name])), name


def test_the_state_is_that_of_optax_so_old_checkpoints_are_read():
    params = {"kernel": jnp.ones((3, 4))}
    old = plain(0.01, 0.9, 0.0).init(params).inner_states["muon"].inner_state
    assert jax.tree.structure(muon.muon(0.01, 0.9, 0.0).init(params)) == jax.tree.structure(old)


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (4, 40)])
def test_singular_values_become_one_within_a_third(rng, shape):
    x = kernel(rng, shape, 2)
    found = muon.orthogonal(x / jnp.linalg.norm(x)).reshape(-1, shape[-1])
    values = np.linalg.svd(found, compute_uv=False)
    assert 0.6 < values.min() and values.max() < 1.3


def test_a_kernel_without_a_gradient_stays():
    assert not np.any(muon.orthogonal(jnp.zeros((3, 3, 4, 8))))


def test_wide_kernels_get_longer_updates():
    assert muon.width_factor(jnp.zeros((4, 16))) == 2.0
    assert muon.width_factor(jnp.zeros((3, 3, 4, 8))) == 1.0
