"""The gated layer against one dense layer whose outputs are cut, and against autodiff."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.models.gated_gelu import GatedDense, gated_gelu

GATES = np.concatenate([np.linspace(-12, 12, 97), [-60.0, 0.0, 60.0]]).astype(np.float32)


def plain(value, gate):
    return value * nn.gelu(gate, approximate=False)


def test_it_is_a_dense_layer_whose_second_half_gates_the_first():
    x = jax.random.normal(jax.random.key(0), (2, 7, 5))
    layer, dense = GatedDense(6, jnp.float32), nn.Dense(12)
    variables = dense.init(jax.random.key(1), x)
    variables = jax.tree.map(lambda p: p + 0.1, variables)  # a bias that is not zero
    assert jax.tree.map(jnp.shape, layer.init(jax.random.key(2), x)) == jax.tree.map(
        jnp.shape, variables
    )
    value, gate = jnp.split(dense.apply(variables, x), 2, axis=-1)
    np.testing.assert_allclose(layer.apply(variables, x), plain(value, gate), atol=1e-6)


def test_gradients_are_those_of_autodiff_also_for_large_gates():
    value, gate = jnp.linspace(-3, 3, len(GATES)), jnp.asarray(GATES)

    def gradients(function):
        return jax.grad(lambda *args: jnp.sum(jnp.cos(function(*args))), (0, 1))(value, gate)

    for ours, theirs in zip(gradients(gated_gelu), gradients(plain), strict=True):
        assert np.all(np.isfinite(ours))
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_the_backward_pass_keeps_value_and_gate_only(dtype):
    shape = (3, 4)
    value, gate = jnp.ones(shape, dtype), jnp.ones(shape, dtype)
    kept = jax.tree.leaves(jax.vjp(gated_gelu, value, gate)[1])
    assert [(x.shape, x.dtype) for x in kept] == 2 * [(shape, dtype)]
