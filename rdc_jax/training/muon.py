"""Muon's orthogonal updates, computed with small square matrices.

Muon (Jordan 2024) replaces the momentum X of a kernel, an m x n matrix, by an almost orthogonal
matrix. Five times, with A = X^T X,

    X <- X (a + b A + c A^2)

All factors are polynomials of the first A, so they commute, and A changes by A <- P A P. The
product Q of the factors P is built from n x n matrices alone, and X is read twice: for the first A,
and for X Q. For a 3x3 convolution that is a third of the arithmetic, and no copies of X.
"""

import jax
import jax.numpy as jnp
import optax
from optax import GradientTransformation
from optax.contrib import scale_by_muon

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # a, b, c of Jordan's and of optax
STEPS = 5


def muon(learning_rate: float, momentum: float, weight_decay: float) -> GradientTransformation:
    """Muon for kernels [...,c_in,c_out], each an (everything else) x c_out matrix.

    Args:
        learning_rate: Times `width_factor` of each kernel.
        momentum: Nesterov's.
        weight_decay: Times the learning rate.
    """
    return optax.chain(
        orthogonal_momentum(momentum),
        optax.stateless_with_tree_map(lambda update, _: width_factor(update) * update),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )


def orthogonal_momentum(momentum: float) -> GradientTransformation:
    """Momentum of optax's Muon, orthogonalised here. Its state is that of `scale_by_muon`."""

    def dimensions(updates):
        def of(kernel):
            return optax.contrib.MuonDimensionNumbers(tuple(range(kernel.ndim - 1)), -1)

        return jax.tree.map(of, updates)

    normalized = scale_by_muon(ns_steps=0, beta=momentum, weight_dimension_numbers=dimensions)

    def update(updates, state, params=None):
        updates, state = normalized.update(updates, state, params)
        return jax.tree.map(orthogonal, updates), state

    return GradientTransformation(normalized.init, update)


def width_factor(kernel: jax.Array) -> float:
    """sqrt(max(1, c_out / rows)) of a kernel [...,c_out], as in Jordan's Muon."""
    columns = kernel.shape[-1]
    return max(1.0, columns * columns / kernel.size) ** 0.5


def orthogonal(kernel: jax.Array) -> jax.Array:
    """An almost orthogonal matrix near a kernel float32 [...,c_out] of Frobenius norm 1 or less."""
    x = kernel.reshape(-1, kernel.shape[-1])
    tall = x.shape[0] >= x.shape[1]
    x = x @ polynomial(x.T @ x) if tall else polynomial(x @ x.T) @ x
    return x.reshape(kernel.shape)


def polynomial(a: jax.Array) -> jax.Array:
    """The product Q of the factors for A = X^T X: the singular values of X Q are near 1.

    Args:
        a: float32 [n,n], symmetric, with eigenvalues between 0 and 1.
    """
    first, second, third = COEFFICIENTS
    identity = jnp.eye(a.shape[0], dtype=a.dtype)
    total = None
    for step in range(STEPS):
        factor = first * identity + second * a + third * (a @ a)
        total = factor if total is None else total @ factor
        if step < STEPS - 1:
            a = factor @ a @ factor
    return total
