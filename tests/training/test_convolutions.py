"""Convolutions with gradients by products against XLA's, and what `rewritten` rewrites."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.training import convolutions, program
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.tasks.selection import task_for
from tests.training.smoke_runs import smoke_config

NHWC = ("NHWC", "HWIO", "NHWC")


def by_xla(x, kernel, padding, strides=(1, 1)):
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=NHWC)


def whole(rng, *shape):
    """Small whole numbers: exact in bfloat16, and so are their sums in float32."""
    return jnp.asarray(rng.integers(-8, 9, shape), jnp.float32)


REWRITTEN = [kind for kind in convolutions.KINDS if kind != "xla"]


@pytest.mark.parametrize("small", [0, convolutions.SMALL])
@pytest.mark.parametrize("convolve", [convolutions.convolve, convolutions.convolve_rounded])
@pytest.mark.parametrize(
    ("sides", "padding"),
    [
        ((3, 3), ((1, 1), (1, 1))),
        ((3, 3), ((0, 0), (0, 0))),
        ((1, 1), ((0, 0), (0, 0))),
        ((5, 5), ((2, 2), (2, 2))),
        ((3, 5), ((2, 0), (1, 4))),
    ],
)
def test_convolution_and_gradients_are_exact_where_bfloat16_is(
    rng, monkeypatch, convolve, small, sides, padding
):
    monkeypatch.setattr(convolutions, "SMALL", small)
    x, kernel = whole(rng, 2, 7, 9, 3), whole(rng, *sides, 3, 4)
    expected, pull_back = jax.vjp(lambda *pair: by_xla(*pair, padding), x, kernel)
    found, own_pull_back = jax.vjp(lambda *pair: convolve(*pair, padding), x, kernel)
    np.testing.assert_array_equal(found, expected)
    gradient = whole(rng, *expected.shape)
    for own, of_xla in zip(own_pull_back(gradient), pull_back(gradient), strict=True):
        np.testing.assert_array_equal(own, of_xla)


def names(jaxpr):
    """Of all primitives in a jaxpr, those of functions that it calls included."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for name in ("jaxpr", "call_jaxpr"):
            if name in equation.params:
                yield from names(equation.params[name].jaxpr)


@pytest.mark.parametrize(
    ("kind", "left", "tolerance"), [("products", 3, 1e-5), ("bfloat16_products", 1, 0.02)]
)
def test_convolutions_of_stride_1_are_rewritten_wherever_they_are(rng, kind, left, tolerance):
    x, kernel, constant = whole(rng, 2, 9, 8, 3), whole(rng, 3, 3, 3, 3), whole(rng, 3, 3, 3, 3)

    def function(params, x):
        y = jax.jit(by_xla, static_argnums=2)(x, params["kernel"], ((1, 1), (1, 1)))
        y = jax.nn.relu(jax.nn.silu(y))  # with a derivative of its own
        y = by_xla(y, constant, ((1, 1), (1, 1)))
        return jnp.sum(y), {"half": by_xla(y, constant, ((1, 1), (1, 1)), (2, 2))}

    rewritten = convolutions.rewritten(function, kind)
    found = list(names(jax.make_jaxpr(rewritten)({"kernel": kernel}, x).jaxpr))
    assert found.count("conv_general_dilated") == left  # with that of stride 2
    assert found.count("custom_vjp_call") >= 2
    gradient = jax.grad(function, has_aux=True)({"kernel": kernel}, x)
    own = jax.grad(rewritten, has_aux=True)({"kernel": kernel}, x)
    for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("kind", REWRITTEN)
def test_results_keep_their_dtype(rng, kind):
    x, kernel = whole(rng, 1, 4, 4, 2), whole(rng, 3, 3, 2, 2)
    half = [array.astype(jnp.bfloat16) for array in (x, kernel)]
    rewritten = convolutions.rewritten(lambda *pair: by_xla(*pair, ((1, 1), (1, 1))), kind)
    assert rewritten(*half).dtype == jnp.bfloat16
    for gradient in jax.grad(lambda *pair: jnp.sum(rewritten(*pair)), (0, 1))(*half):
        assert gradient.dtype == jnp.bfloat16


@pytest.mark.parametrize("kind", REWRITTEN)
@pytest.mark.parametrize("change", [{"rhs_dilation": (2, 2)}, {"feature_group_count": 2}])
def test_other_convolutions_stay_as_they_are(rng, change, kind):
    x, kernel = (
        whole(rng, 1, 8, 8, 4),
        whole(rng, 3, 3, 4 // change.get("feature_group_count", 1), 4),
    )

    def function(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=NHWC, **change
        )

    rewritten = convolutions.rewritten(function, kind)
    assert "custom_vjp_call" not in names(jax.make_jaxpr(rewritten)(x, kernel).jaxpr)
    np.testing.assert_array_equal(rewritten(x, kernel), function(x, kernel))


def test_the_setting_reaches_the_step(tmp_path):
    found = {}
    for kind in convolutions.KINDS:
        config = smoke_config(tmp_path, **{"training.convolutions": kind})
        task = task_for(config)
        run = program.build(task, partitioning.make_mesh(), task.parameter_shapes())
        key = jax.eval_shape(lambda: jax.random.key(0))
        traced = run.step.trace(run.state, run.frozen, run.batch, key)
        found[kind] = list(names(traced.jaxpr.jaxpr))
    by_xla, some, strided = (found[kind].count("conv_general_dilated") for kind in found)
    assert by_xla > some > 10
    assert 0 < strided < 10  # and their gradients
    products = [found[kind].count("dot_general") for kind in found]
    assert products[1] - products[0] >= by_xla - some  # one for each gradient by a kernel
