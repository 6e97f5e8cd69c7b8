"""Attention with arrays by head against the textbook's formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.models.attention import Attention, plain_attention

HEADS, CHANNELS = 2, 6


def textbook(params, x, context):
    def heads(value, name):
        y = value @ np.asarray(params[name]["kernel"])
        return y.reshape(*y.shape[:-1], HEADS, CHANNELS // HEADS)

    query, key, value = heads(x, "to_q"), heads(context, "to_k"), heads(context, "to_v")
    scores = np.einsum("bnhd,bmhd->bhnm", query, key) / np.sqrt(CHANNELS // HEADS)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    y = np.einsum("bhnm,bmhd->bnhd", weights, value).reshape(x.shape)
    return y @ np.asarray(params["to_out_0"]["kernel"]) + np.asarray(params["to_out_0"]["bias"])


@pytest.mark.parametrize("own", [True, False], ids=["itself", "context"])
def test_attention_is_the_textbook_s(own):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 2, (3, 5, CHANNELS)).astype(np.float32)
    context = x if own else rng.normal(0, 2, (3, 4, 8)).astype(np.float32)
    layer = Attention(HEADS, plain_attention, jnp.float32)
    arguments = (x,) if own else (x, context)
    variables = jax.tree.map(lambda p: p + 0.1, layer.init(jax.random.key(0), *arguments))
    np.testing.assert_allclose(
        layer.apply(variables, *arguments),
        textbook(variables["params"], x, context),
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_its_parameters_are_those_of_diffusers():
    layer = Attention(HEADS, plain_attention, jnp.float32)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((1, 5, CHANNELS)))["params"]
    square = {"kernel": (CHANNELS, CHANNELS)}
    assert jax.tree.map(lambda leaf: leaf.shape, shapes) == {
        "to_q": square, "to_k": square, "to_v": square,
        "to_out_0": square | {"bias": (CHANNELS,)},
    }  # fmt: skip
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
